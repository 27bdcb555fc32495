"""`pack`: write the whole program into one file, byte-identical for the same source.

Rule 1: the same source gives the same bytes with any Python. Names are sorted, and times
and modes are fixed. Nothing is compressed: deflate differs between zlib builds, and
stored modules load faster.
Rule 2: the source is read through importlib.resources, never from a path. So a
`bridge.pyz` can pack itself again.
Rule 3: any Python from 2.7 on parses the archive's own `__main__.py`. An old Python
prints one line that names the version it needs.

    package bridge ──► read_sources ──► build_archive ──► OUT.tmp ──► OUT (rename)

`zipapp` is not used. On 3.13.0, run inside the repository, it leaves the package out. It
keeps the files' times. Its `main=` drops the exit status.
"""

from __future__ import annotations

import argparse
import importlib.resources
import io
import os
import zipfile
from collections.abc import Iterator
from typing import Any

from bridge.errors import UsageError

SHEBANG = b"#!/usr/bin/env python3\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file
MODE_FILE = 0o100644 << 16
SKIPPED = ("__pycache__", ".pyc", ".pyo", ".md")  # the program reads no document

MAIN = b"""# The first code that runs, on any Python: only 3.9 or later may read the rest.
import sys

if sys.version_info < (3, 9):
    this = tuple(sys.version_info[:2])
    sys.stderr.write("bridge: Python 3.9 or later is needed, this is %d.%d\\n" % this)
    sys.exit(1)

from bridge.__main__ import run

run()
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "out",
        nargs="?",
        default="bridge.pyz",
        metavar="OUT",
        help="the file to write (default: bridge.pyz)",
    )


def run(args: argparse.Namespace) -> int:
    archive = build_archive(read_sources())
    try:
        write_program(args.out, archive)
    except OSError as error:
        raise UsageError(
            f"cannot write {args.out}: {error.strerror or error}; name another file: pack OUT"
        ) from None
    print(f"{args.out}: {len(archive)} bytes")
    return 0


def read_sources() -> dict[str, bytes]:
    """Every file of the package by its name in the archive, from a folder or from a zip."""
    return dict(walk(importlib.resources.files("bridge"), "bridge"))


def walk(folder: Any, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of every file under `folder`, a Traversable: a path, or in a zip."""
    for entry in folder.iterdir():
        name = f"{prefix}/{entry.name}"
        if entry.name.startswith(".") or entry.name.endswith(SKIPPED):
            continue
        if entry.is_dir():
            yield from walk(entry, name)
        else:
            yield name, entry.read_bytes()


def build_archive(sources: dict[str, bytes]) -> bytes:
    """A zip file after a shebang line. Python reads a zip file from its end."""
    buffer = io.BytesIO()
    buffer.write(SHEBANG)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        for name, content in sorted({**sources, "__main__.py": MAIN}.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = 3  # Unix, also when packed elsewhere
            entry.external_attr = MODE_FILE
            archive.writestr(entry, content)
    return buffer.getvalue()


def write_program(path: str, archive: bytes) -> None:
    """Replace the file in one step, so that a running bridge.pyz never reads half of it."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        with open(draft, "wb") as file:
            file.write(archive)
        os.chmod(draft, 0o777 & ~current_umask())
        os.replace(draft, path)
    except OSError:
        if os.path.exists(draft):
            os.unlink(draft)
        raise


def current_umask() -> int:
    """The umask can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

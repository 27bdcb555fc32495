"""The machine that bridge runs on: interpreter, libraries, limits, names.

The locale is read from the environment that this process was STARTED with. In the C locale
Python itself sets LC_CTYPE (PEP 538), so os.environ always looks good. The panes' programs
do not have that help.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing

from bridge import __version__
from bridge.doctor.finding import Finding, Setup, fail, ok, warn
from bridge.errors import UsageError
from bridge.self_command import SHOW, show_template

OLDEST_PYTHON = (3, 9)
OLDEST_SQLITE = (3, 8, 2)  # the schema uses WITHOUT ROWID and partial indexes
GOOD_SQLITE = (3, 22, 0)  # the first that reads a WAL store without write permission
HEAD_BYTES = 4096  # of the program called `bridge`: a script's first lines


def python(setup: Setup) -> Finding:
    text = (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"{sys.executable or 'unknown path'}"
    )
    if sys.version_info < OLDEST_PYTHON:
        return fail(text, "install Python 3.9 or later")
    return ok(text)


def sqlite(setup: Setup) -> Finding:
    with closing(sqlite3.connect(":memory:")) as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    threads = "built without thread safety" if "THREADSAFE=0" in options else "thread-safe"
    text = f"{sqlite3.sqlite_version}, {threads}"
    if sqlite3.sqlite_version_info < OLDEST_SQLITE or "THREADSAFE=0" in options:
        return fail(
            text,
            "use a Python whose SQLite is 3.22 or later and built with threads; "
            "until then, broker --db :memory:",
        )
    if sqlite3.sqlite_version_info < GOOD_SQLITE:
        return warn(
            text,
            "use a Python whose SQLite is 3.22 or later; with an older one, only the broker can "
            "read its store",
        )
    return ok(text)


def locale(setup: Setup) -> Finding:
    variable, value = locale_of(starting_environment())
    if "utf-8" in value.lower() or "utf8" in value.lower():
        return ok(f"{value} ({variable})")
    problem = (
        f"{variable}={value} is no UTF-8 locale"
        if value
        else "no locale is set: neither LC_ALL nor LC_CTYPE nor LANG"
    )
    return warn(
        problem,
        "export LANG=C.UTF-8 before tmux starts; otherwise programs in the panes may turn "
        "non-ASCII text into _ or ?",
    )


def locale_of(environ: Mapping[str, str]) -> tuple[str, str]:
    """(variable, value) of the locale for characters: the first non-empty one (POSIX 8.2)."""
    return next(
        ((name, environ[name]) for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)),
        ("LANG", ""),
    )


def starting_environment() -> Mapping[str, str]:
    """The environment at exec(2), from proc(5); without /proc, the current one."""
    try:
        with open("/proc/self/environ", "rb") as file:
            entries = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return os.environ
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)


def descriptors(setup: Setup) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return ok("no limit")
    text = f"{soft} open files" + (f"; a broker raises that to {hard}" if hard > soft else "")
    if hard < setup.doctor.descriptors:
        return warn(
            f"{text}: enough for about {max(0, hard - 64)} connections",
            "raise the hard limit: ulimit -Hn, limits.conf(5), or LimitNOFILE= in a systemd unit",
        )
    return ok(text)


def name(setup: Setup) -> Finding:
    """Which program does the word `bridge` run?"""
    found = shutil.which("bridge")
    if found is None:
        return ok("no program called bridge is in the PATH; python3 -m bridge is the name to use")
    if is_ours(found):
        return ok(f"bridge is {found}, this program")
    return warn(
        f"bridge is {found}, another program (iproute2 has one of that name)",
        "write python3 -m bridge",
    )


def is_ours(path: str) -> bool:
    """Is it a script of this package, or a packed one? The file is read, not run."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return head.startswith(b"#!") and (b"bridge.__main__" in head or b"PK\x03\x04" in head)


def command(setup: Setup) -> Finding:
    """Does the command that a pane's shell gets find this program? It is tried in the folder /."""
    try:
        template = show_template(setup.panes.shell_command)
    except UsageError as error:
        what, _, mend = str(error).partition("; ")
        return fail(what, mend)
    if not template.endswith(SHOW):
        return ok(f"{template!r} is your own choice, and was not tried")
    trial = template[: -len(SHOW)] + " --version"
    try:
        done = subprocess.run(
            ["sh", "-c", trial],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=setup.doctor.check_deadline / 2000,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return warn(f"`{trial}` does not end", "set the command for shells with --shell-command")
    printed = (done.stdout or done.stderr).decode("utf-8", "replace").strip().rpartition("\n")[2]
    if done.returncode or not printed.startswith("bridge "):
        mend = (
            "name a program that exists: --shell-command 'python3 -I /PATH/bridge.pyz show {id}' "
            "(python3 -m bridge pack makes that file)"
        )
        return warn(f"`{trial}` in another folder prints: {printed or 'nothing'}", mend)
    if printed != f"bridge {__version__}":
        return warn(
            f"`{trial}` in another folder is {printed}, this is {__version__}",
            "install the same bridge everywhere: python3 -m pip install .",
        )
    return ok(f"`{trial}` works in any folder, as a pane's shell needs it")

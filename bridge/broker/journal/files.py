"""The store's files, by device and inode: are the open files still the ones at their paths?

    PATH, PATH-wal, PATH-shm   SQLite writes to the open files, even if their names are gone
    PATH.lock                  keeps a second broker out, by its name

`rm`, a restore from a copy, or a cleaner of temporary folders can unlink or replace
the files while they are open. Then every commit succeeds, and all of it is lost after
a restart. Without its lock file a store may get two brokers.
"""

from __future__ import annotations

import os
import stat
from typing import Optional

from bridge.errors import StoreError

LOCK_MAX = 32  # bytes of a lock file: a process id and a line end
Identity = Optional[tuple[int, int]]


class StoreFiles:
    """Remembers the files as they are now, which must be open."""

    def __init__(self, path: str) -> None:
        real = os.path.realpath(path)  # like SQLite: the other files are beside the real one
        named = [real + suffix for suffix in ("", "-wal", "-shm", ".lock")]
        known = {name: _identity(name) for name in named}
        self._known = {name: found for name, found in known.items() if found is not None}

    def changed(self) -> str:
        """The first file that was removed or replaced, in words; "" if there is none."""
        for name, known in self._known.items():
            found = _identity(name)
            if found != known:
                return f"{name} was {'removed' if found is None else 'replaced'}"
        return ""


def _identity(path: str) -> Identity:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_links(path: str) -> None:
    """Refuse a file with several hard links: each is a path with a lock file of its own.

    Raises StoreError.
    """
    try:
        links = os.stat(path).st_nlink
    except OSError:
        return  # it does not exist yet
    if links > 1 and not os.path.isdir(path):
        raise StoreError(
            f"the store {path} has {links} hard links, and a second broker could open it by "
            "another one; remove the others, or copy the store and give --db the copy"
        )


def open_lock(path: str) -> int:
    """Open PATH.lock, or make it. Raises OSError, or StoreError if it is another program's file."""
    name = os.path.realpath(path) + ".lock"  # one lock per store, also through symbolic links
    if os.path.islink(name):
        raise StoreError(f"{name} is a symbolic link, which no lock is; remove it")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    lock = os.open(name, flags, 0o600)
    found = os.fstat(lock)
    content = os.pread(lock, LOCK_MAX + 1, 0).strip() if stat.S_ISREG(found.st_mode) else b"?"
    if found.st_nlink > 1 or len(content) > LOCK_MAX or content.strip(b"0123456789"):
        os.close(lock)
        raise StoreError(f"{name} is no lock of bridge's; move it away, or give --db another path")
    return lock

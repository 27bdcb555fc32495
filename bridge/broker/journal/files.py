"""The store's files, by device and inode: is what we write to still what stands at its path?

    PATH, PATH-wal, PATH-shm   SQLite writes to the open ones, also when their names are gone
    PATH.lock                  keeps a second broker out, by its name

`rm`, a restore from a copy, and a cleaner of temporary folders leave the open
files behind without a name: every commit succeeds, and nothing of it is there
after a restart. Without its lock the store may have two brokers.
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
        real = os.path.realpath(path)  # as SQLite does: the others stand beside the file itself
        named = [real + suffix for suffix in ("", "-wal", "-shm", ".lock")]
        known = {name: _identity(name) for name in named}
        self._known = {name: found for name, found in known.items() if found is not None}

    def changed(self) -> str:
        """The first file that is not what it was, in words; "" when all are."""
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
    """A hard link is another path to the store, with a lock of its own. Raises StoreError."""
    try:
        links = os.stat(path).st_nlink
    except OSError:
        return  # it is to be made
    if links > 1 and not os.path.isdir(path):
        raise StoreError(
            f"the store {path} has {links} hard links, and a second broker could open it by "
            "another one; remove the others, or copy the store and give --db the copy"
        )


def open_lock(path: str) -> int:
    """PATH.lock, made where there is none. Raises OSError; StoreError when it is another's file."""
    name = os.path.realpath(path) + ".lock"  # one store has one lock, whatever links lead to it
    if os.path.islink(name):
        raise StoreError(f"{name} is a symbolic link, which no lock is; remove it")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    lock = os.open(name, flags, 0o600)
    found = os.fstat(lock)
    said = os.pread(lock, LOCK_MAX + 1, 0).strip() if stat.S_ISREG(found.st_mode) else b"?"
    if found.st_nlink > 1 or len(said) > LOCK_MAX or said.strip(b"0123456789"):
        os.close(lock)
        raise StoreError(f"{name} is no lock of bridge's; move it away, or give --db another path")
    return lock

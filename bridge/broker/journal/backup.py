"""A copy of a store that is in use: SQLite's online backup, on a thread and connections of its own.

    thread   a snapshot ──PAGES at a time──► a file without a name ┐             ┌► it is closed
    loop     `join` waits                      `_arrived` ◄────────┘ `read`, `close`

Rule 1: the copy is the store at one instant, because one read transaction lasts until it is
complete. Without it SQLite would begin again after each commit between two steps.
Rule 2: the copy is complete before its first byte is sent. The read transaction blocks WAL
checkpoints, and a slow reader would make it last.
Rule 3: the file is unlinked as soon as SQLite has it open, so kill -9 leaves nothing behind.
SQLite needs the name again only for a rollback journal, and there is none here.
Rule 4: the thread closes the file. Closing a large unlinked file frees its blocks, which takes
some ten milliseconds.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from contextlib import closing, suppress
from typing import BinaryIO, Callable
from urllib.parse import quote

from bridge.errors import StoreBusy

PAGES = 256  # pages of one step, a MiB; an unwanted copy ends after a step, within milliseconds
ROOM = 64 << 20  # bytes that must stay free beside the copy, because the store still grows
FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_only(path: str) -> str:
    """The URI of the store for sqlite3.connect(uri=True)."""
    return f"file:{quote(os.path.abspath(path))}?mode=ro"


def copy_name(path: str) -> str:
    """The short-lived name of a copy's file. It is beside the store, like the WAL."""
    return os.path.realpath(path) + ".copying"


def remove_leftover(path: str) -> None:
    """Remove the file of a copy that is left if the broker was killed before the unlink."""
    with suppress(OSError):
        os.unlink(copy_name(path))


def _nothing() -> None:
    return None


class StoreCopy:
    """One copy, from its first page to its reader's last byte. Call its methods on the loop.

    `call` schedules a call on the loop from any thread.
    """

    def __init__(self, path: str, call: Callable[..., None]) -> None:
        self._path, self._call = path, call
        self._is_made = False
        self._released = threading.Event()  # the copy is no longer wanted
        self._file: BinaryIO | None = None
        self._error: StoreBusy | None = None
        self._wake = _nothing
        self._thread = threading.Thread(target=self._run, name="bridge-backup", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """The thread has stopped reading the store, and the reader its file."""
        return self._is_made and self._released.is_set()

    def join(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` when the copy is made or has failed. Return a function that gives it up."""
        self._wake = wake
        return self._give_up

    def _give_up(self) -> None:
        self._wake = _nothing
        if not self._is_made:
            self._released.set()

    def result(self) -> StoreBusy | None:
        """None if the copy can be read, else the reason why not."""
        if self._is_made:
            return self._error
        return StoreBusy("it took too long, or the broker stops")

    @property
    def size(self) -> int:
        """The size of the finished copy."""
        assert self._file is not None, "the result was looked at first"
        return os.fstat(self._file.fileno()).st_size

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`. Raises OSError."""
        assert self._file is not None, "the result was looked at first"
        return self._file.read(size)

    def close(self) -> None:
        """The reader has all of it, or is gone. May be called several times."""
        self._released.set()

    def end(self) -> None:
        """End the thread and its connection, before the store is closed."""
        self._wake = _nothing
        self.close()
        self._thread.join()

    def _arrived(self, file: BinaryIO | None, error: StoreBusy | None) -> None:
        self._file, self._error, self._is_made = file, error, True
        if file is None:
            self.close()
        self._wake()

    # On the thread.

    def _run(self) -> None:
        file, error = None, None
        try:
            file = _copy(self._path, self._check_wanted)
        except Exception as failure:  # of SQLite, of the system, no memory: the loop must get it
            error = StoreBusy(str(failure) or type(failure).__name__)
        self._call(self._arrived, file, error)
        self._released.wait()
        if file is not None:
            file.close()

    def _check_wanted(self, *_: int) -> None:
        if self._released.is_set():
            raise StoreBusy("it is not wanted any more")


def _copy(path: str, on_step: Callable[[int, int, int], None]) -> BinaryIO:
    """The store as it is now, in an unlinked file, at offset 0."""
    with closing(sqlite3.connect(read_only(path), uri=True, isolation_level=None)) as store:
        store.execute("BEGIN")
        store.execute("SELECT count(*) FROM sqlite_master").fetchone()  # takes the snapshot
        name = copy_name(path)
        _check_room(store, os.path.dirname(name))
        file = os.fdopen(os.open(name, FLAGS, 0o600), "rb", buffering=0)
        try:
            try:
                copy = sqlite3.connect(name, isolation_level=None)
            finally:
                os.unlink(name)
            with closing(copy):
                copy.execute("PRAGMA journal_mode = OFF")
                copy.execute("PRAGMA synchronous = OFF")  # the file need not survive a crash
                store.backup(copy, pages=PAGES, progress=on_step)
        except BaseException:
            file.close()
            raise
        return file


def _check_room(store: sqlite3.Connection, folder: str) -> None:
    (pages,) = store.execute("PRAGMA page_count").fetchone()
    (page_size,) = store.execute("PRAGMA page_size").fetchone()
    needed, free = pages * page_size + ROOM, shutil.disk_usage(folder).free
    if free < needed:
        raise StoreBusy(f"a copy needs {needed} bytes of room in {folder}, and {free} are free")

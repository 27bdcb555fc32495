"""The store of `--db PATH`: SQLite in WAL mode with synchronous=FULL, so that a commit is an fsync.

One broker per store: an flock on PATH.lock makes sure of that. (It is not on PATH
itself: closing any descriptor of a file drops SQLite's own POSIX locks on it.)
Opening checks everything that could fail later, and its errors say what to do. If the
files are gone later, or the writer thread ends, the store is lost: from then on every
write fails, and `lost` returns the reason.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Generator
from functools import partial
from typing import Any, Callable

from bridge.broker.entry import Entry
from bridge.broker.journal import schema
from bridge.broker.journal.backup import StoreCopy, read_only, remove_leftover
from bridge.broker.journal.base import Commit, Commits, Proposal, StoreContents
from bridge.broker.journal.files import StoreFiles, open_lock, refuse_links
from bridge.broker.journal.group_commit import GroupCommit
from bridge.broker.journal.writer import STATEMENTS_KEPT, PruneJob, Writer
from bridge.errors import BridgeError, Reason, RequestError, StoreBusy, StoreError, WriterDied

log = logging.getLogger("bridge.broker")

WAL_MAX = 16 << 20  # bytes that the WAL keeps; it is usually 4 MiB, one group may need more
# Bytes; a larger store is opened without PRAGMA quick_check, which reads all of it.
CHECKED_MAX = 256 << 20


class SqliteJournal:
    """A Journal on disk. Make it on a running loop. Raises StoreError, which says what to do.

    `start` begins the writing. A test may give another one, and call `Writer.take` itself.
    """

    def __init__(self, path: str, start: Callable[[Writer], None] = Writer.start) -> None:
        self.path = path
        refuse_links(path)
        self._lock = _take_lock(path)
        try:
            connection = _open(path)
            self._reader = sqlite3.connect(read_only(path), uri=True, isolation_level=None)
        except StoreError:
            os.close(self._lock)
            raise
        remove_leftover(path)
        loop = asyncio.get_running_loop()
        self.writer = Writer(
            connection,
            lambda group, error: _call_soon(loop, self._groups.written, group, error),
            lambda: _call_soon(loop, self._writer_ended),
        )
        self._groups = GroupCommit(loop, self.writer.put)
        self._files = StoreFiles(path)
        self._is_closing = False
        self._pruning: PruneJob | None = None  # the latest
        self._copy: StoreCopy | None = None  # the latest
        self._lost: BridgeError | None = None
        start(self.writer)

    def load(self, wall_ms: int, now: float) -> StoreContents:
        """Read the contents of the store. Raises StoreError if the file is damaged."""
        try:
            rows = self._reader.execute(
                f"SELECT {schema.READ_COLUMNS} FROM tickets WHERE finished_ms IS NULL ORDER BY seq"
            )
            pending = [_entry(row, wall_ms, now) for row in rows]
            (last_seq,) = self._reader.execute(schema.LAST_SEQ).fetchone()
            (newest_ms,) = self._reader.execute(schema.NEWEST).fetchone()
            agents = [
                json.loads(record)
                for (record,) in self._reader.execute("SELECT record FROM agents")
            ]
            subscriptions = list(
                self._reader.execute("SELECT subscriber, agent, owed_seq FROM subscriptions")
            )
        except (sqlite3.Error, ValueError, TypeError, AttributeError) as error:
            # The last three: rows that another program wrote.
            raise StoreError(_damaged(self.path, error)) from None
        return StoreContents(last_seq, pending, agents, subscriptions, newest_ms)

    def commits(self) -> Commits:
        return self._groups.commits

    # Hot: once per ticket.
    def propose(self, record: Proposal) -> Commit:
        group = self._groups.joined()
        group.add(record)
        return group.commit

    def find(self, ticket_id: str) -> Entry | None:
        # On the loop, by a unique index, while the writer works (WAL readers never wait). It takes
        # tens of microseconds.
        row = self._reader.execute(
            f"SELECT {schema.READ_COLUMNS} FROM tickets WHERE id = ?", (ticket_id,)
        ).fetchone()
        return _entry(row, 0, 0.0) if row else None

    def read_before(self, seq: int) -> Generator[Entry, None, None]:
        cursor = self._reader.execute(
            f"SELECT {schema.READ_COLUMNS} FROM tickets WHERE seq < ? ORDER BY seq DESC", (seq,)
        )
        try:
            for row in cursor:
                yield _entry(row, 0, 0.0)
        finally:
            cursor.close()  # an open read blocks WAL checkpoints

    def prune(self, before_ms: int) -> None:
        # First send the open group: it may have changes of tickets that are removed now.
        self._groups.leave()
        if self._pruning is None or self._pruning.is_done:
            self._pruning = PruneJob(before_ms)
            self.writer.put(self._pruning)

    def copy(self) -> StoreCopy:
        self.look()  # the copy opens the store by its path
        if self._lost is not None:
            raise RequestError(Reason.STORE, str(self._lost), retry_after=5)
        if self._copy is not None and not self._copy.is_over:
            detail = "another backup is under way, and its reader may be slow; try again later"
            raise RequestError(Reason.CONFLICT, detail)
        self._copy = StoreCopy(self.path, partial(_call_soon, asyncio.get_running_loop()))
        return self._copy

    def look(self) -> None:
        changed = self._files.changed() if self._lost is None else ""
        if changed:
            self._lose(StoreError(
                f"the store {self.path} is gone: {changed} while the broker ran; put back what "
                "belongs there, or what was restored, and start the broker again"
            ))  # fmt: skip

    def lost(self) -> BridgeError | None:
        if self._lost is None and not self.writer.is_alive():
            self._writer_ended()
        return self._lost

    def _writer_ended(self) -> None:
        if not self._is_closing and self._lost is None:
            self._lose(WriterDied("the thread that writes the store ended; start the broker again"))

    def _lose(self, error: BridgeError) -> None:
        self._lost = error
        self.writer.is_halted = True
        log.critical("the store is lost, the broker ends error=%s", error)
        self._groups.end(StoreBusy(str(error)))

    async def flush(self) -> None:
        await self._groups.flush()

    async def aclose(self) -> None:
        await self._groups.flush()
        self._is_closing = True
        if self._copy is not None:
            # Before the writer: the last connection to close the store empties the WAL.
            self._copy.end()
        self._reader.close()
        if isinstance(self._lost, StoreError):
            # Closing would remove PATH-wal, which may belong to another store by now. The exit of
            # the process does not.
            return
        self.writer.stop()
        os.close(self._lock)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Any, *args: Any) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback, *args)


def _entry(row: tuple[Any, ...], wall_ms: int, now: float) -> Entry:
    seq, ticket_id, agent_id, text, created_ms, timeout_ms, ttl_ms, status, updated_ms, memo = row
    entry = Entry(seq, ticket_id, agent_id, text.encode(), created_ms, timeout_ms, ttl_ms)
    entry.restore(status, updated_ms, memo, wall_ms, now)
    return entry


def _take_lock(path: str) -> int:
    """Hold PATH.lock until the process ends. The descriptor must stay open."""
    try:
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        lock = open_lock(path)
    except OSError as error:
        raise StoreError(
            f"cannot write beside the store {path}: {error.strerror}; "
            "give --db a path in a folder that you may write"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.truncate(lock, 0)
        os.write(lock, b"%d\n" % os.getpid())
    except BlockingIOError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "?"
        os.close(lock)
        raise StoreError(
            f"the store {path} is in use by another broker (pid {holder}); "
            "stop that one, or give --db another path"
        ) from None
    except OSError as error:
        os.close(lock)
        raise StoreError(
            f"cannot lock the store {path}: {error.strerror}; "
            "make room on the disk, or give --db another path"
        ) from None
    return lock


def _open(path: str) -> sqlite3.Connection:
    """The writing connection, checked and migrated. Raises StoreError."""
    try:
        # SQLite gives -wal and -shm the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            path,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
            cached_statements=STATEMENTS_KEPT,
        )
    except OSError as error:
        raise StoreError(
            f"cannot write the store {path}: {error.strerror}; "
            "check its permissions and the disk, or give --db another path"
        ) from None
    try:
        _prepare(connection, path)
    except sqlite3.OperationalError as error:  # read-only, full, I/O error
        connection.close()
        raise StoreError(
            f"cannot use the store {path}: {error}; "
            "check its permissions and free space, or give --db another path"
        ) from None
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreError(_damaged(path, error)) from None
    except StoreError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner != schema.APPLICATION_ID and not (is_empty and version == 0 and owner == 0):
        raise StoreError(f"{path} is another program's database; give --db another path")
    if version > schema.VERSION:
        raise StoreError(
            f"the store {path} is of version {version}, this bridge knows up to {schema.VERSION}; "
            "run the newer bridge, or give --db another path"
        )
    if not is_empty and version < min(schema.MIGRATIONS):
        raise StoreError(_damaged(path, f"version {version}"))
    if os.path.getsize(path) <= CHECKED_MAX:
        for (finding,) in connection.execute("PRAGMA quick_check(1)"):
            if finding != "ok":
                raise StoreError(_damaged(path, finding))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_MAX}")
    # Many builds overwrite deleted data with zeros, which writes each page of a large ticket again.
    connection.execute("PRAGMA secure_delete = FAST")
    if is_empty:
        _run(connection, schema.SCHEMA, schema.VERSION)
    else:
        for older in range(version, schema.VERSION):
            _run(connection, schema.MIGRATIONS[older], older + 1)
    # If the disk is full or read-only, this fails now, and not at the first ticket.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR REPLACE INTO agents (id, record) VALUES ('', '')")
    connection.execute("ROLLBACK")


def _run(connection: sqlite3.Connection, script: str, version: int) -> None:
    """The whole script, and the version that it leads to, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in script.split(";"):  # executescript() would commit before it starts
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def _damaged(path: str, finding: object) -> str:
    return (
        f"the store {path} is damaged or is no bridge store ({finding}); "
        "move it away and start again, or restore it from a copy"
    )

"""The one thread that writes. Groups go in by a queue, results come out by one call into the loop.

Every call that gives up the interpreter lock must win it back from the loop,
so a group is written in as few SQLite steps as can be: many rows to an INSERT.

A group that fails is not tried again, and no later one of its epoch is written (groups.py).
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from itertools import chain
from typing import Callable, Optional, Union

from bridge.broker.journal import schema
from bridge.broker.journal.base import AcceptRow
from bridge.broker.journal.groups import Group
from bridge.broker.journal.trouble import Trouble
from bridge.errors import StoreBusy

log = logging.getLogger("bridge.broker")

PRUNE_STEP = 500  # rows of one DELETE: small, so that no send waits long behind it
CHUNK = 64  # rows of one INSERT: 448 of the 999 variables that every SQLite has; one statement per size stays prepared
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_INSERTS = [f"INSERT INTO tickets ({schema.ACCEPT_COLUMNS}) VALUES {', '.join([_ROW] * rows)}" for rows in range(CHUNK + 1)]
STATEMENTS_KEPT = CHUNK + 32  # prepared ones, for sqlite3.connect(cached_statements=)


class PruneJob:
    """Asks the writer to forget tickets that were finished before `before_ms`."""

    def __init__(self, before_ms: int) -> None:
        self.before_ms = before_ms


class Writer:
    """Owns the writing connection from `start` to `stop`.

    On this thread `report(group, error)` is called for each group, and `ended()` when the thread
    ends, by whatever.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        report: Callable[[Group, Optional[StoreBusy]], None],
        ended: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._report = report
        self._ended = ended
        self.is_halted = False  # set by the loop: write nothing any more
        self._trouble = Trouble()
        self._failed_epoch = -1  # the last epoch that ended
        self._failure = StoreBusy("")  # by which it did
        self._jobs: queue.SimpleQueue[Union[Group, PruneJob, None]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bridge-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, job: Union[Group, PruneJob]) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        """Finish what was put, then end the thread and close the connection."""
        self._jobs.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        try:
            while self.take():
                pass
        finally:
            self._ended()

    def take(self) -> bool:
        """Do the next job; false: it was the order to stop."""
        job = self._jobs.get()
        if isinstance(job, PruneJob):
            self._prune(job)
        elif job is not None:
            error = self._commit(job)
            job.is_written = True
            self._report(job, error)
        return job is not None

    def _commit(self, group: Group) -> Optional[StoreBusy]:
        if group.epoch == self._failed_epoch or self.is_halted:
            return self._failure
        try:
            self._write(group)
        except Exception as error:  # SQLite's, and what it has no memory for: the group fails, the thread lives
            self._failed_epoch = group.epoch
            self._failure = StoreBusy(f"the store cannot be written now: {_words(error)}")
            self._roll_back()
            self._trouble.failed(len(group), error)
            return self._failure
        if self._trouble.failures:
            self._trouble.worked()
        return None

    def _write(self, group: Group) -> None:
        started = time.perf_counter()
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")  # what failed before: else this joins it, and is not committed
        if len(group) == len(group.accepts) <= CHUNK:
            self._insert(group.accepts)  # a statement alone is a transaction: one step for the usual group
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            for first in range(0, len(group.accepts), CHUNK):
                self._insert(group.accepts[first : first + CHUNK])
            if group.changes:
                self._connection.executemany(schema.CHANGE, group.changes)
            for sql, parameters in group.rest:
                self._connection.execute(sql, parameters)
            self._connection.execute("COMMIT")
        group.seconds = time.perf_counter() - started

    def _insert(self, rows: list[AcceptRow]) -> None:
        self._connection.execute(_INSERTS[len(rows)], list(chain.from_iterable(rows)))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may have ended it already
            try:
                self._connection.execute("ROLLBACK")
            except Exception as error:
                log.error("rollback failed error=%s", _words(error))

    def _prune(self, job: PruneJob) -> None:
        if self.is_halted:
            return
        try:
            removed = self._connection.execute(schema.PRUNE, (job.before_ms, PRUNE_STEP)).rowcount
        except Exception as error:
            log.error("prune failed error=%s", _words(error))
            return
        if removed == PRUNE_STEP:
            self._jobs.put(job)  # behind the groups that wait meanwhile


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__  # a MemoryError says nothing

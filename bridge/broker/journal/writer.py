"""The one thread that writes. Groups arrive in a queue; results go to the loop by one call each.

Each SQLite step releases the GIL and must take it back from the loop. So a group is
written in as few steps as possible, with many rows per INSERT.

A group that fails is not tried again, and no later one of its epoch is written (group_commit.py).
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from itertools import chain
from typing import Callable

from bridge.broker.journal import schema
from bridge.broker.journal.base import BirthRow
from bridge.broker.journal.failure_log import FailureLog
from bridge.broker.journal.group_commit import Group
from bridge.errors import StoreBusy

log = logging.getLogger("bridge.broker")

# A step of pruning is one DELETE, and small, so that no send waits long behind it.
PRUNE_SIZE = 256 << 10  # characters; one ticket may have more, and is a step of its own
PRUNE_ROWS = 512
PRUNE_SECONDS = 0.002  # the time a step should take; after a longer one the rows are halved
# Rows of one INSERT: 448 of the 999 variables that every SQLite allows. One statement per number
# of rows stays prepared.
CHUNK = 64
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_INSERTS = [
    f"INSERT INTO tickets ({schema.ACCEPT_COLUMNS}) VALUES {', '.join([_ROW] * rows)}"
    for rows in range(CHUNK + 1)
]
STATEMENTS_KEPT = CHUNK + 32  # prepared ones, for sqlite3.connect(cached_statements=)


class PruneJob:
    """A job of the writer: remove tickets that were finished before `before_ms`."""

    def __init__(self, before_ms: int) -> None:
        self.before_ms = before_ms
        self.rows = 16  # rows of the next step; few at first, because cold pages are slow to delete
        self.is_done = False  # done or failed; the next prune makes another job


class Writer:
    """Owns the writing connection from `start` to `stop`.

    The thread calls `report(group, error)` for each group, and `ended()` when it ends for any
    reason.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        report: Callable[[Group, StoreBusy | None], None],
        ended: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._report = report
        self._ended = ended
        self.is_halted = False  # set by the loop: write nothing more
        self._failure_log = FailureLog()
        self._failed_epoch = -1  # the last epoch with a failure
        self._failure = StoreBusy("")  # that failure
        self._jobs: queue.SimpleQueue[Group | PruneJob | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="bridge-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def put(self, job: Group | PruneJob) -> None:
        self._jobs.put(job)

    def stop(self) -> None:
        """Finish all jobs, then end the thread and close the connection."""
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
        """Do the next job. Return False if it was the order to stop."""
        job = self._jobs.get()
        if isinstance(job, PruneJob):
            self._prune(job)
        elif job is not None:
            error = self._commit(job)
            self._report(job, error)
        return job is not None

    def _commit(self, group: Group) -> StoreBusy | None:
        if group.epoch == self._failed_epoch or self.is_halted:
            return self._failure
        try:
            self._write(group)
        except Exception as error:  # of SQLite, or no memory: the group fails, the thread goes on
            self._failed_epoch = group.epoch
            self._failure = StoreBusy(f"the store cannot be written now: {_words(error)}")
            self._roll_back()
            self._failure_log.failed(group.size, error)
            return self._failure
        if self._failure_log.failures:
            self._failure_log.worked()
        return None

    def _write(self, group: Group) -> None:
        started = time.perf_counter()
        if self._connection.in_transaction:
            # A failed transaction is still open. Without this the group would join it, uncommitted.
            self._connection.execute("ROLLBACK")
        if 0 < group.size == len(group.births) <= CHUNK:
            # A single statement is a transaction by itself: one step for the usual group.
            self._insert(group.births)
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            for first in range(0, len(group.births), CHUNK):
                self._insert(group.births[first : first + CHUNK])
            if group.changes:
                changed = self._connection.executemany(schema.CHANGE, group.changes).rowcount
                if changed != len(group.changes):  # only another program can have deleted them
                    missing = len(group.changes) - changed
                    raise sqlite3.DatabaseError(f"{missing} changed tickets are not in the store")
            self._write_rare(group)
            self._connection.execute("COMMIT")
        group.seconds = time.perf_counter() - started

    def _insert(self, rows: list[BirthRow]) -> None:
        self._connection.execute(_INSERTS[len(rows)], list(chain.from_iterable(rows)))

    def _write_rare(self, group: Group) -> None:
        execute = self._connection.execute
        for agent in group.agents:
            if agent.registration is None:
                execute(schema.DROP_AGENT, agent[:1])
            else:
                execute(schema.PUT_AGENT, agent)
        for subscription in group.subscriptions:
            if subscription.owed_seq is None:
                execute(schema.DROP_SUBSCRIPTION, subscription[:2])
            else:
                execute(schema.PUT_SUBSCRIPTION, subscription)

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a full disk may have ended it already
            try:
                self._connection.execute("ROLLBACK")
            except Exception as error:
                log.error("rollback failed error=%s", _words(error))

    def _prune(self, job: PruneJob) -> None:
        if self.is_halted:
            job.is_done = True
            return
        started = time.perf_counter()
        try:
            bounds = (job.before_ms, PRUNE_SIZE, job.rows)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(schema.KEEP_LAST_SEQ)
            removed = self._connection.execute(schema.PRUNE, bounds).rowcount
            self._connection.execute("COMMIT")
        except Exception as error:
            log.error("prune failed error=%s", _words(error))
            self._roll_back()
            removed = 0
        job.is_done = not removed
        if removed:
            is_slow = time.perf_counter() - started > PRUNE_SECONDS
            job.rows = max(1, job.rows // 2) if is_slow else min(PRUNE_ROWS, 2 * job.rows)
            self._jobs.put(job)  # behind the groups that are waiting


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__  # a MemoryError has no text

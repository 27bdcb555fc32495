"""Group commit: which rows travel together, and when a group leaves.

While a group is being written, the rows that arrive form the next one, so the
cost of one fsync is shared by all who came in the meantime and falls, per
ticket, as load rises. With no write under way a group leaves at the end of the
loop's turn, with everything that the turn brought.

    open group --writer idle, end of turn--> on its way --on disk--> commit settled
         ^ rows join                              '-- then the next one leaves, or before, with the first
                                                      row that finds the writer idle

A row says what follows from the state that all earlier rows will make. So a
group that fails takes every later one of its epoch with it:

    writer   fails group 5 of epoch 1; refuses 6 and 7, of epoch 1, unwritten; writes 8, of epoch 2
    loop     hears of 5: settles 5, 6, 7 and the open group as failed, in that order; begins
             epoch 2; then the answers leave. The writer's word on 6 and 7 comes later, and is not
             needed any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Callable

from bridge.broker.journal.base import AcceptRow, ChangeRow, Commit, Commits
from bridge.errors import StoreBusy


class Group:
    """Rows of one commit. `rest` are (sql, parameters) of the rare kinds, kept in order."""

    __slots__ = ("accepts", "changes", "rest", "commit", "epoch", "seconds", "is_written")

    def __init__(self, commit: Commit, epoch: int) -> None:
        self.accepts: list[AcceptRow] = []
        self.changes: list[ChangeRow] = []
        self.rest: list[tuple[str, tuple[Any, ...]]] = []
        self.commit = commit
        self.epoch = epoch  # the failures that were known when it was begun
        self.seconds = 0.0  # that writing it took
        self.is_written = (
            False  # or has failed; set by the writer's thread, before he tells the loop
        )

    def __len__(self) -> int:
        return len(self.accepts) + len(self.changes) + len(self.rest)


class Groups:
    """Hands the groups in their order to `write`, each of which must end in `written(group, error)`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, write: Callable[[Group], None]) -> None:
        self._loop = loop
        self._write = write
        self._open: Group | None = None
        self._under_way: deque[Group] = deque()
        self._epoch = 0
        self.commits = Commits()

    def joined(self) -> Group:
        """The open group; a new one starts here when there is none."""
        if self._open is None:
            self._open = Group(Commit(self._loop), self._epoch)
            if not self._under_way:
                self._loop.call_soon(self.leave)
        return self._open

    # Hot: once per ticket.
    def joined_anew(self) -> Group:
        """The same for the first row of a change: what is open leaves before it, when the writer has nothing to do.

        His word that a group is on disk waits for its turn in the loop, and a busy turn is as long as a sync. Rows that
        belong together stay together: only the first of them may come here.
        """
        if self._open is not None and self._under_way and self._under_way[-1].is_written:
            self.leave()
        return self.joined()

    def leave(self) -> None:
        """Send the open group, if there is one."""
        group, self._open = self._open, None
        if group is not None:
            self._under_way.append(group)
            self._write(group)

    def written(self, group: Group, error: StoreBusy | None) -> None:
        """Called on the loop when the group is on disk, or is not."""
        if group.epoch != self._epoch:
            return  # it went with the first failure of its epoch
        if error is not None:
            self.fail(error)
            return
        self._under_way.popleft()
        if not self._under_way:
            self.leave()
        self.commits.count(len(group), group.seconds)
        group.commit.set_result(None)

    def fail(self, error: StoreBusy) -> None:
        """Nothing that is on its way or open will be kept. Ends the epoch."""
        failed = [*self._under_way, *([self._open] if self._open is not None else [])]
        self._under_way.clear()
        self._open = None
        self._epoch += 1
        self.commits.failures += len(failed)
        for group in failed:
            group.commit.settle(error)
        for group in failed:
            group.commit.answer()

    def end(self, error: StoreBusy) -> None:
        """Nothing will ever be written again."""
        self._write = lambda group: self.written(group, error)
        self.fail(error)

    async def flush(self) -> None:
        """Wait until nothing is open and nothing is on its way."""
        while True:
            last = (
                self._open
                if self._open is not None
                else self._under_way[-1]
                if self._under_way
                else None
            )  # a group of no rows is false
            if last is None:
                return
            await last.commit

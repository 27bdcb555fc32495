"""Group commit: which rows are written together, and when a group is sent to the writer.

While a group is being written, new rows form the next group. So all of them share the
cost of one fsync, and the cost per ticket falls as load rises.

    open group ──writer idle, no more rows──► under way ──on disk──► commit settled
         ^ rows join                                          └─► then the next group may go

While the writer is idle, a group goes at the end of the loop's first turn that brings it no
more rows, and after GROWTH_TURNS turns at the latest. So a row alone goes at the end of its
own turn. Under load, one large group costs less than two small ones: each costs an fsync, and
several switches between the two threads. But a group of FULL rows goes at once. If it took all
that is under way, the loop would have nothing to do during the fsync.

A row is decided on the state that all earlier rows will make. So if a group fails,
every later one of its epoch fails too:

    writer   group 5 of epoch 1 fails; 6 and 7, of epoch 1, are refused; 8, of epoch 2, is written
    loop     at the failure of 5, it settles 5, 6, 7 and the open group as failed, in that order.
             Then it begins epoch 2, and the answers are sent. The writer's results for 6 and 7
             come later, and are ignored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Callable

from bridge.broker.journal.base import (
    BirthRow,
    ChangeRow,
    Commit,
    Commits,
    Proposal,
    RegistrationRow,
    SubscriptionRow,
)
from bridge.errors import StoreBusy

GROWTH_TURNS = 3  # turns of the loop that a group may grow while the writer is idle
FULL = 16  # rows


class Group:
    """Rows of one commit: those of its records, in order."""

    __slots__ = (
        "births", "changes", "agents", "subscriptions", "size", "commit", "epoch", "seconds",
    )  # fmt: skip

    def __init__(self, commit: Commit, epoch: int) -> None:
        self.births: list[BirthRow] = []
        self.changes: list[ChangeRow] = []
        self.agents: list[RegistrationRow] = []
        self.subscriptions: list[SubscriptionRow] = []
        self.size = 0  # rows
        self.commit = commit
        self.epoch = epoch  # the number of failures that were known when it was begun
        self.seconds = 0.0  # the time that the write took

    # Hot: once per ticket.
    def add(self, record: Proposal) -> None:
        """Add all rows of the record. If memory runs out, add none of them."""
        if isinstance(record, BirthRow):
            self.births.append(record)
            self.size += 1
            return
        lists: tuple[list[Any], ...] = self.births, self.changes, self.agents, self.subscriptions
        sizes = [len(rows) for rows in lists]
        try:
            for rows, more in zip(lists, record):
                rows += more
        except BaseException:
            for rows, size in zip(lists, sizes):
                del rows[size:]
            raise
        self.size = sum(map(len, lists))


class GroupCommit:
    """Passes the groups in order to `write`. Each must end in a call of `written(group, error)`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, write: Callable[[Group], None]) -> None:
        self._loop = loop
        self._write = write
        self._open: Group | None = None
        self._under_way: deque[Group] = deque()
        self._epoch = 0
        self.commits = Commits()

    # Hot: once per ticket.
    def joined(self) -> Group:
        """The open group, for a whole record. If there is none, begin one."""
        if self._open is not None and not self._under_way and self._open.size >= FULL:
            self.leave()
        if self._open is None:
            self._open = group = Group(Commit(self._loop), self._epoch)
            if not self._under_way:
                self._loop.call_soon(self._grow, group, 1, GROWTH_TURNS)
        return self._open

    def _grow(self, group: Group, size: int, turns: int) -> None:
        """Let the group go if the last turn brought it no rows, or if its turns are used up."""
        if group is not self._open or self._under_way:
            return  # it has failed or gone
        if group.size <= size or group.size >= FULL or not turns:
            self.leave()
        else:
            self._loop.call_soon(self._grow, group, group.size, turns - 1)

    def leave(self) -> None:
        """Send the open group, if there is one."""
        group, self._open = self._open, None
        if group is not None:
            self._under_way.append(group)
            self._write(group)

    def written(self, group: Group, error: StoreBusy | None) -> None:
        """Settle a group. Called on the loop when it is on disk or has failed."""
        if group.epoch != self._epoch:
            return  # settled already, with the first failure of its epoch
        if error is not None:
            self.fail(error)
            return
        self._under_way.popleft()
        if not self._under_way and self._open is not None:
            if self._open.size >= FULL:
                self.leave()  # before the answers to this group, which take as long as an fsync
            else:
                self._loop.call_soon(self._grow, self._open, self._open.size, GROWTH_TURNS)
        self.commits.count(group.size, group.seconds)
        group.commit.set_result(None)

    def fail(self, error: StoreBusy) -> None:
        """Fail all groups that are under way or open. A new epoch begins."""
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
        """Fail these and all future groups: the store is lost."""
        self._write = lambda group: self.written(group, error)
        self.fail(error)

    async def flush(self) -> None:
        """Wait until no group is open or under way."""
        while True:
            last = self._open or (self._under_way[-1] if self._under_way else None)
            if last is None:
                return
            await last.commit

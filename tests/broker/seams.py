"""Test doubles for the broker's seams.

The test decides when the journal succeeds, how much the outbox holds, and what time the clock
shows. A seam has a disk, a socket or time behind it. No part of the broker itself is replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Callable

from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.fronts.outbox import (
    encode_live,
    encode_reply_event,
    encode_ticket,
    encode_timeout,
)
from bridge.broker.hub import Hub
from bridge.broker.journal.base import (
    BirthRow,
    ChangeRow,
    Commit,
    Commits,
    Proposal,
    Record,
    StoreContents,
    SubscriptionRow,
)
from bridge.broker.live_event import LiveEvent
from bridge.broker.pace import Pace
from bridge.errors import Raced, StoreBusy
from bridge.wire.sse import EventStreamDecoder

WALL_MS = 1_700_000_000_000
FULL = StoreBusy("the disk is full")


class HandClock:
    """The monotonic and the wall clock. The test moves both."""

    def __init__(self) -> None:
        self.now = 1000.0  # monotonic seconds
        self.wall_ms = WALL_MS

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.wall_ms += int(seconds * 1000)

    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall_ms / 1000, monotonic=lambda: self.now)


class PacedHub(Hub):
    """A hub whose loop the test runs. Each read of its clock takes `seconds_a_look`."""

    def __init__(self) -> None:
        self.now, self.seconds_a_look = 1000.0, 0.0
        self.clock = Clock(wall=lambda: WALL_MS / 1000, monotonic=self._look)
        self.called: list[Callable[[], None]] = []
        self.rests: list[float] = []  # the delay in seconds of each call
        super().__init__(Pace(self.clock, self._call_in))

    def _call_in(self, seconds: float, work: Callable[[], None]) -> None:
        self.rests.append(seconds)
        self.called.append(work)

    def _look(self) -> float:
        self.now += self.seconds_a_look
        return self.now

    def turn(self) -> None:
        called = self.called[:]
        self.called.clear()
        for each in called:
            each()

    def turns(self) -> None:
        """Run turns until no call is scheduled."""
        while self.called:
            self.turn()


def make_entry(seq: int, agent: str = "lucy", data: bytes = b"{}", **more: Any) -> Entry:
    return Entry(seq, f"t{seq}", agent, data, WALL_MS, 30000, **more)


class Unwritten:
    """A commit group that the test has not settled yet."""

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.births: list[BirthRow] = []
        self.changes: list[ChangeRow] = []
        self.rest: list[tuple] = []


class ScriptedJournal:
    """The Journal seam. Rows join the open group until `close_group`.

    `settle` ends the groups in order, with success or with an error. A group that fails makes all
    unwritten groups fail, as the seam promises (rule 2). `accepted`, `states` and `subscriptions`
    hold what a disk would hold: the rows of the groups that succeeded, and no others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop or asyncio.get_running_loop()
        self.unwritten: list[Unwritten] = []
        self._is_open = False
        self.accepted: dict[int, BirthRow] = {}
        self.states: dict[int, ChangeRow] = {}
        self.subscriptions: dict[tuple[str, str], int] = {}  # (subscriber, agent) -> owed_seq
        self.pruned_before: list[int] = []

    def _joined(self) -> Unwritten:
        if not self._is_open:
            self.unwritten.append(Unwritten(Commit(self.loop)))
            self._is_open = True
        return self.unwritten[-1]

    def close_group(self) -> None:
        """Rows that come after this call go into the next group."""
        self._is_open = False

    def settle(self, error: StoreBusy | None = None) -> None:
        """Without an error, the oldest group is on disk. With one, all unwritten groups fail."""
        settled = self.unwritten[:1] if error is None else self.unwritten[:]
        del self.unwritten[: len(settled)]
        self._is_open = self._is_open and bool(self.unwritten)
        if error is None:
            self.accepted.update((row.seq, row) for row in settled[0].births)
            self.states.update((row.seq, row) for row in settled[0].changes)
            self._keep_subscriptions(settled[0])
        for group in settled:
            group.commit.settle(error)
        for group in settled:
            group.commit.answer()

    def _keep_subscriptions(self, group: Unwritten) -> None:
        for row in group.rest:
            if isinstance(row, SubscriptionRow):
                self.subscriptions.pop(row[:2], None)
                if row.owed_seq is not None:
                    self.subscriptions[row[:2]] = row.owed_seq

    def race(self) -> None:
        """The records of the oldest group were decided on a state that another one replaced."""
        group = self.unwritten.pop(0)
        self._is_open = self._is_open and bool(self.unwritten)
        group.commit.set_result(Raced("another broker was faster"))

    def propose(self, proposal: Proposal) -> Commit:
        record = Record((proposal,)) if isinstance(proposal, BirthRow) else proposal
        group = self._joined()
        group.births += record.births
        group.changes += record.changes
        group.rest += [*record.agents, *record.subscriptions]
        return group.commit

    def find(self, ticket_id: str) -> Entry | None:
        for seq, row in self.accepted.items():
            if row.ticket_id == ticket_id:
                entry = Entry(
                    seq,
                    ticket_id,
                    row.agent_id,
                    row.body.encode(),
                    row.created_ms,
                    row.timeout_ms,
                    row.ttl_ms,
                )
                state = self.states.get(seq)
                entry.restore(
                    *(
                        (state.status, state.updated_ms, state.memo)
                        if state
                        else ("pending", 0, None)
                    ),
                    0,
                    0.0,
                )
                return entry
        return None

    def read_before(self, seq: int) -> None:
        return None

    def load(self, wall_ms: int, now: float) -> StoreContents:
        return StoreContents()

    def commits(self) -> Commits:
        return Commits()

    def prune(self, before_ms: int) -> None:
        self.pruned_before.append(before_ms)

    def copy(self) -> None:
        return None

    def look(self) -> None:
        pass

    def lost(self) -> None:
        return None

    async def flush(self) -> None:
        while self.unwritten:
            await self.unwritten[-1].commit

    async def aclose(self) -> None:
        await self.flush()


class BoundedOutbox:
    """The Outbox seam. What is written waits until `read_all`; it is full at `limit` writes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.waiting = 0  # writes that the peer has not read
        self.is_finished = False
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self._decoder = EventStreamDecoder()
        self.events: list[Any] = []

    def send_tickets(self, entries: Sequence[Entry], is_shared: bool) -> bool:
        return self._take(b"".join(encode_ticket(entry, is_shared) for entry in entries))

    def send_reply(self, entry: Entry) -> None:
        self._take(encode_reply_event(entry))

    def send_no_reply(self, entry: Entry, status: str) -> None:
        self._take(encode_timeout(entry, status))

    def send_event(self, event: LiveEvent) -> None:
        self._take(encode_live(event))

    def _take(self, data: bytes) -> bool:
        assert not self.is_finished, "written after `finish`"
        self.waiting += 1
        self.events += self._decoder.feed(data)
        return True

    def has_room(self) -> bool:
        return self.waiting < self.limit and not self.is_finished

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        self.timers.append((seconds, step))

    def finish(self) -> None:
        self.is_finished = True

    def read_all(self) -> None:
        """The peer reads all waiting events."""
        self.waiting = 0

    @property
    def seqs(self) -> list[int]:
        return [int(event.last_event_id) for event in self.events]


class CopiedBytes:
    """A copy of a store, as `Journal.copy` returns one, of `size` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_closed = False

    def join(self, wake: Callable[[], None]) -> Callable[[], None]:
        return asyncio.get_running_loop().call_soon(wake).cancel

    def result(self) -> None:
        return None

    def read(self, size: int) -> bytes:
        return b"x" * size

    def close(self) -> None:
        self.is_closed = True

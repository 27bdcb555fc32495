"""The seam between the ledger and the disk.

Rule 1: a record is what belongs together: all of its rows are kept, or none. It joins
the open group and gets that group's Commit. Its result is None when the whole group is
on disk (fsync). Otherwise it is a StoreBusy with the reason, and none of the group is
kept. Or it is a Raced: a journal with several writers did not keep the record, because
one of its `heads` is no longer the newest state. SQLite and memory have one writer, and
never give it.
Rule 2: groups are committed in the order in which their rows came. If a group fails,
every group that was begun before the failure was known fails too: its rows may depend
on lost ones (group_commit.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Protocol, Union

from bridge.broker.entry import Entry, TicketState
from bridge.broker.journal.backup import StoreCopy
from bridge.broker.metrics.histogram import Histogram
from bridge.errors import BridgeError, Raced, StoreBusy
from bridge.ticket import Agent

Failure = Union[StoreBusy, Raced]  # why a record was not kept
SIZE_BOUNDS = tuple(1 << power for power in range(12))  # rows of a group: 1 to 2048


class Commit:
    """The outcome of one group: like an asyncio.Future, but its callbacks run in one go, in order.

    A future schedules each callback on the loop with a context of its own, which is too expensive
    once per ticket.

    Effects change memory. Callbacks answer, and an answer may lead to the next decision. So all
    effects run before the first callback.
    """

    __slots__ = ("_loop", "_effects", "_callbacks", "_error", "_is_done")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._effects: list[Callable[[Commit], None]] = []
        self._callbacks: list[Callable[[Commit], None]] = []
        self._error: Failure | None = None
        self._is_done = False

    @property
    def is_done(self) -> bool:
        return self._is_done

    def result(self) -> Failure | None:
        """None if it is on disk, else the reason why not. Call it only when it is done."""
        assert self._is_done, "asked before it is known"
        return self._error

    def add_effect(self, effect: Callable[[Commit], None]) -> None:
        """Call `effect(self)` when the outcome is known, before every callback."""
        assert not self._is_done, "rows join a group that is open"
        self._effects.append(effect)

    # Hot: once per ticket.
    def add_done_callback(self, callback: Callable[[Commit], None]) -> None:
        """Call `callback(self)` when the outcome is known; if it is, in the loop's next turn."""
        if self._is_done:
            self._loop.call_soon(callback, self)
        else:
            self._callbacks.append(callback)

    def set_result(self, error: Failure | None) -> None:
        self.settle(error)
        self.answer()

    def settle(self, error: Failure | None) -> None:
        """Set the outcome and run the effects. `answer` must follow."""
        self._error, self._is_done = error, True
        self._effects = self._run(self._effects)

    def answer(self) -> None:
        """Run the callbacks."""
        self._callbacks = self._run(self._callbacks)

    def _run(self, callbacks: list[Callable[[Commit], None]]) -> list[Callable[[Commit], None]]:
        for callback in callbacks:
            try:
                callback(self)
            except Exception as failure:
                # Like the loop: a failing callback must not stop the next ones.
                self._loop.call_exception_handler(
                    {"message": "a commit's callback failed", "exception": failure}
                )
        return []

    def __await__(self) -> Generator[Any, None, Failure | None]:
        """`await commit` returns the result when it is known."""
        known: asyncio.Future[None] = self._loop.create_future()
        # If `known` is done already, the waiting task was cancelled.
        self.add_done_callback(lambda commit: None if known.done() else known.set_result(None))
        yield from known
        return self._error


class BirthRow(NamedTuple):
    """A new ticket; `body` is its JSON."""

    seq: int
    ticket_id: str
    agent_id: str
    body: str
    created_ms: int
    timeout_ms: int
    ttl_ms: int


class ChangeRow(NamedTuple):
    """The whole state of a ticket. `finished_ms` is None while it is pending."""

    status: str
    updated_ms: int
    memo: str
    finished_ms: int | None
    seq: int


class RegistrationRow(NamedTuple):
    """An agent's registration as JSON. None removes it."""

    agent_id: str
    registration: str | None


class SubscriptionRow(NamedTuple):
    """A subscription, and the seq up to which tickets are owed to it. None gives it up."""

    subscriber: str
    agent_id: str
    owed_seq: int | None


class Record(NamedTuple):
    """Rows that belong together."""

    births: Sequence[BirthRow] = ()
    changes: Sequence[ChangeRow] = ()
    agents: Sequence[RegistrationRow] = ()
    subscriptions: Sequence[SubscriptionRow] = ()
    # What each change was decided on, and then each agent's row: the newest state at that time.
    heads: Sequence[TicketState | Agent | None] = ()


# A birth alone is a record too. It is the usual one, and goes without a second object.
Proposal = Union[Record, BirthRow]


@dataclass(frozen=True)
class StoreContents:
    """The contents of a store when it was opened."""

    last_seq: int = 0
    pending: list[Entry] = field(default_factory=list)  # in seq order
    agents: list[dict[str, object]] = field(default_factory=list)
    # (subscriber, agent, owed up to seq)
    subscriptions: list[tuple[str, str, int]] = field(default_factory=list)
    newest_ms: int = 0  # the latest wall-clock time in it


class Commits:
    """Counters of group commit since start."""

    def __init__(self) -> None:
        self.sizes = Histogram(SIZE_BOUNDS)  # rows
        self.durations = Histogram()  # seconds
        self.failures = 0

    def count(self, rows: int, seconds: float) -> None:
        self.sizes.observe(rows)
        self.durations.observe(seconds)


class Journal(Protocol):
    def load(self, wall_ms: int, now: float) -> StoreContents:
        """The contents of the store. Raises StoreError.

        `now` is monotonic, and `wall_ms` is the same instant on the wall clock.
        """

    def commits(self) -> Commits: ...

    def propose(self, record: Proposal) -> Commit:
        """Keep the whole record, or none of it. If this raises, none of it is proposed."""

    def find(self, ticket_id: str) -> Entry | None:
        """Read a ticket that memory no longer holds."""

    def read_before(self, seq: int) -> Generator[Entry, None, None] | None:
        """Tickets with a smaller seq, newest first, read lazily. The caller must close it.

        None: this journal keeps nothing.
        """

    def prune(self, before_ms: int) -> None:
        """Remove, in small steps, the tickets that were finished before `before_ms`."""

    def copy(self) -> StoreCopy | None:
        """Begin a copy of the store as it is now. Raises RequestError.

        None: this journal keeps nothing.
        """

    def look(self) -> None:
        """Check that the store is still there. Part of each sweep."""

    def lost(self) -> BridgeError | None:
        """The reason why nothing can be written any more; None while it can. Never waits."""

    async def flush(self) -> None:
        """Wait until every row is on disk."""

    async def aclose(self) -> None:
        """Write the open group, then close."""

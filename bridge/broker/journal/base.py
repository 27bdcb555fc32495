"""The seam between the ledger and the disk.

Rule 1: every write joins the open group and gets that group's future. The
future's result is None when the whole group is on disk (fsync), or the
StoreBusy that says why none of it is.
Rule 2: groups are committed in the order in which their rows came.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Generator, NamedTuple, Optional, Protocol

from bridge.broker.entry import Entry
from bridge.errors import StoreBusy


class AcceptRow(NamedTuple):
    """A new ticket; `body` is its JSON."""

    seq: int
    ticket_id: str
    agent_id: str
    body: str
    created_ms: int
    timeout_ms: int
    ttl_ms: int


class ChangeRow(NamedTuple):
    """The state of a ticket, whole; `finished_ms` is None while it is pending."""

    status: str
    updated_ms: int
    memo: str
    finished_ms: Optional[int]
    seq: int


@dataclass(frozen=True)
class Kept:
    """What a store held when it was opened."""

    last_seq: int = 0
    pending: list[Entry] = field(default_factory=list)  # in seq order
    agents: list[dict[str, object]] = field(default_factory=list)
    subscriptions: list[tuple[str, str, int]] = field(default_factory=list)  # (subscriber, agent, owed up to seq)


@dataclass(frozen=True)
class Commits:
    """What group commit has done since start."""

    groups: int = 0
    rows: int = 0
    seconds: float = 0.0


class Journal(Protocol):
    def load(self, wall_ms: int, now: float) -> Kept:
        """What was kept; `now` is monotonic, `wall_ms` the same instant on the wall. Raises StoreError."""

    def commits(self) -> Commits: ...

    def accept(self, row: AcceptRow) -> asyncio.Future[Optional[StoreBusy]]: ...

    def change(self, row: ChangeRow) -> asyncio.Future[Optional[StoreBusy]]: ...

    def put_agent(self, agent_id: str, record: Optional[str]) -> asyncio.Future[Optional[StoreBusy]]:
        """Keep an agent's registration as JSON; None removes it."""

    def put_subscription(self, subscriber: str, agent_id: str, owed_seq: Optional[int]) -> asyncio.Future[Optional[StoreBusy]]:
        """Keep a subscription; None removes it."""

    def find(self, ticket_id: str) -> Optional[Entry]:
        """Read a ticket that memory no longer holds."""

    def read_before(self, seq: int) -> Optional[Generator[Entry, None, None]]:
        """Tickets with a smaller seq, newest first, read as they are asked for; to be closed. None: nothing is kept here."""

    def prune(self, before_ms: int) -> None:
        """Forget, in small steps, the tickets that were finished before then."""

    async def flush(self) -> None:
        """Wait until every row that was given is on disk."""

    async def aclose(self) -> None:
        """Write what is open, then close."""

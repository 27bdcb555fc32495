"""The tickets that a watcher holds between the broker and its sink: in order, each once.

    waiting ──claim──► claimed ──inject──► injected ──ack──► (finished, its id is kept)
       │  └───────inject, of a broker without claims──▲
       └──────────drop: another watcher has finished it──────► (finished, its id is kept)

       waiting, claimed ──set aside──► waiting, behind all that are not aside

Rule 1: the head is the urgent ticket with the lowest seq, else the ticket with the lowest seq.
        One exception: a ticket whose text the sink already holds goes first, because no
        other can be delivered before it.
Rule 2: an injected ticket can never be injected again. Only its acknowledgement follows.
Rule 3: a head that must wait (another watcher holds its lease) makes its successors wait, or
        the order would break.
Rule 4: a ticket that was tried for long enough may be set aside. The others pass it, in their
        own order, later arrivals too. It becomes the head again when no other ticket is left,
        or when its time aside is over. So no ticket is lost.

Bounds: the line holds `capacity` tickets, and as many may be set aside. When the line is full,
`offer` returns False, and the broker keeps the rest (recipient.py). When the limit of set-aside
tickets is reached, `set_aside` returns False, and the line waits (rule 3). The ids of the
last `remembered` finished tickets are kept, because a late answer may contain one again.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Callable

from bridge.ticket import Ticket


class InboxStage(enum.Enum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    INJECTED = "injected"
    FINISHED = "finished"


class InboxStep(enum.Enum):
    CLAIM = "claim"
    INJECT = "inject"
    ACK = "ack"
    DROP = "drop"
    ASIDE = "set aside"


NEXT_STAGE = {
    (InboxStage.WAITING, InboxStep.CLAIM): InboxStage.CLAIMED,
    # A broker of the older deployment has no claims.
    (InboxStage.WAITING, InboxStep.INJECT): InboxStage.INJECTED,
    (InboxStage.WAITING, InboxStep.DROP): InboxStage.FINISHED,
    (InboxStage.WAITING, InboxStep.ASIDE): InboxStage.WAITING,
    (InboxStage.CLAIMED, InboxStep.CLAIM): InboxStage.CLAIMED,  # renewed
    (InboxStage.CLAIMED, InboxStep.ASIDE): InboxStage.WAITING,  # the next try claims it anew
    (InboxStage.CLAIMED, InboxStep.INJECT): InboxStage.INJECTED,
    (InboxStage.CLAIMED, InboxStep.DROP): InboxStage.FINISHED,
    (InboxStage.INJECTED, InboxStep.ACK): InboxStage.FINISHED,
}


@dataclass
class InboxItem:
    """One held ticket. Only the inbox changes it."""

    ticket: Ticket
    arrival: int
    stage: InboxStage = InboxStage.WAITING
    held_until: float = 0.0  # the caller's clock
    failures: int = 0  # tries that failed
    aside_until: float | None = None  # the caller's clock; None = it was never set aside
    stuck_at: float | None = None  # the caller's clock; None = not unconfirmed in the sink
    evidence: dict[str, object] | None = None

    def is_aside(self, now: float) -> bool:
        return self.aside_until is not None and now < self.aside_until

    @property
    def rank(self) -> tuple[bool, int, int]:
        return (not self.ticket.is_urgent, self.ticket.seq, self.arrival)


class Inbox:
    """Held tickets of one agent. No method waits; the clock is an argument."""

    def __init__(self, capacity: int, remembered: int) -> None:
        self._capacity = capacity
        self._remembered = remembered
        self._held: dict[str, InboxItem] = {}
        self._finished: OrderedDict[str, None] = OrderedDict()
        self._arrivals = 0
        self._set_aside = 0  # tickets set aside; they take no room in the line

    def __len__(self) -> int:
        return len(self._held)

    @property
    def is_full(self) -> bool:
        return self.room <= 0

    @property
    def room(self) -> int:
        """How many more tickets it may take."""
        return self._capacity - len(self._held) + self._set_aside

    def held(self) -> Collection[str]:
        """A live view of the ids of all held tickets."""
        return self._held.keys()

    def has_seen(self, ticket_id: str) -> bool:
        return ticket_id in self._held or ticket_id in self._finished

    def offer(self, ticket: Ticket) -> bool:
        """Take a ticket, unless it is known already. False only when there is no room for it."""
        if self.has_seen(ticket.ticket_id):
            return True
        if self.is_full:
            return False
        self._arrivals += 1
        self._held[ticket.ticket_id] = InboxItem(ticket, self._arrivals)
        return True

    def head(
        self, is_owed: Callable[[str], bool] = lambda ticket_id: False, now: float = 0.0
    ) -> InboxItem | None:
        """The next ticket; its `held_until` may lie in the future.

        `is_owed`: does the sink hold this ticket's text?
        """

        def turn(entry: InboxItem) -> tuple[bool, bool, bool, tuple[bool, int, int]]:
            # An injected ticket goes first whatever its rank: nothing may delay its
            # acknowledgement.
            is_owing = entry.stage is InboxStage.INJECTED
            return (
                not is_owing,
                entry.is_aside(now),
                not is_owed(entry.ticket.ticket_id),
                entry.rank,
            )

        return min(self._held.values(), key=turn, default=None)

    def claim(self, ticket_id: str) -> None:
        self._step(ticket_id, InboxStep.CLAIM)

    def inject(self, ticket_id: str, evidence: dict[str, object]) -> None:
        self._step(ticket_id, InboxStep.INJECT).evidence = evidence

    def ack(self, ticket_id: str) -> None:
        self._step(ticket_id, InboxStep.ACK)

    def drop(self, ticket_id: str) -> None:
        self._step(ticket_id, InboxStep.DROP)

    def hold(self, ticket_id: str, until: float) -> None:
        """Do not try this ticket again before `until`."""
        self._held[ticket_id].held_until = until

    def fail(self, ticket_id: str) -> int:
        """Count one more failed try, and return the count."""
        entry = self._held[ticket_id]
        entry.failures += 1
        return entry.failures

    def stuck_since(self, ticket_id: str, now: float) -> float:
        """When this ticket was first reported as stuck: earlier, or now."""
        entry = self._held[ticket_id]
        entry.stuck_at = now if entry.stuck_at is None else entry.stuck_at
        return entry.stuck_at

    def set_aside(self, ticket_id: str, until: float, most: int | None = None) -> bool:
        """Let all others pass this one until then.

        False, and nothing changes, if the limit is reached: `most`, or the capacity. Raises
        ValueError for an injected ticket.
        """
        item = self._held[ticket_id]
        is_new = item.aside_until is None
        limit = self._capacity if most is None else min(most, self._capacity)
        is_legal = (item.stage, InboxStep.ASIDE) in NEXT_STAGE
        if is_legal and is_new and self._set_aside >= limit:
            return False
        self._step(ticket_id, InboxStep.ASIDE).aside_until = until
        self._set_aside += is_new
        return True

    def _step(self, ticket_id: str, action: InboxStep) -> InboxItem:
        entry = self._held[ticket_id]
        try:
            entry.stage = NEXT_STAGE[entry.stage, action]
        except KeyError:
            raise ValueError(
                f"{action.value} cannot happen to a ticket that is {entry.stage.value}"
            ) from None
        if entry.stage is InboxStage.FINISHED:
            del self._held[ticket_id]
            self._set_aside -= entry.aside_until is not None
            self._remember(ticket_id)
        return entry

    def _remember(self, ticket_id: str) -> None:
        self._finished[ticket_id] = None
        while len(self._finished) > self._remembered:
            self._finished.popitem(last=False)

"""The account of a load: what became of each ticket. Pure; the clock is an argument.

    post ──► accept ──► receive (first) ──► release, when it is acknowledged
      └─► refuse          └─► receive again: doubled on the same connection, repeated on a later one

Rule 1: a lost ticket is one that was accepted and never arrived. A send without an answer may
have been accepted: it can arrive, and does not count as lost.
Rule 2: within one connection a ticket arrives once. After a reconnect a ticket
that is not yet acknowledged may arrive again: at least once.
Rule 3: 21 bytes a ticket and 8 an answer, in every case.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.bench.figures import Latency, latency_of
from bridge.settings import LoadSettings

OUTSTANDING, ACCEPTED = 1, 2  # bits of a ticket's state
NOBODY = 0  # no connection yet; connections count from 1
NEVER = -1.0
ON_TIME = 0.95  # share of a rate; less counts as not reached


class Account:
    """Tickets by number, from 0 on."""

    def __init__(self) -> None:
        self._posted_at = array("d")
        self._latency = array("d")
        self._connection = array("I")
        self._state = bytearray()
        self._answers = array("d")
        self.outstanding = 0  # tickets under way or not yet acknowledged
        self.received = 0  # each ticket once
        self.doubled = 0
        self.repeated = 0
        self.strangers = 0  # events without a ticket of this load
        self.errors: Counter[str] = Counter()

    @property
    def posted(self) -> int:
        return len(self._state)

    @property
    def accepted(self) -> int:
        return len(self._answers)

    def post(self, now: float) -> int:
        """The number of the next ticket, which is sent now."""
        self._posted_at.append(now)
        self._latency.append(NEVER)
        self._connection.append(NOBODY)
        self._state.append(OUTSTANDING)
        self.outstanding += 1
        return len(self._state) - 1

    def accept(self, number: int, now: float) -> None:
        self._state[number] |= ACCEPTED
        self._answers.append(now - self._posted_at[number])

    def refuse(self, number: int, reason: str) -> None:
        """The ticket was refused, or its send got no answer."""
        self.errors[reason] += 1
        self.release(number)

    def receive(self, number: int, connection: int, now: float) -> bool:
        """A ticket arrived on a connection. True the first time."""
        if not 0 <= number < len(self._state):
            self.strangers += 1
            return False
        before, self._connection[number] = self._connection[number], connection
        if before == NOBODY:
            self._latency[number] = now - self._posted_at[number]
            self.received += 1
        elif before == connection:
            self.doubled += 1
        else:
            self.repeated += 1
        return before == NOBODY

    def release(self, number: int) -> None:
        """Nothing more is expected of the ticket."""
        if self._state[number] & OUTSTANDING:
            self._state[number] ^= OUTSTANDING
            self.outstanding -= 1

    def lost(self) -> list[int]:
        """The numbers of accepted tickets that have not arrived so far."""
        return [
            number
            for number, state in enumerate(self._state)
            if state & ACCEPTED and self._connection[number] == NOBODY
        ]

    def close(
        self,
        url: str,
        settings: LoadSettings,
        seconds: float,
        cpu_percent: float,
        lost_pending: int,
        refusal: str,
    ) -> Result:
        """The account as a value."""
        return Result(
            url=url,
            settings=settings,
            seconds=seconds,
            sent=self.posted,
            accepted=self.accepted,
            received=self.received,
            lost=len(self.lost()),
            lost_pending=lost_pending,
            doubled=self.doubled,
            repeated=self.repeated,
            strangers=self.strangers,
            latency=latency_of(each for each in self._latency if each != NEVER),
            answers=latency_of(self._answers),
            errors=dict(sorted(self.errors.items())),
            refusal=refusal,
            cpu_percent=cpu_percent,
        )


@dataclass(frozen=True)
class Result:
    """The final figures of a load."""

    url: str
    settings: LoadSettings
    seconds: float  # of sending
    sent: int
    accepted: int
    received: int
    lost: int
    lost_pending: int  # of the lost ones, those that the broker still held
    doubled: int
    repeated: int
    strangers: int
    latency: Latency  # from POST to the first arrival
    answers: Latency  # from POST to its 202
    errors: Mapping[str, int]
    refusal: str  # the reason of the broker's first refusal; "" = none
    cpu_percent: float  # of the load itself, while it sent

    @property
    def received_per_second(self) -> float:
        return self.received / self.seconds

    @property
    def is_behind(self) -> bool:
        """The requested rate was not reached."""
        return self.sent < ON_TIME * self.settings.rate * self.seconds

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.strangers or self.errors)

    def to_json(self) -> dict[str, object]:
        return {
            "url": self.url,
            "streams": self.settings.streams,
            "rate": self.settings.rate,
            "publishers": self.settings.publishers,
            "seconds": round(self.seconds, 3),
            "sent": self.sent,
            "accepted": self.accepted,
            "received": self.received,
            "receivedPerSecond": round(self.received_per_second, 1),
            "lost": self.lost,
            "lostPending": self.lost_pending,
            "doubled": self.doubled,
            "repeated": self.repeated,
            "strangers": self.strangers,
            "latency": self.latency.to_json(),
            "answers": self.answers.to_json(),
            "errors": dict(self.errors),
            "refusal": self.refusal or None,
            "loadCpuPercent": round(self.cpu_percent, 1),
        }

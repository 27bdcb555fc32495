"""Which tier should the watcher use now?

Rule 1: every change of tier happens in this file.
Rule 2: this file has no sockets and no clock. Its callers report what happened.

    STREAM --failed--> LONG_POLL --failed--> POLL
      ^------probe ok-----'  ^-----probe ok----'

We climb one step at a time, so that a proxy that breaks streams but
passes long requests keeps us on the middle step instead of the lowest.
A single failure proves little, because a restart of the broker also breaks a stream.
So a step down takes several failures in a row, or one proof that the tier cannot work
here. An absent broker is no evidence against any tier.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Tier(enum.Enum):
    STREAM = "sse"
    LONG_POLL = "longpoll"
    POLL = "poll"


class Signal(enum.Enum):
    FAILED = "failed"
    PROBE_OK = "probe-ok"


NEXT_TIER = {
    (Tier.STREAM, Signal.FAILED): Tier.LONG_POLL,
    (Tier.LONG_POLL, Signal.FAILED): Tier.POLL,
    (Tier.LONG_POLL, Signal.PROBE_OK): Tier.STREAM,
    (Tier.POLL, Signal.FAILED): Tier.POLL,  # nothing lower; stay and back off
    (Tier.POLL, Signal.PROBE_OK): Tier.LONG_POLL,
}


def step(tier: Tier, signal: Signal) -> Tier:
    """The table as a function; ValueError for what cannot happen."""
    try:
        return NEXT_TIER[tier, signal]
    except KeyError:
        raise ValueError(f"{signal.value} cannot happen on {tier.value}") from None


@dataclass(frozen=True)
class Change:
    """One change of tier and its reason, for one log line."""

    before: Tier
    after: Tier
    reason: str


class TierMachine:
    """The current tier. `top` is the one the user chose; we never climb above it."""

    def __init__(self, top: Tier, step_down_after: int) -> None:
        self.top = top
        self.tier = top
        self.changes = 0
        self._step_down_after = step_down_after
        self._failures = 0

    @property
    def above(self) -> Tier | None:
        """The tier a probe should try, None at the top."""
        return None if self.tier is self.top else step(self.tier, Signal.PROBE_OK)

    def fail(self, reason: str, is_proof: bool = False) -> Change | None:
        """The tier failed. `is_proof`: it cannot work here, however often we try."""
        self._failures += 1
        if is_proof or self._failures >= self._step_down_after:
            return self._move(Signal.FAILED, reason)
        return None

    def hold(self) -> None:
        """The tier has worked for a while: forget its failures."""
        self._failures = 0

    def climb(self) -> Change | None:
        """A probe of the tier above succeeded."""
        return self._move(Signal.PROBE_OK, "the tier above works")

    def _move(self, signal: Signal, reason: str) -> Change | None:
        before, self.tier, self._failures = self.tier, step(self.tier, signal), 0
        if self.tier is before:
            return None
        self.changes += 1
        return Change(before, self.tier, reason)

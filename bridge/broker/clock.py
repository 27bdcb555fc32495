"""The two clocks, as one argument.

The wall clock is for people and for the wire, the monotonic one for durations.
The wall clock may be wrong, for a while or for good. A decision that cannot be undone (the removal
of an old ticket) waits until it has kept pace with the monotonic clock for HOLD. A machine that
slept looks like one whose clock was set. It waits too, which does no harm.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Clock:
    wall: Callable[[], float] = time.time  # seconds since the epoch; may jump
    monotonic: Callable[[], float] = time.monotonic  # seconds; never jumps

    def wall_ms(self) -> int:
        return int(self.wall() * 1000)


JUMP = 3600.0  # seconds apart; a slew or a leap second is far less, a wrong date far more
HOLD = 3600.0  # seconds; a time server sets a clock within minutes of its start


class JumpWatch:
    """Can the wall clock be trusted? `newest_ms` is the latest instant in the store, or 0."""

    def __init__(self, clock: Clock, newest_ms: int) -> None:
        self._clock = clock
        self._apart = self._now_apart()
        is_plausible = not newest_ms or abs(clock.wall_ms() - newest_ms) < JUMP * 1000
        self._since = float("-inf") if is_plausible else clock.monotonic()

    def _now_apart(self) -> float:
        return self._clock.wall() - self._clock.monotonic()

    def is_steady(self) -> bool:
        """Return whether there was no jump for HOLD. Call it often: each call looks for a jump."""
        apart, now = self._now_apart(), self._clock.monotonic()
        if abs(apart - self._apart) > JUMP:
            self._apart, self._since = apart, now
        return now - self._since >= HOLD

"""How much of one turn of the event loop requests may take, and what is next after that.

    bytes came ──► time left in this turn? ──yes──► the requests are answered at once
                        └──no──► the queue ──► later turns: one step of each, round robin

Rule 1: a turn gives BUDGET seconds to requests that have just arrived, and BUDGET seconds to the
queue. So a peer that sends a thousand requests in one write waits, and other peers do not.
Rule 2: one step is one request, or one part of a long one (reply.Steps). A step is never
interrupted, so each must be short.
Rule 3: after a whole budget the queue pauses for as long as it ran. The loop then waits in select,
and the writer thread gets the GIL. Otherwise each of its system calls would wait for a budget.
Rule 4: a request with a large body is queued at once, because its JSON takes long to read.
Rule 5: cheap requests schedule nothing here: a run below CHEAP seconds is not counted.
Rule 6: a connection whose peer sends a large body, or bytes that nothing will answer, rests after
each read. RESTS_END of them read again each REST seconds. A peer on the same machine fills the
receive buffer as fast as it is read, and the loop would do little else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Callable

from bridge.broker.clock import Clock

BUDGET = 0.002  # seconds; event-loop lag stays at a small multiple of it
LARGE = 32768  # bytes of a body; takes up to a quarter of a millisecond to decode and encode
CHEAP = 0.0005  # seconds; the time of several usual requests
REST = 0.002  # seconds
RESTS_END = 4  # with a receive buffer of 64 KiB: 128 MiB a second, for all connections


class LoopBudget:
    """One for all connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.is_used_up = False  # by requests that arrived in this turn
        self._loop, self._clock = loop, clock
        self._used = 0.0
        self._line: deque[Callable[[], None]] = deque()
        self._is_serving = self._is_refilling = False  # scheduled for a later turn
        self._resting: deque[Callable[[], None]] = deque()

    # Hot, as the next one: once per request.
    def is_over(self, began: float) -> bool:
        """Return whether a run that began then must leave the rest to the queue."""
        return self._used + self._clock.monotonic() - began > BUDGET

    def spend(self, began: float) -> None:
        """Count a run that began then and has ended now."""
        seconds = self._clock.monotonic() - began
        if seconds > CHEAP:
            self._used += seconds
            self.is_used_up = self._used > BUDGET
            if not self._is_refilling:
                self._is_refilling = True
                self._loop.call_soon(self._refill)

    def _refill(self) -> None:
        """A new turn begins with a whole budget."""
        self._used, self.is_used_up, self._is_refilling = 0.0, False, False

    def queue(self, step: Callable[[], None]) -> None:
        """Call `step` once, when it is at the head of the queue."""
        self._line.append(step)
        if not self._is_serving:
            self._is_serving = True
            self._loop.call_soon(self._serve)

    def _serve(self) -> None:
        began, seconds = self._clock.monotonic(), 0.0
        try:
            while self._line and seconds <= BUDGET:
                self._line.popleft()()
                seconds = self._clock.monotonic() - began
        finally:
            self._is_serving = bool(self._line)
            if self._line:
                self._loop.call_later(seconds, self._serve)

    def rest(self, read_again: Callable[[], None]) -> None:
        """Call `read_again` after a rest, and after those that rest already."""
        if not self._resting:
            self._loop.call_later(REST, self._end_rests)
        self._resting.append(read_again)

    def _end_rests(self) -> None:
        try:
            for _ in range(min(RESTS_END, len(self._resting))):
                self._resting.popleft()()
        finally:  # a failed one must not leave the others at rest for ever
            if self._resting:
                self._loop.call_later(REST, self._end_rests)

"""The sweep: it looks at all timed connections, and ends those that are overdue.

The kernel frees what the peer of an ended connection has sent. For some peers that takes a
millisecond, so a turn of the loop ends only a few connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from bridge.broker.clock import Clock

LOOKS = 1000  # connections that one turn of the loop looks at
ENDS = 8  # connections that it closes or refuses
REST = 0.002  # seconds between two turns of a sweep


class Timed(Protocol):
    def sweep(self, now: float) -> bool:
        """Close the connection if it is overdue. Return whether that was begun."""


class Sweep:
    """One for all connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop, self._clock = loop, clock
        self._left: list[Timed] = []

    def begin(self, connections: Iterable[Timed]) -> None:
        """Sweep these, unless the last sweep is still under way."""
        if not self._left:
            self._left = list(connections)
            self._go_on()

    def _go_on(self) -> None:
        now, ended = self._clock.monotonic(), 0
        try:
            for _ in range(min(LOOKS, len(self._left))):
                ended += self._left.pop().sweep(now)
                if ended == ENDS:
                    break
        finally:  # a failed one must not end the sweeps of all others
            if self._left:
                self._loop.call_later(REST, self._go_on)

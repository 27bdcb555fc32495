"""One timer for the heartbeats of every stream.

A heap holds each stream once. Its key is the time when a heartbeat is due if
nothing is written before. An event does not touch the heap. If a stream is due
but was written to meanwhile, it goes back into the heap with a later time.
So a stream costs one heap step per interval, busy or idle.
"""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

from bridge.broker.clock import Clock
from bridge.broker.fronts.outbox import StreamOutbox

# Heartbeats that one turn of the loop writes. 10,000 streams that were opened together are due
# together.
BEATS_PER_TURN = 500


class Heartbeats:
    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, interval: float) -> None:
        self._loop, self._clock, self._interval = loop, clock, interval
        self._due: list[tuple[float, int, StreamOutbox]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, outbox: StreamOutbox) -> None:
        self._push(outbox, outbox.wrote_at + self._interval)
        if self._timer is None:
            self._arm()

    def _push(self, outbox: StreamOutbox, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._order), outbox))

    def _arm(self) -> None:
        self._timer = self._loop.call_later(
            max(0.0, self._due[0][0] - self._clock.monotonic()), self._run
        )

    def _run(self) -> None:
        self._timer = None
        now, beats = self._clock.monotonic(), 0
        while self._due and self._due[0][0] <= now and beats < BEATS_PER_TURN:
            _, _, outbox = heapq.heappop(self._due)
            if outbox.is_closed:
                continue
            due = outbox.wrote_at + self._interval
            if due <= now:
                outbox.beat()
                beats += 1
                due = now + self._interval
            self._push(outbox, due)
        if self._due:
            self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()

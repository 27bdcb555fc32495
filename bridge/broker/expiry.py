"""Tickets with a time to live, soonest first.

Rule 1: a ticket that a watcher has claimed expires only when its lease has run
out too; it may be half typed by now.
Rule 2: entries that are finished already stay in the heap until their time, or
until they are more than half of it.
"""

from __future__ import annotations

import heapq

from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.broker.metrics import Metrics
from bridge.broker.transitions import expired

SWEEP_MIN = 1000  # entries below which the heap is not swept


class Expiry:
    def __init__(self, ledger: Ledger, clock: Clock, metrics: Metrics) -> None:
        self._ledger, self._clock, self._metrics = ledger, clock, metrics
        self._heap: list[tuple[float, int, Entry]] = []
        self._swept_size = SWEEP_MIN

    def run(self) -> None:
        """Expire what is due."""
        now = self._clock.monotonic()
        self._take_new()
        while self._heap and self._heap[0][0] <= now:
            _, seq, entry = heapq.heappop(self._heap)
            head = entry.head
            if head.is_final:
                continue
            if head.claim and head.claim.until > now:
                heapq.heappush(self._heap, (head.claim.until, seq, entry))
                continue
            self._ledger.propose(entry, expired(head, self._clock.wall_ms()))
            self._metrics.expired += 1
            heapq.heappush(self._heap, (now + 1.0, seq, entry))  # looked at again, in case that the write fails

    def _take_new(self) -> None:
        for entry in self._ledger.expiring:
            heapq.heappush(self._heap, (entry.expires_at, entry.seq, entry))
        self._ledger.expiring.clear()
        if len(self._heap) > 2 * self._swept_size:
            self._heap = [item for item in self._heap if not item[2].state.is_final]
            heapq.heapify(self._heap)
            self._swept_size = max(SWEEP_MIN, len(self._heap))

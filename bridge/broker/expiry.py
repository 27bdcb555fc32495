"""Tickets with a time to live, soonest first.

Rule 1: a claimed ticket expires only after its lease has run out too, because its
watcher may be typing it.
Rule 2: a stray ticket (limits.py) without a time to live gets BRIDGE_STRAY_TTL. When
that is over, the ticket expires only if its agent is still neither registered nor
received for. After a start the watchers have STRAY_GRACE to come back.
Rule 3: a finished entry stays in the heap until its time, or until the heap has
doubled.
"""

from __future__ import annotations

import asyncio
import heapq
from typing import Callable

from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.broker.transitions import expired

RUN_MAX = 500  # tickets that expire in one turn of the loop, in 10 ms; many may be due at once
SWEEP_MIN = 1000  # entries below which the heap is not swept
STRAY_GRACE = 3600.0  # seconds after a start before which no stray ticket expires
STRAY = "no agent of that name was registered or received for"
LOOK_AGAIN = 1.0  # seconds until an expiry that could not be written is tried again


class Expiry:
    """One timer, set to the soonest entry."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        stray_ttl: float = 0.0,  # seconds; 0 = strays never expire
        is_served: Callable[[str], bool] = lambda agent_id: True,
    ) -> None:
        self._ledger, self._clock, self._loop = ledger, clock, loop
        self._stray_ttl, self._is_served = stray_ttl, is_served
        self._heap: list[tuple[float, int, Entry]] = []
        self._swept_size = SWEEP_MIN
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def watch(self, entry: Entry) -> None:
        if not entry.ttl_ms:
            if not self._stray_ttl:
                return
            soonest = self._clock.monotonic() + min(self._stray_ttl, STRAY_GRACE)
            entry.expires_at = max(soonest, entry.accepted_at + self._stray_ttl)
        heapq.heappush(self._heap, (entry.expires_at, entry.seq, entry))
        if len(self._heap) > 2 * self._swept_size:
            self._heap = [item for item in self._heap if not item[2].state.is_final]
            heapq.heapify(self._heap)
            self._swept_size = max(SWEEP_MIN, len(self._heap))
        self._arm()

    def _arm(self) -> None:
        if self._heap and self._heap[0][0] < self._armed_for:
            self.stop()
            self._armed_for = self._heap[0][0]
            self._timer = self._loop.call_later(
                max(0.0, self._armed_for - self._clock.monotonic()), self.run
            )

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def run(self, most: float = RUN_MAX) -> None:
        """Expire the tickets that are due, at most `most`; the others in a later turn."""
        now, left = self._clock.monotonic(), most
        while self._heap and self._heap[0][0] <= now and left > 0:
            left -= 1
            _, seq, entry = heapq.heappop(self._heap)
            head = entry.head
            if head.is_final or (not entry.ttl_ms and self._is_served(entry.agent_id)):
                continue
            if head.claim and head.claim.until > now:
                heapq.heappush(self._heap, (head.claim.until, seq, entry))
                continue
            self._ledger.propose(
                entry, expired(head, self._clock.wall_ms(), "" if entry.ttl_ms else STRAY)
            )
            heapq.heappush(self._heap, (now + LOOK_AGAIN, seq, entry))
        self._armed_for = float("inf")
        self._arm()

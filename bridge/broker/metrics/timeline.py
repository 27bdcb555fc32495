"""The last two minutes, second by second, and the latency of each hop of a ticket.

    accepted ──streamed──► on a stream or in a poll ──injected──► typed ──acknowledged──► acked
        └────────────────────────────────delivered──────────────────────────────────────────┘

Rule 1: one ticket costs the same under any load: the current step has a few counters,
and a latency is a count in one of its bins.
Rule 2: the last STEPS steps are kept. Older ones are in the totals only.

Times are monotonic seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable

from bridge.broker.metrics.histogram import LATENCY_BOUNDS, Histogram

STEPS = 120  # steps that are kept, with the current one
STEP_SECONDS = 1.0
WINDOW_STEPS = 60  # "the last minute"
STREAM_HOP = "streamed"
INJECT_HOP = "injected"
ACKNOWLEDGE_HOP = "acknowledged"
DELIVERY_TIME = "delivered"
HOPS = (STREAM_HOP, INJECT_HOP, ACKNOWLEDGE_HOP, DELIVERY_TIME)


class Second:
    """One second."""

    __slots__ = ("accepted", "acknowledged", "hops")

    def __init__(self) -> None:
        self.accepted = 0
        self.acknowledged = 0
        # Hop -> latencies; a hop without an observation is missing.
        self.hops: defaultdict[str, Histogram] = defaultdict(Histogram)


class Timeline:
    """The last steps, oldest first, and the totals since start."""

    def __init__(self, now: float = 0.0) -> None:
        self._steps: deque[Second] = deque((Second() for _ in range(STEPS)), maxlen=STEPS)
        self._current = self._steps[-1]
        self._ends_at = now + STEP_SECONDS
        self._totals = {hop: Histogram() for hop in HOPS}  # without the current step

    def at(self, now: float) -> Second:
        """The current step."""
        if now >= self._ends_at:
            self._turn(now)
        return self._current

    # Hot: twice per ticket.
    def observe(self, hop: str, seconds: float, now: float) -> None:
        if now >= self._ends_at:
            self._turn(now)
        found = self._current.hops[hop]
        if seconds > 0.0:  # the same as Histogram.observe, without the call
            found.bins[bisect_left(LATENCY_BOUNDS, seconds)] += 1
            found.total += seconds
        else:
            found.bins[0] += 1

    def _turn(self, now: float) -> None:
        for hop, found in self._current.hops.items():
            self._totals[hop].add(found)
        passed = int((now - self._ends_at) / STEP_SECONDS) + 1
        self._ends_at += passed * STEP_SECONDS
        for _ in range(min(passed, STEPS)):
            self._steps.append(Second())
        self._current = self._steps[-1]

    def steps(self, now: float) -> list[Second]:
        self.at(now)
        return list(self._steps)

    def began_ago(self, now: float) -> float:
        """Seconds since the first of the steps began."""
        self.at(now)
        return now - (self._ends_at - STEPS * STEP_SECONDS)

    def lately(self, hop: str, now: float) -> Histogram:
        """The latencies of the last minute."""
        return _sum(step.hops[hop] for step in self.steps(now)[-WINDOW_STEPS:] if hop in step.hops)

    def total(self, hop: str) -> Histogram:
        """The latencies since start."""
        current = self._current.hops.get(hop)
        return _sum([self._totals[hop], current] if current else [self._totals[hop]])


def _sum(parts: Iterable[Histogram]) -> Histogram:
    whole = Histogram()
    for part in parts:
        whole.add(part)
    return whole

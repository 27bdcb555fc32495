"""The counters. handlers/scrape.py shows them to Prometheus, handlers/observation.py to people.

Each stage of each ticket is reported here, once, when it is true (accepted and
changed: on disk). An observer of stages sets `on_stage`. Without one, that costs
one `if`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from bridge.broker.entry import Entry, TicketState, new_stages
from bridge.broker.metrics.histogram import Histogram
from bridge.broker.metrics.timeline import (
    ACKNOWLEDGE_HOP,
    DELIVERY_TIME,
    INJECT_HOP,
    STREAM_HOP,
    Timeline,
)
from bridge.broker.metrics.watcher_series import WatcherSeries
from bridge.broker.transitions import submitted_ms
from bridge.ticket import DROPPED, EXPIRED, RESPONDED
from bridge.timestamp import rfc3339

FAILURE_WINDOW = 60.0  # seconds; "in the last minute" of /debug/connections
FAILURES_MAX = 10000  # remembered at once


class Metrics:
    """Mostly plain integers: the hot path only increments them."""

    def __init__(self, agents_shown: int = 100) -> None:
        self.sent = 0
        self.strays = 0
        self.acknowledged = 0
        self.expired = 0
        self.dropped = 0
        self.replies = 0
        self.streams_opened = 0
        self.streams_open = 0
        self.connections_open = 0
        self.catchups = 0
        self.stream_failures = 0
        self.responses: Counter[int] = Counter({200: 0})
        self.refusals: Counter[str] = Counter()
        self.events_missed = 0
        self.loop_lag = Histogram()
        self.watcher_series = WatcherSeries(agents_shown)
        self.timeline = Timeline()
        self.on_stage: Callable[[Entry, Mapping[str, Any]], None] | None = None
        self._failed_at: deque[float] = deque(maxlen=FAILURES_MAX)

    # Hot, as the next two: once per commit group.
    def accepted(self, births: Sequence[Entry], now: float) -> None:
        """New tickets are on disk. They have not been sent to a subscriber yet."""
        self.sent += len(births)
        self.strays += sum(entry.is_stray for entry in births)
        self.timeline.at(now).accepted += len(births)
        if self.on_stage is not None:
            for entry in births:
                self.on_stage(entry, {"stage": "accepted", "at": rfc3339(entry.created_ms)})

    def streamed(self, entry: Entry, tier: str, wall_ms: int, now: float) -> None:
        """The ticket is sent to a subscriber for the first time."""
        entry.mark_streamed(wall_ms, tier)
        self.timeline.observe(STREAM_HOP, now - entry.accepted_at, now)
        if self.on_stage is not None:
            self.on_stage(entry, {"stage": "streamed", "at": rfc3339(wall_ms), "by": tier})

    def changed(self, entry: Entry, before: TicketState, now: float) -> None:
        """The ticket has a new state, which is on disk."""
        state = entry.state
        if state.stages is not before.stages and state.stages[-1]["stage"] == "acknowledged":
            self.acknowledged += 1
            self._measure(entry, state, now)
        if state.status != before.status:
            self.replies += state.status == RESPONDED
            self.expired += state.status == EXPIRED
            self.dropped += state.status == DROPPED
        if self.on_stage is not None:
            for stage in new_stages(before, state):
                self.on_stage(entry, stage)

    def _measure(self, entry: Entry, state: TicketState, now: float) -> None:
        """Measure the hops of an acknowledged ticket. It was typed by the watcher's clock."""
        self.timeline.at(now).acknowledged += 1
        self.timeline.observe(DELIVERY_TIME, now - entry.accepted_at, now)
        injected_ms = submitted_ms(state.stages[-1].get("evidence"))
        if injected_ms is not None and entry.streamed_ms:
            # The watcher's clock may differ from ours.
            injected_ms = min(max(injected_ms, entry.streamed_ms), state.updated_ms)
            self.timeline.observe(INJECT_HOP, (injected_ms - entry.streamed_ms) / 1000, now)
            self.timeline.observe(ACKNOWLEDGE_HOP, (state.updated_ms - injected_ms) / 1000, now)

    def stream_opened(self) -> None:
        self.streams_opened += 1
        self.streams_open += 1

    def stream_closed(self, has_failed: bool, now: float) -> None:
        self.streams_open -= 1
        if has_failed:
            self.stream_failures += 1
            self._failed_at.append(now)

    def failed_lately(self, now: float) -> int:
        while self._failed_at and now - self._failed_at[0] > FAILURE_WINDOW:
            self._failed_at.popleft()
        return len(self._failed_at)

"""Counters and gauges, and the Prometheus text format 0.0.4 that shows them.

Each stage of each ticket is told here, once, when it is true (accepted and
changed: on disk). Whoever wants to hear of them sets `on_stage`; while nobody
does, that costs one `if`.

Label values come from fixed sets only, so the number of series is bounded.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from bridge.broker.entry import Entry, State, new_stages
from bridge.broker.timeline import ACKNOWLEDGED, INJECTED, STREAMED, Timeline
from bridge.broker.timeline import DELIVERED as ALL_THE_WAY
from bridge.ticket import DELIVERED, EXPIRED, RESPONDED
from bridge.timestamp import parse_rfc3339, rfc3339

FAILURE_WINDOW = 60.0  # seconds; "in the last minute" of /debug/connections
FAILURES_MAX = 10000  # remembered at once

HELP = {
    "bridge_messages_sent_total": ("counter", "Tickets accepted."),
    "bridge_messages_acknowledged_total": ("counter", "Tickets acknowledged."),
    "bridge_messages_expired_total": ("counter", "Tickets whose time to live ran out."),
    "bridge_replies_total": ("counter", "Replies accepted."),
    "bridge_messages_queued_current": ("gauge", "Pending tickets."),
    "bridge_sse_connections_active": ("gauge", "Open event streams."),
    "bridge_sse_connections_total": ("counter", "Event streams opened."),
    "bridge_sse_catchups_total": ("counter", "Times that a slow stream was left to drain."),
    "bridge_sse_failures_total": ("counter", "Event streams ended by an error."),
    "bridge_longpoll_waiting": ("gauge", "Long-polls that wait now."),
    "bridge_connections_open": ("gauge", "Open connections."),
    "bridge_http_responses_total": ("counter", "Responses by status code."),
    "bridge_commits_total": ("counter", "Group commits."),
    "bridge_commit_rows_total": ("counter", "Rows written by group commits."),
    "bridge_commit_seconds_total": ("counter", "Time spent in group commits."),
    "bridge_agents_registered": ("gauge", "Registered agents."),
    "bridge_watcher_queued": ("gauge", "Tickets that an agent's watcher holds."),
    "bridge_watcher_cpu_percent": ("gauge", "CPU that an agent's watcher uses, as it reported."),
    "bridge_watcher_memory_bytes": ("gauge", "Memory that an agent's watcher uses, as it reported."),
    "bridge_sse_reconnects_total": ("counter", "Reconnects of an agent's watcher, as it reported."),
    "bridge_tmux_session_failures_total": ("counter", "Times that an agent's watcher lost its tmux session, as it reported."),
    "bridge_tmux_injection_errors_total": ("counter", "Failed injections of an agent's watcher, as it reported."),
    "bridge_uptime_seconds": ("gauge", "Time since start."),
    "bridge_build_info": ("gauge", "Version of the broker."),
}


class Metrics:
    """Plain integers: incrementing one is all that the hot path does."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged = 0
        self.expired = 0
        self.replies = 0
        self.streams_opened = 0
        self.streams_open = 0
        self.streams_starting = 0  # accepted, not yet streaming
        self.connections_open = 0
        self.catchups = 0
        self.stream_failures = 0
        self.responses: Counter[int] = Counter()
        self.timeline = Timeline()
        self.on_stage: Optional[Callable[[Entry, Mapping[str, Any]], None]] = None
        self._failed_at: deque[float] = deque(maxlen=FAILURES_MAX)

    # Hot, as the next two: once per commit group.
    def accepted(self, births: Sequence[Entry], now: float) -> None:
        """New tickets are on disk; nobody has been sent them."""
        self.sent += len(births)
        self.timeline.at(now).accepted += len(births)
        if self.on_stage is not None:
            for entry in births:
                self.on_stage(entry, {"stage": "accepted", "at": rfc3339(entry.created_ms)})

    def streamed(self, entry: Entry, tier: str, wall_ms: int, now: float) -> None:
        """The ticket goes out to a subscriber, for the first time."""
        entry.mark_streamed(wall_ms, tier)
        self.timeline.observe(STREAMED, now - entry.accepted_at, now)
        if self.on_stage is not None:
            self.on_stage(entry, {"stage": "streamed", "at": rfc3339(wall_ms), "by": tier})

    def changed(self, entry: Entry, before: State, now: float) -> None:
        """The ticket's state is another one now, on disk."""
        state = entry.state
        if state.status != before.status:
            if state.status == DELIVERED:
                self.acknowledged += 1
                self._measure(entry, state, now)
            self.replies += state.status == RESPONDED
            self.expired += state.status == EXPIRED
        if self.on_stage is not None:
            for stage in new_stages(before, state):
                self.on_stage(entry, stage)

    def _measure(self, entry: Entry, state: State, now: float) -> None:
        """The hops of an acknowledged ticket. When it was typed is what its watcher says, by its own clock."""
        self.timeline.at(now).acknowledged += 1
        self.timeline.observe(ALL_THE_WAY, now - entry.accepted_at, now)
        injected = state.stages[-2] if len(state.stages) > 1 else None
        injected_ms = parse_rfc3339(injected["at"]) if injected and injected["stage"] == "injected" else None
        if injected_ms is not None and entry.streamed_ms:
            injected_ms = min(max(injected_ms, entry.streamed_ms), state.updated_ms)  # clocks may be apart
            self.timeline.observe(INJECTED, (injected_ms - entry.streamed_ms) / 1000, now)
            self.timeline.observe(ACKNOWLEDGED, (state.updated_ms - injected_ms) / 1000, now)

    def stream_failed(self, now: float) -> None:
        self.stream_failures += 1
        self._failed_at.append(now)

    def failed_lately(self, now: float) -> int:
        while self._failed_at and now - self._failed_at[0] > FAILURE_WINDOW:
            self._failed_at.popleft()
        return len(self._failed_at)


def label(text: str) -> str:
    """A label value, escaped (Prometheus text format)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def exposition(samples: Iterable[tuple[str, str, Union[int, float]]]) -> str:
    """Prometheus text of (name, labels, value); samples of one name must follow each other."""
    lines, described = [], set()
    for name, labels, value in samples:
        if name not in described:
            described.add(name)
            kind, text = HELP[name]
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines.append(f"{name}{{{labels}}} {value}" if labels else f"{name} {value}")
    return "\n".join(lines) + "\n"

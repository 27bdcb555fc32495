"""Counters and gauges, and the Prometheus text format 0.0.4 that shows them.

Label values come from fixed sets only, so the number of series is bounded.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Iterable, Union

from bridge.ticket import DELIVERED, EXPIRED, RESPONDED

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
        self._failed_at: deque[float] = deque(maxlen=FAILURES_MAX)

    def count_change(self, before: str, after: str) -> None:
        """A ticket's status has changed, on disk."""
        if before != after:
            self.acknowledged += after == DELIVERED
            self.replies += after == RESPONDED
            self.expired += after == EXPIRED

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

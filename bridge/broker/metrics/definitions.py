"""Every metric of the broker: name, kind, meaning and unit. handlers/scrape.py fills them.

A counter's name is without `_total` here, and that of the build info without `_info`. Their
samples have these suffixes (exposition.py).
"""

from __future__ import annotations

from bridge.broker.metrics.exposition import COUNTER, GAUGE, HISTOGRAM, INFO, Family

SENT = Family("bridge_messages_sent", COUNTER, "Tickets accepted.")
ACKNOWLEDGED = Family(
    "bridge_messages_acknowledged",
    COUNTER,
    "Tickets acknowledged: typed into a pane, or taken by a program.",
)
EXPIRED = Family("bridge_messages_expired", COUNTER, "Tickets whose time to live ran out.")
DROPPED = Family("bridge_messages_dropped", COUNTER, "Tickets that an operator ended.")
REPLIES = Family("bridge_replies", COUNTER, "Replies accepted.")
QUEUED = Family("bridge_messages_queued_current", GAUGE, "Pending tickets.")
QUEUED_BYTES = Family(
    "bridge_messages_queued_bytes", GAUGE, "Bytes of the pending tickets.", "bytes"
)
OLDEST = Family(
    "bridge_oldest_pending_age_seconds",
    GAUGE,
    "Age of the ticket that has been pending for longest; 0 when none is.",
    "seconds",
)
WAITING = Family(
    "bridge_oldest_waiting_age_seconds",
    GAUGE,
    "The same for agents that are registered or received for; use this one in alerts.",
    "seconds",
)
STRAYS = Family(
    "bridge_messages_stray",
    COUNTER,
    "Tickets accepted for agents that were neither registered nor received for.",
)
STRAY_BYTES = Family(
    "bridge_messages_stray_bytes", GAUGE, "Bytes of such tickets that are pending.", "bytes"
)
DELIVERY = Family(
    "bridge_message_delivery_latency_seconds",
    HISTOGRAM,
    "From accepting a ticket to its acknowledgement.",
    "seconds",
)
HOP = Family(
    "bridge_hop_latency_seconds",
    HISTOGRAM,
    "Each hop of a ticket: accepted to streamed, streamed to injected (by the watcher's clock), "
    "injected to acknowledged.",
    "seconds",
)

STREAMS = Family("bridge_sse_connections_active", GAUGE, "Open event streams.")
STREAMS_OPENED = Family("bridge_sse_connections", COUNTER, "Event streams opened.")
CATCHUPS = Family("bridge_sse_catchups", COUNTER, "Times that a slow stream was left to drain.")
STREAM_FAILURES = Family("bridge_sse_failures", COUNTER, "Event streams ended by an error.")
LONGPOLLS = Family("bridge_longpoll_waiting", GAUGE, "Long-polls that wait now.")
CONNECTIONS = Family("bridge_connections_open", GAUGE, "Open connections.")
TIERS = Family("bridge_agents_connected", GAUGE, "Agents by the tier that reaches them now.")
READERS = Family("bridge_event_readers", GAUGE, "Open readers of GET /events.")
MISSED = Family(
    "bridge_events_missed", COUNTER, "Events that readers of GET /events were too slow for."
)

RESPONSES = Family("bridge_http_responses", COUNTER, "Responses by status code.")
REFUSALS = Family("bridge_refusals", COUNTER, "Requests refused, by reason.")

COMMITS = Family("bridge_commits", COUNTER, "Group commits.")
COMMIT_FAILURES = Family(
    "bridge_commit_failures", COUNTER, "Group commits that failed, of which nothing was kept."
)
COMMIT_ROWS = Family("bridge_commit_rows", COUNTER, "Rows written by group commits.")
COMMIT_SECONDS = Family("bridge_commit_seconds", COUNTER, "Time spent in group commits.", "seconds")
COMMIT_DURATION = Family(
    "bridge_commit_duration_seconds",
    HISTOGRAM,
    "How long a group commit took until it was on disk.",
    "seconds",
)
COMMIT_SIZE = Family("bridge_commit_batch_size", HISTOGRAM, "Rows of a group commit.")
LAG = Family(
    "bridge_event_loop_lag_seconds", HISTOGRAM, "How late a timer of the event loop ran.", "seconds"
)

AGENTS = Family("bridge_agents_registered", GAUGE, "Registered agents.")
WATCHER_QUEUED = Family("bridge_watcher_queued", GAUGE, "Tickets that an agent's watcher holds.")
WATCHER_CPU = Family(
    "bridge_watcher_cpu_percent",
    GAUGE,
    "CPU that an agent's watcher uses, in percent of one core, as it reported.",
)
WATCHER_MEMORY = Family(
    "bridge_watcher_memory_bytes",
    GAUGE,
    "Memory that an agent's watcher uses, as it reported.",
    "bytes",
)
RECONNECTS = Family(
    "bridge_sse_reconnects", COUNTER, "Reconnects of an agent's watcher, as it reported."
)
SESSION_FAILURES = Family(
    "bridge_tmux_session_failures",
    COUNTER,
    "Times that an agent's watcher lost its tmux session, as it reported.",
)
INJECTION_ERRORS = Family(
    "bridge_tmux_injection_errors",
    COUNTER,
    "Failed injections of an agent's watcher, as it reported.",
)

UPTIME = Family("bridge_uptime_seconds", GAUGE, "Time since start.", "seconds")
BUILD = Family("bridge_build", INFO, "Version of the broker and of what runs it.")
CPU = Family(
    "process_cpu_seconds", COUNTER, "Total user and system CPU time spent in seconds.", "seconds"
)
RESIDENT = Family("process_resident_memory_bytes", GAUGE, "Resident memory size in bytes.", "bytes")
VIRTUAL = Family("process_virtual_memory_bytes", GAUGE, "Virtual memory size in bytes.", "bytes")
DESCRIPTORS = Family("process_open_fds", GAUGE, "Number of open file descriptors.")
DESCRIPTORS_MAX = Family("process_max_fds", GAUGE, "Maximum number of open file descriptors.")
STARTED = Family(
    "process_start_time_seconds",
    GAUGE,
    "Start time of the process since unix epoch in seconds.",
    "seconds",
)

# The bounds that are shown as buckets. With all of them each hop would have 100 series.
LATENCY_BUCKETS = tuple(
    float(f"{digits}e{power}") for power in range(-4, 4) for digits in ("1", "2.5", "5")
)[:-1]  # 100 µs to 2500 s
COMMIT_BUCKETS = LATENCY_BUCKETS[:16]  # up to 10 s

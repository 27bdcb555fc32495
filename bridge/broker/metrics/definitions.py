"""Every metric of the broker: name, kind and meaning. handlers/scrape.py fills them."""

from __future__ import annotations

from bridge.broker.metrics.exposition import COUNTER, GAUGE, HISTOGRAM, Family

SENT = Family("bridge_messages_sent_total", COUNTER, "Tickets accepted.")
ACKNOWLEDGED = Family(
    "bridge_messages_acknowledged_total",
    COUNTER,
    "Tickets acknowledged: typed into a pane, or taken by a program.",
)
EXPIRED = Family("bridge_messages_expired_total", COUNTER, "Tickets whose time to live ran out.")
DROPPED = Family("bridge_messages_dropped_total", COUNTER, "Tickets that an operator ended.")
REPLIES = Family("bridge_replies_total", COUNTER, "Replies accepted.")
QUEUED = Family("bridge_messages_queued_current", GAUGE, "Pending tickets.")
QUEUED_BYTES = Family("bridge_messages_queued_bytes", GAUGE, "Bytes of the pending tickets.")
OLDEST = Family(
    "bridge_oldest_pending_age_seconds",
    GAUGE,
    "Age of the ticket that has been pending for longest; 0 when none is.",
)
WAITING = Family(
    "bridge_oldest_waiting_age_seconds",
    GAUGE,
    "The same for agents that are registered or received for; use this one in alerts.",
)
STRAYS = Family(
    "bridge_messages_stray_total",
    COUNTER,
    "Tickets accepted for agents that were neither registered nor received for.",
)
STRAY_BYTES = Family(
    "bridge_messages_stray_bytes", GAUGE, "Bytes of such tickets that are pending."
)
DELIVERY = Family(
    "bridge_message_delivery_latency_seconds",
    HISTOGRAM,
    "From accepting a ticket to its acknowledgement.",
)
HOP = Family(
    "bridge_hop_latency_seconds",
    HISTOGRAM,
    "Each hop of a ticket: accepted to streamed, streamed to injected (by the watcher's clock), "
    "injected to acknowledged.",
)

STREAMS = Family("bridge_sse_connections_active", GAUGE, "Open event streams.")
STREAMS_OPENED = Family("bridge_sse_connections_total", COUNTER, "Event streams opened.")
CATCHUPS = Family("bridge_sse_catchups_total", COUNTER, "Pauses of a slow stream until it drains.")
STREAM_FAILURES = Family("bridge_sse_failures_total", COUNTER, "Event streams ended by an error.")
LONGPOLLS = Family("bridge_longpoll_waiting", GAUGE, "Long-polls that wait now.")
CONNECTIONS = Family("bridge_connections_open", GAUGE, "Open connections.")
TIERS = Family("bridge_agents_connected", GAUGE, "Agents by the tier that reaches them now.")
READERS = Family("bridge_event_readers", GAUGE, "Open readers of GET /events.")
MISSED = Family(
    "bridge_events_missed_total", COUNTER, "Events that readers of GET /events were too slow for."
)

RESPONSES = Family("bridge_http_responses_total", COUNTER, "Responses by status code.")
REFUSALS = Family("bridge_refusals_total", COUNTER, "Requests refused, by reason.")

COMMITS = Family("bridge_commits_total", COUNTER, "Group commits.")
COMMIT_FAILURES = Family(
    "bridge_commit_failures_total", COUNTER, "Group commits that failed, of which nothing was kept."
)
COMMIT_ROWS = Family("bridge_commit_rows_total", COUNTER, "Rows written by group commits.")
COMMIT_SECONDS = Family("bridge_commit_seconds_total", COUNTER, "Time spent in group commits.")
COMMIT_DURATION = Family(
    "bridge_commit_duration_seconds",
    HISTOGRAM,
    "How long a group commit took until it was on disk.",
)
COMMIT_SIZE = Family("bridge_commit_batch_size", HISTOGRAM, "Rows of a group commit.")
LAG = Family("bridge_event_loop_lag_seconds", HISTOGRAM, "How late a timer of the event loop ran.")

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
)
RECONNECTS = Family(
    "bridge_sse_reconnects_total", COUNTER, "Reconnects of an agent's watcher, as it reported."
)
SESSION_FAILURES = Family(
    "bridge_tmux_session_failures_total",
    COUNTER,
    "Times that an agent's watcher lost its tmux session, as it reported.",
)
INJECTION_ERRORS = Family(
    "bridge_tmux_injection_errors_total",
    COUNTER,
    "Failed injections of an agent's watcher, as it reported.",
)

UPTIME = Family("bridge_uptime_seconds", GAUGE, "Time since start.")
BUILD = Family("bridge_build_info", GAUGE, "Version of the broker and of what runs it.")
CPU = Family(
    "process_cpu_seconds_total", COUNTER, "Total user and system CPU time spent in seconds."
)
RESIDENT = Family("process_resident_memory_bytes", GAUGE, "Resident memory size in bytes.")
VIRTUAL = Family("process_virtual_memory_bytes", GAUGE, "Virtual memory size in bytes.")
DESCRIPTORS = Family("process_open_fds", GAUGE, "Number of open file descriptors.")
DESCRIPTORS_MAX = Family("process_max_fds", GAUGE, "Maximum number of open file descriptors.")
STARTED = Family(
    "process_start_time_seconds",
    GAUGE,
    "Start time of the process since unix epoch in seconds.",
)

# The bounds that are shown as buckets. With all of them each hop would have 100 series.
LATENCY_BUCKETS = tuple(
    float(f"{digits}e{power}") for power in range(-4, 4) for digits in ("1", "2.5", "5")
)[:-1]  # 100 µs to 2500 s
COMMIT_BUCKETS = LATENCY_BUCKETS[:16]  # up to 10 s

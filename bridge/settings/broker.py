"""The broker's settings, and where its store is by default.

Sizes are bytes and times are milliseconds, unless the setting's text gives another unit.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.settings.setting import setting


def default_db(environ: Mapping[str, str] = os.environ) -> str:
    """$XDG_STATE_HOME/bridge/bridge.db, by default ~/.local/state/bridge/bridge.db."""
    home = environ.get("XDG_STATE_HOME", "")
    # Unset, or relative: the XDG base directory specification says to ignore a relative path.
    if not os.path.isabs(home):
        home = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "bridge", "bridge.db")


@dataclass(frozen=True)
class BrokerSettings:
    """Settings of the broker."""

    host: str = setting(
        "127.0.0.1",
        "BRIDGE_HOST BROKER_HOST",
        "address to bind; the default is reachable from this machine only",
    )
    port: int = setting(
        5050, "BRIDGE_PORT BROKER_PORT", "TCP port; 0 = any free one, see the ready line", 0, 65535
    )
    db: str = setting(
        "",
        "BRIDGE_DB",
        "the SQLite file; :memory: keeps nothing (default: $XDG_STATE_HOME/bridge/bridge.db)",
    )
    disable_sse: bool = setting(
        False, "DISABLE_SSE", "streams answer 503, watchers fall back to long-poll"
    )
    sse_heartbeat: int = setting(
        30000, "BRIDGE_SSE_HEARTBEAT", "ms of silence after which a stream gets a heartbeat", 10
    )
    sse_outbox: int = setting(
        262144,
        "BRIDGE_SSE_OUTBOX",
        "bytes that may wait for a slow stream; beyond it the stream catches up by cursor",
        1024,
    )
    write_deadline: int = setting(
        120000, "BRIDGE_WRITE_DEADLINE", "ms a connection may accept no byte before it is cut", 100
    )
    queue_max: int = setting(
        1000, "BRIDGE_QUEUE_MAX", "pending tickets per agent; beyond it a send is 429", 1
    )
    pending_bytes: int = setting(
        1 << 30,
        "BRIDGE_PENDING_BYTES",
        "bytes of all pending tickets, which are held in memory; beyond it a send is 503; one "
        "agent may have 1/16 of it, a name that is neither registered nor received for 1/64, "
        "all such names together 1/4; beyond those shares a send is 429",
        1024,
    )
    stray_ttl: int = setting(
        7 * 86400, "BRIDGE_STRAY_TTL",
        "seconds that a ticket without a ttlMs waits for an agent that is neither registered nor "
        "received for, such as a mistyped name; then it expires; 0 = for ever",
    )  # fmt: skip
    agents_max: int = setting(
        10000, "BRIDGE_AGENTS_MAX",
        "registered agents, and subscriptions of all subscribers; beyond it either is 429", 1,
    )  # fmt: skip
    supervise_max: int = setting(
        1000, "BRIDGE_SUPERVISE_MAX",
        "agents of one subscriber; each of its polls looks at all of them; beyond it 429", 1,
    )  # fmt: skip
    rate_limit: int = setting(100, "BRIDGE_RATE_LIMIT", "sends a minute per target agent; 0 = off")
    body_max: int = setting(
        1 << 20, "BRIDGE_BODY_MAX", "bytes of a request body; beyond it 413", 16
    )
    head_max: int = setting(
        16384,
        "BRIDGE_HEAD_MAX",
        "bytes of a request line and header block; beyond it 414 or 431",
        256,
    )
    json_depth: int = setting(64, "BRIDGE_JSON_DEPTH", "levels of nesting in a JSON body", 1, 500)
    head_timeout: int = setting(
        10000, "BRIDGE_HEAD_TIMEOUT", "ms in which a request's head must arrive whole", 10
    )
    body_timeout: int = setting(
        30000, "BRIDGE_BODY_TIMEOUT", "ms in which a request's body must arrive whole", 10
    )
    idle_timeout: int = setting(
        75000, "BRIDGE_IDLE_TIMEOUT", "ms after which an idle kept-alive connection is closed", 10
    )
    connections_max: int = setting(
        20000, "BRIDGE_CONNECTIONS_MAX",
        "open connections; beyond it a new one replaces the one that has been idle longest, "
        "or gets 503 if none has been idle for 2 s", 1,
    )  # fmt: skip
    connection_bytes: int = setting(
        256 << 20, "BRIDGE_CONNECTION_BYTES",
        "bytes of all request bodies that are arriving and of all answers that peers have not "
        "read; beyond it the broker cuts the connection that has held a large part for longest",
        1 << 20,
    )  # fmt: skip
    poll_bytes: int = setting(
        8 << 20,
        "BRIDGE_POLL_BYTES",
        "bytes of one answer to a poll; the rest comes with the next",
        1024,
    )
    retention: int = setting(
        7 * 86400,
        "BRIDGE_RETENTION",
        "seconds that delivered, replied and expired tickets are kept",
    )
    prune_interval: int = setting(
        60000, "BRIDGE_PRUNE_INTERVAL", "ms between looks for tickets whose retention is over", 100
    )
    finished_bytes: int = setting(
        64 << 20, "BRIDGE_FINISHED_BYTES", "bytes of finished tickets that are remembered in memory"
    )
    finished_max: int = setting(
        10000,
        "BRIDGE_FINISHED_MAX",
        "finished tickets that are remembered in memory; with --db :memory: there are no others",
        1,
    )
    drain_timeout: int = setting(
        5000, "BRIDGE_DRAIN_TIMEOUT", "ms that requests in flight have on SIGTERM", 0
    )
    watcher_grace: int = setting(
        10000, "BRIDGE_WATCHER_GRACE",
        "ms after which the broker clears away what a gone watcher left: its report, and the "
        "agents that only it had subscribed under a name that another watcher shares; a watcher "
        "whose connection broke comes back sooner", 10,
    )  # fmt: skip
    log_refusals: int = setting(
        20,
        "BRIDGE_LOG_REFUSALS",
        "log lines about refused requests a second; beyond it one line gives the number",
        0,
    )
    metrics_agents: int = setting(
        100,
        "BRIDGE_METRICS_AGENTS",
        'agents with series of their own in GET /metrics; the others are summed as agent="other"',
        0,
    )
    events_max: int = setting(
        100, "BRIDGE_EVENTS_MAX",
        "open readers of GET /events, each of which adds a little to the cost of every ticket; "
        "beyond it a new one replaces one that lags, or the oldest if that is 10 s old; else 503",
        0,
    )  # fmt: skip
    search_rows: int = setting(
        1000,
        "BRIDGE_SEARCH_ROWS",
        "tickets that one request to GET /search looks at; its nextBefore continues from there",
        1,
    )
    search_bytes: int = setting(
        2 << 20, "BRIDGE_SEARCH_BYTES",
        "bytes that one request to GET /search reads, and bytes of its answer", 1024,
    )  # fmt: skip
    allowed_hosts: str = setting(
        "",
        "BRIDGE_ALLOWED_HOSTS",
        "further names of the broker, comma separated (Host header; any other name gets 421)",
    )
    allowed_origins: str = setting(
        "",
        "BRIDGE_ALLOWED_ORIGINS",
        "web origins that may call, comma separated (Origin header; any other origin gets 403)",
    )

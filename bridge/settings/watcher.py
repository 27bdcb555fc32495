"""Settings of a watcher and of a supervisor: the connection to the broker, receiving, delivery.

Times are milliseconds, unless the setting's text gives another unit.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.settings.setting import setting


@dataclass(frozen=True)
class ClientSettings:
    """How to reach a broker."""

    broker_url: str = setting("http://127.0.0.1:5050", "BRIDGE_BROKER_URL", "where the broker is")
    connect_timeout: int = setting(5000, "BRIDGE_CONNECT_TIMEOUT", "ms to connect", 10)
    request_timeout: int = setting(
        30000,
        "BRIDGE_REQUEST_TIMEOUT",
        "ms to wait for an answer, beyond what a long-poll asks for",
        10,
    )
    request_connections: int = setting(
        8,
        "BRIDGE_REQUEST_CONNECTIONS",
        "requests under way at a time, each on its own connection; others wait their turn, so "
        "that a hundred agents do not reach the broker at once",
        1,
        1000,
    )
    answer_max: int = setting(
        64 << 20,
        "BRIDGE_ANSWER_MAX",
        "bytes of one answer; well beyond the broker's own bound of a poll",
        1024,
    )


@dataclass(frozen=True)
class WatcherSettings:
    """How a watcher receives and injects."""

    push_mode: str = setting(
        "sse", "BRIDGE_PUSH_MODE", "first tier", choices=("sse", "longpoll", "poll")
    )
    disable_sse: bool = setting(False, "DISABLE_SSE", "start below the stream tier")
    sse_heartbeat: int = setting(
        30000,
        "BRIDGE_SSE_HEARTBEAT",
        "ms between the heartbeats of a broker that does not announce its own interval; a stream "
        "without a byte for 2.5 intervals is stale",
        10,
    )
    reconnect_base: int = setting(
        250, "BRIDGE_RECONNECT_BASE", "ms, ceiling of the first backoff delay", 1
    )
    reconnect_max: int = setting(
        30000, "BRIDGE_RECONNECT_MAX", "ms, cap of the backoff; below common proxy limits", 1
    )
    poll_interval: int = setting(5000, "POLL_INTERVAL_MS", "ms between plain polls", 10)
    longpoll_wait: int = setting(25000, "BRIDGE_LONGPOLL_WAIT", "ms a long-poll waits", 1, 60000)
    lease: int = setting(
        15000,
        "BRIDGE_LEASE",
        "ms a claim lasts; renewed while it is in use; the ticket of a watcher that was killed "
        "waits this long",
        100,
    )
    inbox_max: int = setting(
        256, "BRIDGE_INBOX_MAX", "tickets held before tmux; the broker keeps the rest", 1
    )
    exec_timeout: int = setting(60000, "BRIDGE_EXEC_TIMEOUT", "ms a command of --exec may run", 10)
    exec_tries: int = setting(
        10, "BRIDGE_EXEC_TRIES",
        "times that the command of --exec may fail for one ticket, about a minute with the pauses "
        "between; then the next tickets pass it, and it is tried again when the watcher is "
        "restarted; 0 = no limit, and the next tickets wait",
    )  # fmt: skip
    first_byte: int = setting(
        5000,
        "BRIDGE_FIRST_BYTE",
        "ms in which a stream must show its first comment; beyond it a proxy is buffering",
        10,
    )
    step_down_after: int = setting(
        3,
        "BRIDGE_STEP_DOWN_AFTER",
        "failures in a row after which the watcher goes one tier down",
        1,
    )
    tier_holds: int = setting(
        5000,
        "BRIDGE_TIER_HOLDS",
        "ms a tier must work before its failures are forgotten and the backoff begins anew",
        1,
    )
    probe_interval: int = setting(
        60000,
        "BRIDGE_PROBE_INTERVAL",
        "ms between two probes of the tier above (jittered by half)",
        10,
    )
    retry_max: int = setting(
        30000, "BRIDGE_RETRY_MAX", "ms, cap of the backoff between two attempts at one ticket", 1
    )
    stuck_max: int = setting(
        300000,
        "BRIDGE_STUCK_MAX",
        "ms that a ticket whose text stands unconfirmed in a pane holds up its successors",
        100,
    )
    stop_timeout: int = setting(
        10000, "BRIDGE_STOP_TIMEOUT", "ms that an injection under way has on SIGTERM", 0
    )
    report_interval: int = setting(
        1000,
        "BRIDGE_REPORT_INTERVAL",
        "least ms between two reports to the broker; none is sent when nothing changed",
        10,
    )
    pane_check: int = setting(
        10000,
        "BRIDGE_PANE_CHECK",
        "ms between two looks of an idle watcher at its pane, so that it reports a loss; 6 ms of "
        "CPU each",
        100,
    )
    explain_after: int = setting(
        2000,
        "BRIDGE_EXPLAIN_AFTER",
        "ms that a ticket waits for its pane before the log gives the reason",
        10,
    )
    exit_on_loss: bool = setting(
        False,
        "BRIDGE_EXIT_ON_LOSS",
        "end when the pane is lost, instead of looking for it until it is back",
    )
    inject_rate: int = setting(
        100,
        "BRIDGE_INJECT_RATE",
        "injections a minute into one pane, so that an agent is never buried; 0 = no limit",
        0,
        6000,
    )
    remembered: int = setting(
        4096,
        "BRIDGE_REMEMBERED",
        "finished tickets whose ids are remembered, so that a late repeat is known",
        1,
    )


@dataclass(frozen=True)
class SupervisorSettings:
    """Which agents a supervisor serves, and how it learns of changes."""

    supervise_max: int = setting(
        1000,
        "BRIDGE_SUPERVISE_MAX",
        "agents served by one supervisor; each holds a few tickets, tasks and a file watch",
        1,
    )
    file_check: int = setting(
        1000,
        "BRIDGE_FILE_CHECK",
        "ms between two checks of --file for changes; 20 µs of CPU each",
        10,
    )
    discover_interval: int = setting(
        60000,
        "BRIDGE_DISCOVER_INTERVAL",
        "ms between two looks at the broker's registry with --discover, besides one at each "
        "reconnect",
        10,
    )
    sessions_interval: int = setting(
        5000,
        "BRIDGE_SESSIONS_INTERVAL",
        "ms between two looks at the tmux sessions with --sessions; 6 ms of CPU each",
        10,
    )
    forget_after: int = setting(
        60000,
        "BRIDGE_FORGET_AFTER",
        "ms after which an agent of --sessions whose session has gone is no longer served; the "
        "supervisor looks for the session until then",
    )
    share_pane: bool = setting(
        False,
        "BRIDGE_SHARE_PANE",
        "let several agents of this supervisor share one pane, one ticket at a time; never with "
        "another process, which could not see whose turn it is",
    )

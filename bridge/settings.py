"""Every default, with its unit and its reason; flag > environment > default.

A settings class is a frozen dataclass whose fields carry the environment
variables that set them. `load` reads one from an environment and from flags
(a flag that is None was not given). `cli/flags.py` makes the flags from the
same fields, so that no setting is ever described twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from bridge.errors import UsageError

S = TypeVar("S")
TRUE, FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}
UNBOUNDED = float("inf")


def _set(
    default: Any,
    env: str,
    doc: str,
    low: float = 0,
    high: float = UNBOUNDED,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field: default, its variables (space separated, first one wins), what it means, its range."""
    return field(
        default=default,
        metadata={"env": env.split(), "doc": doc, "low": low, "high": high, "choices": choices},
    )


def default_db(environ: Mapping[str, str] = os.environ) -> str:
    """$XDG_STATE_HOME/bridge/bridge.db, by default ~/.local/state/bridge/bridge.db."""
    home = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(
        home
    ):  # unset; or relative, which the XDG base directory specification says to ignore
        home = os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "bridge", "bridge.db")


@dataclass(frozen=True)
class BrokerSettings:
    """What the broker may be told. Sizes are bytes, times milliseconds unless the name says otherwise."""

    host: str = _set(
        "127.0.0.1",
        "BRIDGE_HOST BROKER_HOST",
        "address to bind; the default is reachable from this machine only",
    )
    port: int = _set(
        5050, "BRIDGE_PORT BROKER_PORT", "TCP port; 0 = any free one, see the ready line", 0, 65535
    )
    db: str = _set(
        "",
        "BRIDGE_DB",
        "the SQLite file; :memory: keeps nothing (default: $XDG_STATE_HOME/bridge/bridge.db)",
    )
    disable_sse: bool = _set(
        False, "DISABLE_SSE", "streams answer 503, watchers fall back to long-poll"
    )
    sse_heartbeat: int = _set(
        30000, "BRIDGE_SSE_HEARTBEAT", "ms of silence after which a stream gets a heartbeat", 10
    )
    sse_outbox: int = _set(
        262144,
        "BRIDGE_SSE_OUTBOX",
        "bytes that may wait for a slow stream; beyond it the stream catches up by cursor",
        1024,
    )
    write_deadline: int = _set(
        120000, "BRIDGE_WRITE_DEADLINE", "ms a connection may accept no byte before it is cut", 100
    )
    queue_max: int = _set(
        1000, "BRIDGE_QUEUE_MAX", "pending tickets per agent; beyond it a send is 429", 1
    )
    pending_bytes: int = _set(
        1 << 30,
        "BRIDGE_PENDING_BYTES",
        "bytes of all pending tickets, which are held in memory; beyond it a send is 503; an agent may have 1/16 of it, a name that is neither registered nor received for 1/64, all such names 1/4; beyond those a send is 429",
        1024,
    )
    stray_ttl: int = _set(
        7 * 86400, "BRIDGE_STRAY_TTL",
        "seconds that a ticket without a ttlMs waits for an agent that is neither registered nor received "
        "for, as after a slip of the pen; then it expires; 0 = for ever",
    )  # fmt: skip
    agents_max: int = _set(
        10000, "BRIDGE_AGENTS_MAX",
        "registered agents, and subscriptions of all subscribers; beyond it either is 429", 1,
    )  # fmt: skip
    supervise_max: int = _set(
        1000, "BRIDGE_SUPERVISE_MAX",
        "agents of one subscriber, all of which one of its polls looks at; beyond it 429", 1,
    )  # fmt: skip
    rate_limit: int = _set(100, "BRIDGE_RATE_LIMIT", "sends a minute per target agent; 0 = off")
    body_max: int = _set(1 << 20, "BRIDGE_BODY_MAX", "bytes of a request body; beyond it 413", 16)
    head_max: int = _set(
        16384,
        "BRIDGE_HEAD_MAX",
        "bytes of a request line and header block; beyond it 414 or 431",
        256,
    )
    json_depth: int = _set(64, "BRIDGE_JSON_DEPTH", "levels of nesting in a JSON body", 1, 500)
    head_timeout: int = _set(
        10000, "BRIDGE_HEAD_TIMEOUT", "ms in which a request's head must arrive whole", 10
    )
    body_timeout: int = _set(
        30000, "BRIDGE_BODY_TIMEOUT", "ms in which a request's body must arrive whole", 10
    )
    idle_timeout: int = _set(
        75000, "BRIDGE_IDLE_TIMEOUT", "ms after which an idle kept-alive connection is closed", 10
    )
    connections_max: int = _set(
        20000, "BRIDGE_CONNECTIONS_MAX",
        "open connections; beyond it the one that has been idle longest is closed for a new one, "
        "which gets 503 where none has been idle for 2 s", 1,
    )  # fmt: skip
    connection_bytes: int = _set(
        256 << 20, "BRIDGE_CONNECTION_BYTES",
        "bytes of all bodies on their way and of all answers that peers have not read; beyond it "
        "the connection is cut that has held a large part of them for longest", 1 << 20,
    )  # fmt: skip
    poll_bytes: int = _set(
        8 << 20,
        "BRIDGE_POLL_BYTES",
        "bytes of one answer to a poll; the rest comes with the next",
        1024,
    )
    retention: int = _set(
        7 * 86400,
        "BRIDGE_RETENTION",
        "seconds that delivered, replied and expired tickets are kept",
    )
    prune_interval: int = _set(
        60000, "BRIDGE_PRUNE_INTERVAL", "ms between looks for tickets whose retention is over", 100
    )
    finished_bytes: int = _set(
        64 << 20, "BRIDGE_FINISHED_BYTES", "bytes of finished tickets that are remembered in memory"
    )
    finished_max: int = _set(
        10000,
        "BRIDGE_FINISHED_MAX",
        "finished tickets that are remembered in memory; with --db :memory: there are no others",
        1,
    )
    drain_timeout: int = _set(
        5000, "BRIDGE_DRAIN_TIMEOUT", "ms that requests in flight have on SIGTERM", 0
    )
    watcher_grace: int = _set(
        10000, "BRIDGE_WATCHER_GRACE",
        "ms without a watcher after which what it left is cleared away: its report, and what it alone had subscribed "
        "under a name that another receives under; a connection that breaks comes again sooner", 10,
    )  # fmt: skip
    log_refusals: int = _set(
        20,
        "BRIDGE_LOG_REFUSALS",
        "lines about refused requests a second; of those beyond it one line gives the number",
        0,
    )
    metrics_agents: int = _set(
        100,
        "BRIDGE_METRICS_AGENTS",
        'agents with series of their own in GET /metrics; the others are summed as agent="other"',
        0,
    )
    events_max: int = _set(
        100, "BRIDGE_EVENTS_MAX",
        "open readers of GET /events, each of which makes every ticket a little dearer; beyond it "
        "a new one takes the place of one that lags, or of the oldest, if that had it for 10 s; "
        "503 until then", 0,
    )  # fmt: skip
    search_rows: int = _set(
        1000,
        "BRIDGE_SEARCH_ROWS",
        "tickets that one request to GET /search looks at; its nextBefore goes on from there",
        1,
    )
    search_bytes: int = _set(
        2 << 20, "BRIDGE_SEARCH_BYTES",
        "bytes that one request to GET /search reads, and bytes of its answer", 1024,
    )  # fmt: skip
    allowed_hosts: str = _set(
        "",
        "BRIDGE_ALLOWED_HOSTS",
        "further names the broker goes by, comma separated (Host header; else 421)",
    )
    allowed_origins: str = _set(
        "",
        "BRIDGE_ALLOWED_ORIGINS",
        "web origins that may call, comma separated (Origin header; else 403)",
    )


@dataclass(frozen=True)
class ClientSettings:
    """How to reach a broker."""

    broker_url: str = _set("http://127.0.0.1:5050", "BRIDGE_BROKER_URL", "where the broker is")
    connect_timeout: int = _set(5000, "BRIDGE_CONNECT_TIMEOUT", "ms to connect", 10)
    request_timeout: int = _set(
        30000,
        "BRIDGE_REQUEST_TIMEOUT",
        "ms to wait for an answer, beyond what a long-poll asks for",
        10,
    )
    request_connections: int = _set(
        8,
        "BRIDGE_REQUEST_CONNECTIONS",
        "requests under way at a time, each on a connection of its own; more wait their turn, so that a hundred agents are no herd",
        1,
        1000,
    )
    answer_max: int = _set(
        64 << 20,
        "BRIDGE_ANSWER_MAX",
        "bytes of one answer; well beyond the broker's own bound of a poll",
        1024,
    )


@dataclass(frozen=True)
class WatcherSettings:
    """How a watcher receives and injects."""

    push_mode: str = _set(
        "sse", "BRIDGE_PUSH_MODE", "first tier", choices=("sse", "longpoll", "poll")
    )
    disable_sse: bool = _set(False, "DISABLE_SSE", "start below the stream tier")
    sse_heartbeat: int = _set(
        30000,
        "BRIDGE_SSE_HEARTBEAT",
        "ms between the heartbeats of a broker that does not announce them; 2.5 of them without a byte = stale",
        10,
    )
    reconnect_base: int = _set(
        250, "BRIDGE_RECONNECT_BASE", "ms, ceiling of the first backoff delay", 1
    )
    reconnect_max: int = _set(
        30000, "BRIDGE_RECONNECT_MAX", "ms, cap of the backoff; below common proxy limits", 1
    )
    poll_interval: int = _set(5000, "POLL_INTERVAL_MS", "ms between plain polls", 10)
    longpoll_wait: int = _set(25000, "BRIDGE_LONGPOLL_WAIT", "ms a long-poll waits", 1, 60000)
    lease: int = _set(
        15000,
        "BRIDGE_LEASE",
        "ms a claim lasts; renewed while it is used, and so long nobody has the ticket of a watcher that was killed",
        100,
    )
    inbox_max: int = _set(
        256, "BRIDGE_INBOX_MAX", "tickets held before tmux; the broker keeps the rest", 1
    )
    exec_timeout: int = _set(60000, "BRIDGE_EXEC_TIMEOUT", "ms a command of --exec may run", 10)
    exec_tries: int = _set(
        10, "BRIDGE_EXEC_TRIES",
        "times that the command of --exec may fail for one ticket, about a minute with the pauses between; then the "
        "others pass it, and it is tried again when the watcher starts anew; 0 = no limit, and the others wait",
    )  # fmt: skip
    first_byte: int = _set(
        5000,
        "BRIDGE_FIRST_BYTE",
        "ms in which a stream must show its first comment; beyond it a proxy is buffering",
        10,
    )
    step_down_after: int = _set(
        3,
        "BRIDGE_STEP_DOWN_AFTER",
        "failures in a row after which the watcher goes one tier down",
        1,
    )
    tier_holds: int = _set(
        5000,
        "BRIDGE_TIER_HOLDS",
        "ms a tier must work before its failures are forgotten and the backoff begins anew",
        1,
    )
    probe_interval: int = _set(
        60000,
        "BRIDGE_PROBE_INTERVAL",
        "ms between two looks whether the tier above works again (jittered by half)",
        10,
    )
    retry_max: int = _set(
        30000, "BRIDGE_RETRY_MAX", "ms, cap of the backoff between two attempts at one ticket", 1
    )
    stuck_max: int = _set(
        300000,
        "BRIDGE_STUCK_MAX",
        "ms that a ticket whose text stands unconfirmed in a pane holds up its successors",
        100,
    )
    stop_timeout: int = _set(
        10000, "BRIDGE_STOP_TIMEOUT", "ms that an injection under way has on SIGTERM", 0
    )
    report_interval: int = _set(
        1000,
        "BRIDGE_REPORT_INTERVAL",
        "ms at least between two reports to the broker; none is sent when nothing changed",
        10,
    )
    pane_check: int = _set(
        10000,
        "BRIDGE_PANE_CHECK",
        "ms between two looks of an idle watcher at its pane, so that a loss is reported; 6 ms of CPU each",
        100,
    )
    explain_after: int = _set(
        2000,
        "BRIDGE_EXPLAIN_AFTER",
        "ms that a ticket waits for its pane before the log says why",
        10,
    )
    exit_on_loss: bool = _set(
        False,
        "BRIDGE_EXIT_ON_LOSS",
        "end when the pane is lost, instead of looking for it until it is back",
    )
    inject_rate: int = _set(
        100,
        "BRIDGE_INJECT_RATE",
        "injections a minute into one pane, so that an agent is never buried; 0 = no limit",
        0,
        6000,
    )
    remembered: int = _set(
        4096,
        "BRIDGE_REMEMBERED",
        "finished tickets whose ids are remembered, so that a late repeat is known",
        1,
    )


@dataclass(frozen=True)
class SupervisorSettings:
    """Whom a supervisor serves, and how it learns of changes."""

    supervise_max: int = _set(
        1000,
        "BRIDGE_SUPERVISE_MAX",
        "agents served by one supervisor; each holds a few tickets, tasks and a file watch",
        1,
    )
    file_check: int = _set(
        1000,
        "BRIDGE_FILE_CHECK",
        "ms between two looks whether --file has changed; 20 µs of CPU each",
        10,
    )
    discover_interval: int = _set(
        60000,
        "BRIDGE_DISCOVER_INTERVAL",
        "ms between two looks at the broker's registry with --discover, beside one at each reconnect",
        10,
    )
    sessions_interval: int = _set(
        5000,
        "BRIDGE_SESSIONS_INTERVAL",
        "ms between two looks at the tmux sessions with --sessions; 6 ms of CPU each",
        10,
    )
    forget_after: int = _set(
        60000,
        "BRIDGE_FORGET_AFTER",
        "ms after which an agent of --sessions whose session has gone is no longer served; it is looked for until then",
    )
    share_pane: bool = _set(
        False,
        "BRIDGE_SHARE_PANE",
        "let several agents of this supervisor have one pane, one ticket at a time; never with another process, which would not know whose turn it is",
    )


@dataclass(frozen=True)
class TmuxSettings:
    """How a ticket gets into a pane."""

    tmux_deadline: int = _set(
        5000, "BRIDGE_TMUX_DEADLINE", "ms one tmux call may take; a healthy server needs 10", 50
    )
    quiet: int = _set(
        2000, "BRIDGE_QUIET", "ms without a person's key in the pane before anything is typed"
    )
    still: int = _set(
        300,
        "BRIDGE_STILL",
        "ms an agent's screen stands still before it counts as idle; spinners turn faster",
    )
    settle: int = _set(
        150,
        "BRIDGE_SETTLE",
        "ms pasted text must stand still before Enter; some composers take an Enter within 120 ms as part of the paste",
    )
    verify_timeout: int = _set(
        3000, "BRIDGE_VERIFY_TIMEOUT", "ms pasted text has to show on the screen", 50
    )
    enter_wait: int = _set(
        2000, "BRIDGE_ENTER_WAIT", "ms an agent has to take an Enter before it is pressed again", 50
    )
    enter_retries: int = _set(
        3, "BRIDGE_ENTER_RETRIES", "times Enter, and only Enter, is pressed again", 0, 10
    )
    body_cap: int = _set(
        8192,
        "BRIDGE_BODY_CAP",
        "bytes of a body that are pasted; the rest is read with `show`: agents fold or truncate long pastes",
        64,
        1 << 20,
    )
    poll_min: int = _set(
        50, "BRIDGE_POLL_MIN", "ms between looks at a pane that may be ready soon", 5
    )
    poll_max: int = _set(
        250, "BRIDGE_POLL_MAX", "ms between looks at a pane that stays busy; 6 ms of CPU each", 5
    )
    shown_wait: int = _set(
        15000,
        "BRIDGE_SHOWN_WAIT",
        "ms that a shell's `show` has to say that it ran, before its ticket counts as unconfirmed; `show` itself waits 10 s for a broker",
        100,
    )
    show_tries: int = _set(
        3,
        "BRIDGE_SHOW_TRIES",
        "times a `show` that never said that it ran is typed into a shell",
        1,
        100,
    )
    cool_down: int = _set(100, "BRIDGE_COOL_DOWN", "ms between two injections into one pane")
    ready_pattern: str = _set(
        "",
        "BRIDGE_READY_PATTERN",
        "regular expression searched in the text left of the cursor: a further prompt",
    )
    shell_command: str = _set(
        "",
        "BRIDGE_SHELL_COMMAND",
        "the constant command a shell gets; {id} becomes the ticket's id (default: show of this program, by its absolute path)",
    )
    control: str = _set(
        "off",
        "BRIDGE_CONTROL",
        "attach a control client, three times quicker than running tmux: auto = only where a person is attached, and types, and nothing he set up would show it; on = wherever no session would live longer or die, though bells, hooks and scripts show it; off by default: the server of tmux 3.3a can crash when a control client is killed",
        choices=("auto", "on", "off"),
    )
    allow_opaque: bool = _set(
        False,
        "BRIDGE_ALLOW_OPAQUE",
        "type into ssh, docker, script, a nested tmux, where sleep and password prompts cannot be told",
    )


@dataclass(frozen=True)
class DoctorSettings:
    """What `doctor` calls good enough."""

    check_deadline: int = _set(
        10000,
        "BRIDGE_CHECK_DEADLINE",
        "ms one check may take, beyond what a setting of its own allows; then it counts as failed",
        100,
    )
    clock_apart: int = _set(
        5000,
        "BRIDGE_CLOCK_APART",
        "ms that the broker's clock and ours may be apart; beyond it times in histories mislead",
    )
    disk_free: int = _set(
        256 << 20,
        "BRIDGE_DISK_FREE",
        "bytes that should be free where the store is; a full disk turns sends into 503",
    )
    descriptors: int = _set(
        4096,
        "BRIDGE_DESCRIPTORS",
        "open files that a broker should be allowed: one for each connection",
    )


@dataclass(frozen=True)
class ShowSettings:
    """How `show` asks: a pane was told to run it once, and nobody types it again."""

    patience: int = _set(
        10000,
        "BRIDGE_SHOW_PATIENCE",
        "ms that it waits for a broker that does not answer: it may be restarting",
        0,
    )


@dataclass(frozen=True)
class TailSettings:
    """How `tail` brings tickets and their stages into one order: they come over two streams."""

    stage_hold: int = _set(
        500,
        "BRIDGE_STAGE_HOLD",
        "ms that a stage waits for its ticket's own line, which comes over another stream",
        0,
    )
    stages_held: int = _set(
        1000,
        "BRIDGE_STAGES_HELD",
        "tickets whose stages may wait so, and whose lines are remembered",
        1,
    )


@dataclass(frozen=True)
class TopSettings:
    """How often `top` looks and paints."""

    top_refresh: int = _set(
        250,
        "BRIDGE_TOP_REFRESH",
        "ms between two paints when news come in; faster than anybody reads, slow enough for ssh",
        20,
    )
    top_overview: int = _set(
        1000,
        "BRIDGE_TOP_OVERVIEW",
        "ms between two looks at everything while something moves; more where the broker needs long to answer",
        50,
    )
    top_idle: int = _set(
        30000,
        "BRIDGE_TOP_IDLE",
        "ms between two such looks while nothing moves: events are a hint, looking is the truth",
        100,
    )
    top_agents: int = _set(
        1000, "BRIDGE_TOP_AGENTS", "agents that are asked for and listed", 1, 10000
    )
    top_tickets: int = _set(300, "BRIDGE_TOP_TICKETS", "latest tickets that are kept to look at", 1)
    escape_delay: int = _set(
        50,
        "ESCDELAY",
        "ms after which an Escape is a key of its own and not the beginning of an arrow key's bytes (ncurses(3X))",
        0,
        2000,
    )


@dataclass(frozen=True)
class BenchSettings:
    """What `bench` starts, and for how long it looks."""

    agents: int = _set(10, "BRIDGE_BENCH_AGENTS", "agents; the claims are about 10", 1, 500)
    idle: int = _set(
        30,
        "BRIDGE_BENCH_IDLE",
        "seconds of the idle phase; of each way the whole number of its own periods that is nearest",
        1,
        3600,
    )
    tickets: int = _set(
        3, "BRIDGE_BENCH_TICKETS", "tickets to each agent, spread over one poll interval", 1, 50
    )
    settle: int = _set(
        3000,
        "BRIDGE_BENCH_SETTLE",
        "ms between the last watcher's connecting and the idle phase; their first reports take 2000",
        0,
        60000,
    )
    arrival: int = _set(30000, "BRIDGE_BENCH_ARRIVAL", "ms that the last ticket has to arrive", 100)


@dataclass(frozen=True)
class LoadSettings:
    """What `bench load` does to a running broker."""

    streams: int = _set(
        100, "BRIDGE_LOAD_STREAMS", "event streams, each of an agent of its own", 1, 20000
    )
    rate: int = _set(
        200, "BRIDGE_LOAD_RATE", "tickets a second, of all agents together; 0 = flat out", 0, 100000
    )
    seconds: int = _set(
        10,
        "BRIDGE_LOAD_SECONDS",
        "seconds of sending; each ticket costs 29 bytes until the end",
        1,
        600,
    )
    publishers: int = _set(
        8, "BRIDGE_LOAD_PUBLISHERS", "connections that send, and as many that acknowledge", 1, 1000
    )
    outstanding: int = _set(
        500,
        "BRIDGE_LOAD_OUTSTANDING",
        "tickets on their way or not yet acknowledged, beyond which sending waits; below the broker's BRIDGE_QUEUE_MAX",
        1,
        1 << 20,
    )
    drain: int = _set(
        5000,
        "BRIDGE_LOAD_DRAIN",
        "ms without any arrival after which a ticket that has not come counts as lost",
        100,
    )


def load(
    cls: type[S], flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ
) -> S:
    """Read settings of class `cls`. Raises UsageError that names the setting, its value and its range."""
    values: dict[str, Any] = {}
    for entry in fields(cls):  # type: ignore[arg-type]
        given = (flags or {}).get(entry.name)
        if given is not None:
            values[entry.name] = parse(entry, given, "--" + entry.name.replace("_", "-"))
            continue
        for variable in entry.metadata["env"]:
            if environ.get(variable):
                values[entry.name] = parse(entry, environ[variable], variable)
                break
    return cls(**values)


def parse(entry: Field[Any], text: object, source: str) -> Any:
    """Turn one flag or variable into a value of the field's type."""
    rules, low, high = entry.metadata, entry.metadata["low"], entry.metadata["high"]
    if isinstance(entry.default, bool):
        word = str(text).strip().lower()
        if word not in TRUE | FALSE:
            raise UsageError(f"{source} is {text!r}; it must be true or false")
        return word in TRUE
    if isinstance(entry.default, int):
        try:
            number = int(str(text))
        except ValueError:
            raise UsageError(f"{source} is {text!r}; it must be a whole number") from None
        if not low <= number <= high:
            span = f"at least {low}" if high == UNBOUNDED else f"{low} to {high}"
            raise UsageError(f"{source} is {number}; it must be {span}")
        return number
    if rules["choices"] and text not in rules["choices"]:
        raise UsageError(f"{source} is {text!r}; it must be one of {', '.join(rules['choices'])}")
    return str(text)

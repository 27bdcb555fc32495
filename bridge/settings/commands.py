"""Settings of single commands: doctor, show, tail, top, bench and bench load.

Times are milliseconds, unless the setting's text gives another unit. These settings have flags
only: a person who runs one of these commands types its flags.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.settings.setting import setting


@dataclass(frozen=True)
class DoctorSettings:
    """What `doctor` calls good enough."""

    check_deadline: int = setting(
        10000,
        "",
        "ms one check may take, beyond what its own setting allows; then it counts as failed",
        100,
    )
    clock_apart: int = setting(
        5000,
        "",
        "ms that the broker's clock and this machine's may differ; beyond it times in histories "
        "mislead",
    )
    disk_free: int = setting(
        256 << 20,
        "",
        "bytes that should be free where the store is; a full disk turns sends into 503",
    )
    descriptors: int = setting(
        4096,
        "",
        "open files that a broker should be allowed: one for each connection",
    )


@dataclass(frozen=True)
class ShowSettings:
    """How `show` asks the broker. A pane was given its command once, so it waits and retries."""

    patience: int = setting(
        10000,
        "",
        "ms that `show` waits for a broker that does not answer: it may be restarting",
        0,
    )


@dataclass(frozen=True)
class TailSettings:
    """How `tail` puts tickets and their stages into one order: they come over two streams."""

    stage_hold: int = setting(
        500,
        "",
        "ms that a stage waits for its ticket's own line, which comes over another stream",
        0,
    )
    stages_held: int = setting(
        1000,
        "",
        "tickets whose stages may wait in this way, and whose lines are remembered",
        1,
    )


@dataclass(frozen=True)
class TopSettings:
    """How often `top` looks and paints."""

    top_refresh: int = setting(
        250,
        "",
        "ms between two paints while events arrive; faster than a person reads, slow enough for "
        "ssh",
        20,
    )
    top_overview: int = setting(
        1000,
        "",
        "ms between two looks at everything while events arrive; more if the broker answers slowly",
        50,
    )
    top_idle: int = setting(
        30000,
        "",
        "ms between two such looks while no event arrives: an event is a hint, the look is the "
        "truth",
        100,
    )
    top_agents: int = setting(1000, "", "agents that are asked for and listed", 1, 10000)
    top_tickets: int = setting(300, "", "latest tickets that are kept to look at", 1)
    escape_delay: int = setting(
        50,
        "ESCDELAY",
        "ms after which an Escape is a key of its own and not the first byte of an arrow key "
        "(ncurses(3X))",
        0,
        2000,
    )


@dataclass(frozen=True)
class BenchSettings:
    """What `bench` starts, and for how long it looks."""

    agents: int = setting(10, "", "agents; the claims are about 10", 1, 500)
    idle: int = setting(
        30,
        "",
        "seconds of the idle phase; each way gets the nearest whole number of its own periods",
        1,
        3600,
    )
    tickets: int = setting(3, "", "tickets to each agent, spread over one poll interval", 1, 50)
    settle: int = setting(
        3000,
        "",
        "ms between the last watcher's connection and the idle phase; first reports take 2000",
        0,
        60000,
    )
    arrival: int = setting(30000, "", "ms that the last ticket has to arrive", 100)


@dataclass(frozen=True)
class LoadSettings:
    """What `bench load` does to a running broker."""

    streams: int = setting(100, "", "event streams, each of an agent of its own", 1, 20000)
    rate: int = setting(
        200, "", "tickets a second, of all agents together; 0 = flat out", 0, 100000
    )
    seconds: int = setting(
        10,
        "",
        "seconds of sending; each ticket costs 29 bytes until the end",
        1,
        600,
    )
    publishers: int = setting(8, "", "connections that send, and as many that acknowledge", 1, 1000)
    outstanding: int = setting(
        500,
        "",
        "tickets sent and not yet acknowledged, beyond which sending waits; below the broker's "
        "BRIDGE_QUEUE_MAX",
        1,
        1 << 20,
    )
    drain: int = setting(
        5000,
        "",
        "ms without any arrival after which a ticket that has not come counts as lost",
        100,
    )

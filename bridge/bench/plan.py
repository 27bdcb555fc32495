"""The ways to receive that are compared, and one schedule for all.

    way         process          while idle                                        a period
    poll        one per agent    GET pending, the predecessor's way: the "before"  5 s
    longpoll    one per agent    GET pending that waits                            25 s
    sse         one per agent    receives a heartbeat                              30 s
    supervise   one for all      receives a heartbeat                              30 s

Rule 1: each way is measured for a whole number of its own periods. Everything happens once in
a period, wherever it begins. In 40 s a stream may get one heartbeat or two.
Rule 2: tickets are spread over one poll interval: evenly, with a random place in each part. So
the wait for the next poll is 0 to 5 s, and luck has little effect. All ways get the same
schedule.
Rule 3: the poller sends the broker no report about itself, as the predecessor's, so `before`
is not made worse than it was. The other ways have the default heartbeats.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from bridge.settings import BenchSettings, BrokerSettings, WatcherSettings

QUICK = 20  # --quick: every interval is shorter by this factor
SILENT_MS = 86_400_000  # a day between two heartbeats of a poller: none during a run


class Way(enum.Enum):
    POLL = "poll"
    LONG_POLL = "longpoll"
    STREAM = "sse"
    SUPERVISOR = "supervise"


BEFORE = Way.POLL
AFTER = (Way.STREAM, Way.SUPERVISOR)  # the ways that the claims are about


@dataclass(frozen=True)
class Send:
    """One ticket of the schedule."""

    at: float  # seconds after the phase began
    agent: str
    number: int  # counts from 0


@dataclass(frozen=True)
class Plan:
    """One run. Times in ms as the settings have them, `idle` in seconds."""

    agents: int
    idle: float
    tickets: int
    settle_ms: int
    arrival_ms: int
    poll_ms: int = WatcherSettings.poll_interval
    wait_ms: int = WatcherSettings.longpoll_wait
    heartbeat_ms: int = BrokerSettings.sse_heartbeat
    report_ms: int = WatcherSettings.report_interval
    is_quick: bool = False

    @property
    def names(self) -> list[str]:
        return [f"bench-{number}" for number in range(1, self.agents + 1)]

    def period(self, way: Way) -> float:
        """Seconds after which an idle watcher repeats itself."""
        return {Way.POLL: self.poll_ms, Way.LONG_POLL: self.wait_ms}.get(
            way, self.heartbeat_ms
        ) / 1000

    def idle_seconds(self, way: Way) -> float:
        """Rule 1: the whole number of periods nearest to `idle`, at least one."""
        return max(1, round(self.idle / self.period(way))) * self.period(way)

    def watchers(self, way: Way) -> list[list[str]]:
        """The command line of each watcher process."""
        shared = ["--print", "--report-interval", str(self.report_ms)]
        if way is Way.SUPERVISOR:
            return [["supervise", *self.names, *shared, "--sse-heartbeat", str(self.heartbeat_ms)]]
        heartbeat = SILENT_MS if way is Way.POLL else self.heartbeat_ms
        flags = [
            "--push-mode",
            way.value,
            "--poll-interval",
            str(self.poll_ms),
            "--longpoll-wait",
            str(self.wait_ms),
            "--sse-heartbeat",
            str(heartbeat),
        ]
        return [["watch", name, *shared, *flags] for name in self.names]

    def schedule(self, uniform: Callable[[float, float], float] = random.uniform) -> Sequence[Send]:
        """Rule 2, in order of time."""
        part = self.poll_ms / 1000 / self.tickets
        moments = [
            (part * uniform(index, index + 1), name)
            for name in self.names
            for index in range(self.tickets)
        ]
        return [Send(at, name, number) for number, (at, name) in enumerate(sorted(moments))]


def plan_of(settings: BenchSettings, is_quick: bool) -> Plan:
    plan = Plan(settings.agents, settings.idle, settings.tickets, settings.settle, settings.arrival)
    if not is_quick:
        return plan
    return Plan(
        plan.agents,
        plan.idle / QUICK,
        plan.tickets,
        plan.settle_ms // QUICK,
        plan.arrival_ms,
        plan.poll_ms // QUICK,
        plan.wait_ms // QUICK,
        plan.heartbeat_ms // QUICK,
        plan.report_ms // QUICK,
        True,
    )

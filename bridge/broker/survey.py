"""Totals over every known name, counted in parts.

A count of 20,000 names takes 60 ms. So each count is a generator that yields after PART_NAMES
names, and the event loop answers other requests in between. A name that comes or goes meanwhile
may be counted or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from typing import TypeVar

from bridge.broker.entry import Entry
from bridge.broker.metrics.watcher_series import OTHER, Number
from bridge.broker.services import Services

PART_NAMES = 256  # 1 to 2 us each
T = TypeVar("T")
Parts = Generator[None, None, T]  # yields between two parts, returns T


def _in_parts(names: Iterable[T]) -> Generator[T | None, None, None]:
    """Each name, and None after each part."""
    for count, name in enumerate(list(names), 1):
        yield name
        if count % PART_NAMES == 0:
            yield None


class Tiers:
    """The number of agents by tier, and of those with a recent plain poll."""

    def __init__(self) -> None:
        self.agents: Counter[str] = Counter()
        self.polled = 0


def count_tiers(services: Services) -> Parts[Tiers]:
    registry, now, counted = services.registry, services.clock.monotonic(), Tiers()
    for name in _in_parts(registry.names()):
        if name is None:
            yield
        else:
            counted.agents[registry.connection(name, now)] += 1
            counted.polled += registry.is_polled(name, now)
    return counted


def find_waiting(services: Services) -> Parts[Entry | None]:
    """The oldest pending ticket of an agent that is registered or received for."""
    registry, oldest = services.registry, None
    for backlog in _in_parts(services.hub.backlogs.values()):
        if backlog is None:
            yield
        elif registry.is_served(backlog.agent_id):
            entry = backlog.oldest()
            if entry is not None and (oldest is None or entry.seq < oldest.seq):
                oldest = entry
    return oldest


def sum_reports(services: Services, fields: Iterable[str]) -> Parts[dict[str, dict[str, Number]]]:
    """The latest numbers of the watchers of online agents: field -> name of the series -> sum.

    A watcher that is gone uses nothing, so it does not count.
    """
    registry = services.registry
    series = services.metrics.watcher_series
    now = services.clock.monotonic()
    sums: dict[str, dict[str, Number]] = {field: {OTHER: 0} for field in fields}
    for agent in _in_parts(registry.agents.values()):
        if agent is None:
            yield
            continue
        report = registry.report(agent.agent_id)
        if not report.numbers or registry.status(agent, now) != "online":
            continue
        for field, of_names in sums.items():
            value = report.numbers.get(field)
            if value is not None:
                name = series.name(agent.agent_id)
                of_names[name] = of_names.get(name, 0) + value
    return sums

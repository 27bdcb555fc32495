"""Numbers that watchers report about themselves, as series that can be added up.

Rule 1: at most `agents_max` agents have series of their own. The others are summed
under the name "other", so that the number of series is bounded. An agent keeps its
series until its registration is removed.
Rule 2: a watcher counts from its own start, and a series from the broker's start. So
only increments are added. If a watcher's count is less than before, the watcher was
restarted. A series never decreases. Two watchers of one agent are counted separately.
Rule 3: the series "other" exists even if it is 0, so that a query finds it from the
first day on.
Rule 4: a watcher's numbers come from a peer. A value that is no number, or that a
double cannot hold exactly, is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

OTHER = "other"
COUNTED = ("reconnects", "sessionFailures", "injectionErrors")
NUMBER_MAX = 1 << 53
COUNTING_MAX = 8  # watchers of one agent whose last counts are remembered
Number = Union[int, float]


def number(report: Mapping[str, Any], field: str) -> Number | None:
    """A field's value, if it is a number that makes sense."""
    value = report.get(field)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if 0 <= value <= NUMBER_MAX else None


class WatcherSeries:
    def __init__(self, agents_max: int) -> None:
        self._agents_max = agents_max
        self._own: set[str] = set()  # agents with series of their own
        # agent -> watcher -> field -> its last count
        self._last: dict[str, dict[str, dict[str, Number]]] = {}
        # field -> name -> count
        self.totals: dict[str, dict[str, Number]] = {field: {OTHER: 0} for field in COUNTED}

    def name(self, agent_id: str) -> str:
        """The name of the series that has the agent's numbers."""
        if agent_id in self._own:
            return agent_id
        if agent_id == OTHER or len(self._own) >= self._agents_max:
            return OTHER
        self._own.add(agent_id)
        return agent_id

    def take(self, agent_id: str, report: Mapping[str, Any], watcher: str = "") -> None:
        """Count a report of the agent's watcher."""
        name, watchers = self.name(agent_id), self._last.setdefault(agent_id, {})
        last = watchers[watcher] = watchers.pop(watcher, {})
        if len(watchers) > COUNTING_MAX:
            del watchers[next(iter(watchers))]
        for field, totals in self.totals.items():
            value = number(report, field)
            if value is not None:
                before = last.get(field, 0)
                totals[name] = totals.get(name, 0) + (value - before if value >= before else value)
                last[field] = value

    def forget(self, agent_id: str) -> None:
        """The agent was unregistered."""
        self._last.pop(agent_id, None)
        if agent_id in self._own:
            self._own.discard(agent_id)
            for totals in self.totals.values():
                totals.pop(agent_id, None)

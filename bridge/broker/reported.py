"""What the watchers report about themselves, as series that can be added up.

Rule 1: at most `agents_max` agents have series of their own; the others are
summed under the name "other", so that the number of series is bounded. Who has
one keeps it until its registration is removed.
Rule 2: a watcher counts from its own start, a series from ours: what a watcher
adds is added, and one that counts less than before has been started anew. So a
series, the sum among them, never goes down. Two watchers of one agent count apart.
Rule 3: the sum of the others is there although it may be 0: who asks for a series
on the first day finds it.
Rule 4: a watcher's numbers are a peer's word: what is no number that a double
can hold is left out.
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


class Reported:
    def __init__(self, agents_max: int) -> None:
        self._agents_max = agents_max
        self._own: set[str] = set()  # agents with series of their own
        self._last: dict[
            str, dict[str, dict[str, Number]]
        ] = {}  # agent -> watcher -> field -> what it counted last
        self.totals: dict[str, dict[str, Number]] = {
            field: {OTHER: 0} for field in COUNTED
        }  # field -> name -> count

    def name(self, agent_id: str) -> str:
        """Under which name the agent's numbers are shown."""
        if agent_id in self._own:
            return agent_id
        if agent_id == OTHER or len(self._own) >= self._agents_max:
            return OTHER
        self._own.add(agent_id)
        return agent_id

    def take(self, agent_id: str, report: Mapping[str, Any], watcher: str = "") -> None:
        """The agent's watcher has reported."""
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
        """The agent is registered no more."""
        self._last.pop(agent_id, None)
        if agent_id in self._own:
            self._own.discard(agent_id)
            for totals in self.totals.values():
                totals.pop(agent_id, None)

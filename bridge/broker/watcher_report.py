"""One report of a watcher about its agent, as a heartbeat brought it.

Rule 1: a report stays in memory for each agent. So only known fields are kept, and texts are cut.
Rule 2: it comes from a peer. A field that makes no sense is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Union

from bridge.broker.metrics.watcher_series import Number, number

TEXT_MAX = 256  # characters of each text
NUMBERS = (
    "queued",
    "reconnects",
    "sessionFailures",
    "injectionErrors",
    "cpuPercent",
    "memoryBytes",
)
Value = Union[str, Number, None]  # should be a text


class ReportedWait(NamedTuple):
    """Why the agent's first ticket is not typed yet, and since when."""

    ticket_id: str | None
    reason: str
    since_at: str

    def to_json(self) -> dict[str, object]:
        return {"ticketId": self.ticket_id, "reason": self.reason, "sinceAt": self.since_at}


class WatcherReport(NamedTuple):
    session: Value = None
    pane: Value = None
    health: Value = None
    waiting: ReportedWait | None = None
    numbers: Mapping[str, Number] = MappingProxyType({})  # some of NUMBERS

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> WatcherReport:
        found = {name: number(fields, name) for name in NUMBERS}
        return cls(
            _value(fields, "session"),
            _value(fields, "pane"),
            _value(fields, "health"),
            _wait_in(fields.get("waiting")),
            {name: value for name, value in found.items() if value is not None},
        )


NO_REPORT = WatcherReport()


def _value(fields: Mapping[str, Any], name: str) -> Value:
    value = fields.get(name)
    return value[:TEXT_MAX] if isinstance(value, str) else number(fields, name)


def _wait_in(fields: object) -> ReportedWait | None:
    if not isinstance(fields, dict):
        return None
    ticket_id, reason, since_at = map(fields.get, ("ticketId", "reason", "sinceAt"))
    if not isinstance(reason, str) or not isinstance(since_at, str):
        return None
    return ReportedWait(
        ticket_id[:TEXT_MAX] if isinstance(ticket_id, str) else None,
        reason[:TEXT_MAX],
        since_at[:TEXT_MAX],
    )

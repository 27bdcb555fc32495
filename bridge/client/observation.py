"""The answers of `GET /overview`, `GET /events` and `GET /search` as values.

Rule 1: an observer must accept a newer broker. A field that is absent, or has an unexpected
        type, reads as "not known". Only an answer that is no object at all is an error
        (PeerError 502).
Rule 2: texts are not made safe for a terminal here. They come from other programs, so the
        code that prints them must do that.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.errors import PeerError
from bridge.ticket import Ticket

Fields = Mapping[str, object]


@dataclass(frozen=True)
class WaitingReason:
    """Why the head of an agent's inbox is not typed yet, as its watcher reported it."""

    reason: str
    since_at: str = ""
    ticket_id: str = ""  # "" = not reported


@dataclass(frozen=True)
class AgentView:
    """One agent in the broker's view. "" and None: not known to the broker."""

    agent_id: str
    type: str = ""
    status: str = "offline"  # or online
    connection: str = "none"  # sse, longpoll, poll
    health: str = ""  # healthy, busy, lost
    session: str = ""
    pane: str = ""
    pending: int = 0
    oldest_at: str = ""
    waiting: WaitingReason | None = None
    queued: int | None = None
    last_heartbeat: str = ""
    is_registered: bool = True

    @property
    def is_gone(self) -> bool:
        """An event of such an agent means that it has left the overview."""
        return not self.is_registered and not self.pending and not self.is_connected

    @property
    def is_connected(self) -> bool:
        return self.connection != "none"

    @classmethod
    def from_json(cls, content: object) -> AgentView:
        fields = _object(content, "an agent")
        return cls(
            agent_id=_text(fields, "agentId"),
            type=_text(fields, "type"),
            status=_text(fields, "status") or "offline",
            connection=_text(fields, "connection") or "none",
            health=_text(fields, "health"),
            session=_text(fields, "session"),
            pane=_text(fields, "pane"),
            pending=_count(fields, "pending") or 0,
            oldest_at=_text(fields, "oldestPendingAt"),
            waiting=_waiting(fields.get("waiting")),
            queued=_count(fields, "queued"),
            last_heartbeat=_text(fields, "lastHeartbeat"),
            is_registered=fields.get("registered") is not False,
        )

    @classmethod
    def from_status(cls, agent_id: str, fields: Fields) -> AgentView:
        """Made from the push design's status page, all that a broker without /overview offers."""
        connection = _text(fields, "connection") or "none"
        return cls(
            agent_id=agent_id,
            status="offline" if connection == "none" else "online",
            connection=connection,
            health=_text(fields, "sessionHealth"),
            session=_text(fields, "tmuxSession"),
            pending=_count(fields, "pendingMessages") or 0,
            last_heartbeat=_text(fields, "lastHeartbeat"),
        )


@dataclass(frozen=True)
class TimelineChart:
    """What happened in each of the last steps, oldest first."""

    step_ms: int = 1000
    from_at: str = ""
    accepted: tuple[float, ...] = ()
    acknowledged: tuple[float, ...] = ()
    p50_ms: tuple[float | None, ...] = ()  # accepted to acknowledged; None = none in that step
    p99_ms: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Hop:
    """Latency of one step of the way, over the last minute."""

    count: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True)
class Overview:
    """Everything at one moment."""

    at: str = ""
    version: str = ""
    uptime_ms: int = 0
    # accepted, pending, streams, agents, ...
    totals: Mapping[str, int] = field(default_factory=dict)
    oldest_at: str = ""
    timeline: TimelineChart = TimelineChart()
    # streamed, injected, acknowledged, delivered
    latency: Mapping[str, Hop] = field(default_factory=dict)
    agents: tuple[AgentView, ...] = ()
    is_truncated: bool = False

    @classmethod
    def from_json(cls, content: object) -> Overview:
        fields = _object(content, "an overview")
        totals, latency, agents = fields.get("totals"), fields.get("latency"), fields.get("agents")
        totals = totals if isinstance(totals, dict) else {}
        return cls(
            at=_text(fields, "at"),
            version=_text(fields, "version"),
            uptime_ms=_count(fields, "uptimeMs") or 0,
            totals={name: int(value) for name, value in totals.items() if _is_number(value)},
            oldest_at=_text(totals, "oldestPendingAt"),
            timeline=_timeline(fields.get("timeline")),
            latency={name: _hop(value) for name, value in latency.items()}
            if isinstance(latency, dict)
            else {},
            agents=tuple(map(AgentView.from_json, agents)) if isinstance(agents, list) else (),
            is_truncated=fields.get("truncated") is True,
        )


@dataclass(frozen=True)
class StageEvent:
    """A ticket has reached another stage."""

    ticket_id: str
    seq: int
    agent_id: str
    origin: str
    stage: str
    at: str
    status: str = ""
    thread_id: str = ""
    by: str = ""
    evidence: object = None  # any JSON value
    preview: str | None = None  # the beginning of the payload, only at accepted and replied

    @property
    def is_step(self) -> bool:
        """False: the event adds detail to the ticket, and does not move it on."""
        return self.stage != "shown"

    @classmethod
    def from_json(cls, content: object) -> StageEvent:
        fields = _object(content, "a stage")
        preview = fields.get("preview")
        return cls(
            ticket_id=_text(fields, "ticketId"),
            seq=_count(fields, "seq") or 0,
            agent_id=_text(fields, "agentId"),
            origin=_text(fields, "originAgent"),
            stage=_text(fields, "stage"),
            at=_text(fields, "at"),
            status=_text(fields, "status"),
            thread_id=_text(fields, "threadId"),
            by=_text(fields, "by"),
            evidence=fields.get("evidence"),
            preview=preview if isinstance(preview, str) else None,
        )


@dataclass(frozen=True)
class Missed:
    """The broker left out `events` events, because we read too slowly."""

    events: int


@dataclass(frozen=True)
class SearchPage:
    """One page of a search, newest first."""

    tickets: tuple[Ticket, ...]
    next_before: int | None  # the next page is before this seq; None = this is the last page

    @classmethod
    def from_json(cls, content: object) -> SearchPage:
        fields = _object(content, "a search")
        tickets = fields.get("tickets")
        return cls(
            tuple(map(Ticket.from_json, tickets)) if isinstance(tickets, list) else (),
            _count(fields, "nextBefore"),
        )


def decode_event(name: str, data: str) -> StageEvent | AgentView | Missed | None:
    """One event of /events; None for a kind that a later broker may have added.

    Raises PeerError 502.
    """
    if name not in ("stage", "agent", "missed"):
        return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PeerError(502, f"the broker sent an event that is no JSON: {error}") from None
    if name == "missed":
        return Missed(_count(_object(content, "an event"), "events") or 0)
    return StageEvent.from_json(content) if name == "stage" else AgentView.from_json(content)


def _waiting(content: object) -> WaitingReason | None:
    if not isinstance(content, dict) or not content.get("reason"):
        return None
    return WaitingReason(
        str(content["reason"]), _text(content, "sinceAt"), _text(content, "ticketId")
    )


def _timeline(content: object) -> TimelineChart:
    fields = content if isinstance(content, dict) else {}
    rows = {
        name: _numbers(fields.get(name)) for name in ("accepted", "acknowledged", "p50Ms", "p99Ms")
    }
    counts = {
        name: tuple(value or 0 for value in rows[name]) for name in ("accepted", "acknowledged")
    }
    return TimelineChart(
        _count(fields, "stepMs") or 1000,
        _text(fields, "fromAt"),
        counts["accepted"],
        counts["acknowledged"],
        rows["p50Ms"],
        rows["p99Ms"],
    )


def _hop(content: object) -> Hop:
    fields = content if isinstance(content, dict) else {}
    p50, p99 = _numbers([fields.get("p50Ms"), fields.get("p99Ms")])
    return Hop(_count(fields, "count") or 0, p50, p99)


def _numbers(content: object) -> tuple[float | None, ...]:
    values: Sequence[object] = content if isinstance(content, list) else ()
    return tuple(value if _is_number(value) else None for value in values)  # type: ignore[misc]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)  # Python's json reads Infinity
    except OverflowError:  # and integers of any length
        return False


def _object(content: object, what: str) -> Fields:
    if not isinstance(content, dict):
        raise PeerError(502, f"the broker sent something else than {what}; is it a bridge broker?")
    return content


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _count(fields: Fields, name: str) -> int | None:
    value = fields.get(name)
    return int(value) if _is_number(value) else None  # type: ignore[call-overload]

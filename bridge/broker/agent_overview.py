"""One agent at a glance: is it online, which tier reaches it, what waits for it and why.

There is a row for each registered agent, and for each other name that has a
backlog or an open stream. A sender can invent any name, so a mere name has no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bridge.broker.clock import Clock
from bridge.broker.hub import Hub
from bridge.broker.registry import Registry
from bridge.broker.watcher_report import NO_REPORT, ReportedWait, Value
from bridge.ticket import Agent
from bridge.timestamp import rfc3339

HEALTHS = frozenset({"healthy", "busy", "lost"})
TEXT_MAX = 256  # characters of a session's or pane's name; a registration has no bound for them


@dataclass(frozen=True)
class AgentRow:
    agent_id: str
    type: str
    is_registered: bool
    status: str
    connection: str
    health: str | None
    session: str | None
    pane: str | None
    pending: int
    oldest_pending_at: str | None
    waiting: ReportedWait | None
    queued: int | None
    last_heartbeat: str | None

    def to_json(self) -> dict[str, object]:
        return {
            "agentId": self.agent_id,
            "type": self.type,
            "registered": self.is_registered,
            "status": self.status,
            "connection": self.connection,
            "health": self.health,
            "session": self.session,
            "pane": self.pane,
            "pending": self.pending,
            "oldestPendingAt": self.oldest_pending_at,
            "waiting": self.waiting.to_json() if self.waiting else None,
            "queued": self.queued,
            "lastHeartbeat": self.last_heartbeat,
        }


class AgentState(NamedTuple):
    """The values of a row whose change is an event."""

    status: str  # online or offline
    connection: str  # the tier that reaches it: sse, longpoll, poll or none
    is_registered: bool
    # As its watcher reported, while the agent is online.
    health: Value = None
    waiting: ReportedWait | None = None


class AgentOverview:
    """Makes rows from the present state of the registry and the hub."""

    def __init__(self, registry: Registry, hub: Hub, clock: Clock) -> None:
        self._registry, self._hub, self._clock = registry, hub, clock

    def has(self, agent_id: str) -> bool:
        backlog = self._hub.backlogs.get(agent_id)
        return agent_id in self._registry.agents or bool(backlog) or self._hub.streams(agent_id) > 0

    def names(self) -> set[str]:
        """The agents that have a row."""
        waiting = {name for name, backlog in self._hub.backlogs.items() if backlog}
        return waiting.union(self._registry.agents, self._hub.streamed_agents())

    def state(self, agent_id: str) -> AgentState:
        now, report = self._clock.monotonic(), self._registry.report(agent_id)
        agent = self._registry.agents.get(agent_id)
        status = self._registry.status(agent or Agent(agent_id), now)
        # The report of a watcher that is gone is no longer true.
        current = report if status == "online" else NO_REPORT
        return AgentState(
            status,
            self._registry.connection(agent_id, now),
            agent is not None,
            current.health,
            current.waiting,
        )

    def row(self, agent_id: str) -> AgentRow:
        state = self.state(agent_id)
        agent = self._registry.agents.get(agent_id) or Agent(agent_id)
        report = self._registry.report(agent_id)
        backlog = self._hub.backlogs.get(agent_id)
        oldest = backlog.oldest() if backlog else None
        queued = report.numbers.get("queued")
        return AgentRow(
            agent_id=agent_id,
            type=agent.type,
            is_registered=state.is_registered,
            status=state.status,
            connection=state.connection,
            health=str(state.health) if state.health in HEALTHS else None,
            session=_text(report.session) or _text(agent.metadata.get("session")),
            pane=_text(report.pane) or _text(agent.metadata.get("paneId")),
            pending=len(backlog) if backlog else 0,
            oldest_pending_at=rfc3339(oldest.created_ms) if oldest else None,
            waiting=state.waiting,
            queued=queued if isinstance(queued, int) else None,
            last_heartbeat=agent.last_heartbeat or None,
        )


def _text(value: object) -> str | None:
    return value[:TEXT_MAX] if isinstance(value, str) and value else None

"""The data of `top`: the latest overview, the events since, and the state of the connection.

Events are a hint, an overview is the truth: it replaces the rows of all agents. Tickets
come from their stages; the latest `tickets_max` of them are kept.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.cli.local_time import read_at
from bridge.cli.safe_text import payload_text
from bridge.client.observation import AgentView, Overview, StageEvent
from bridge.ticket import Ticket

# Seconds after the last stage in which the charts still move: the length of the timeline.
MOVES_FOR = 120.0
PREVIEW = 200  # characters of a ticket's text, as many as its events hold


class Link(enum.Enum):
    """The state of the connection to the broker."""

    CONNECTING = "connecting"
    LIVE = "live"
    POLLING = "polling"  # the broker has no streams (DISABLE_SSE), so overviews are polled
    LOST = "lost"


@dataclass(frozen=True)
class TicketLine:
    """A ticket, as its stages describe it."""

    ticket_id: str
    agent_id: str
    origin: str
    stage: str
    at: str
    preview: str = ""

    @classmethod
    def from_ticket(cls, ticket: Ticket) -> TicketLine:
        preview = payload_text(ticket.payload)[:PREVIEW]
        return cls(
            ticket.ticket_id,
            ticket.agent_id,
            ticket.origin,
            ticket.status,
            ticket.updated_at or ticket.created_at,
            preview,
        )


class Model:
    """Changed by the feed, read by the view. No method waits; `now` is wall clock, seconds."""

    def __init__(self, url: str, tickets_max: int) -> None:
        self.url = url
        self.overview = Overview()
        self.agents: dict[str, AgentView] = {}
        self.tickets: OrderedDict[str, TicketLine] = OrderedDict()  # latest last
        self.link = Link.CONNECTING
        self.link_since = 0.0
        self.link_reason = ""
        self.missed = 0
        self._tickets_max = tickets_max
        self._moved_at = float("-inf")

    def take_overview(self, overview: Overview) -> None:
        self.overview = overview
        self.agents = {agent.agent_id: agent for agent in overview.agents}

    def take_agent(self, agent: AgentView) -> None:
        if agent.is_gone:
            self.agents.pop(agent.agent_id, None)
        else:
            self.agents[agent.agent_id] = agent

    def take_stage(self, event: StageEvent, now: float) -> None:
        known = self.tickets.pop(event.ticket_id, None)
        text = (
            event.preview
            if event.preview is not None and event.stage == "accepted"
            else known.preview
            if known
            else ""
        )
        stage = known.stage if known and not event.is_step else event.stage
        self.tickets[event.ticket_id] = TicketLine(
            event.ticket_id, event.agent_id, event.origin, stage, event.at, text
        )
        while len(self.tickets) > self._tickets_max:
            self.tickets.popitem(last=False)
        self._moved_at = now

    def take_found(self, tickets: Sequence[Ticket]) -> None:
        """Add the tickets of a search, newest first, so that the list is not empty at the start."""
        for ticket in reversed(tickets):
            if ticket.ticket_id not in self.tickets:
                self.tickets[ticket.ticket_id] = TicketLine.from_ticket(ticket)
        self.tickets = OrderedDict(
            sorted(self.tickets.items(), key=lambda item: item[1].at)[-self._tickets_max :]
        )

    def take_missed(self, events: int) -> None:
        self.missed += events

    def take_link(self, link: Link, now: float, reason: str = "") -> None:
        if link is not self.link:
            self.link, self.link_since = link, now
        self.link_reason = reason

    def is_moving(self, now: float) -> bool:
        """Whether the picture changes with time alone: charts and ages."""
        moved_at = max(
            self._moved_at,
            read_at(self.overview.at) or 0.0
            if any(self.overview.timeline.accepted + self.overview.timeline.acknowledged)
            else 0.0,
        )
        return now - moved_at < MOVES_FOR or any(
            agent.pending or agent.waiting for agent in self.agents.values()
        )

    def rate(self, now: float) -> float:
        """Tickets accepted a second, over the last ten whole steps."""
        return sum(self.accepted(now)[-11:-1]) / 10 / (self.overview.timeline.step_ms / 1000)

    def accepted(self, now: float) -> tuple[float, ...]:
        return self._until(self.overview.timeline.accepted, now, 0.0)

    def p99(self, now: float) -> tuple[float | None, ...]:
        return self._until(self.overview.timeline.p99_ms, now, None)

    def _until(self, row: Sequence[float | None], now: float, nothing: float | None) -> tuple:  # type: ignore[type-arg]
        """A row of the timeline, moved on to the present.

        The steps after the overview are empty: else an event would have led to another one.
        """
        timeline = self.overview.timeline
        began = read_at(timeline.from_at)
        if began is None or not row:
            return tuple(row)
        steps = int((now - began) / (timeline.step_ms / 1000)) + 1 - len(row)
        passed = max(0, min(len(row), steps))
        return tuple(row[passed:]) + (nothing,) * passed

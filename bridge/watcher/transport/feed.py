"""Which tickets a tier requests: one agent's, or those of all agents subscribed under a name.

The three tiers work the same for both. Only three requests to the broker differ, and the place
of the ticket in an event. A feed hides these differences from the tier.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Callable, Protocol

from bridge.client.broker import BrokerClient
from bridge.client.http import EventStreamReader
from bridge.errors import Refused
from bridge.ticket import Ticket
from bridge.watcher.transport.base import UNFIT_STATUSES


class Feed(Protocol):
    """The requests of a tier to the broker."""

    kind: str  # what `name` is, for logs: agent or subscriber
    name: str

    async def open_stream(self, after: int, head_within: float) -> EventStreamReader:
        """Raises as BrokerClient.stream_agent does."""

    async def pending(self, after: int, wait_ms: int, limit: int) -> list[Ticket]:
        """Raises Refused, BrokerUnreachable."""

    async def poll(self, after: int, limit: int) -> list[Ticket]:
        """As `pending` without a wait. Works with a broker of any age."""

    def ticket_of(self, event: object) -> Ticket:
        """The ticket in an event's JSON. Raises PeerError."""

    def recipient(self, ticket: Ticket) -> str:
        """The agent that the ticket is for."""


class AgentFeed:
    """One agent's tickets."""

    kind = "agent"

    def __init__(self, client: BrokerClient, agent: str) -> None:
        self.name = agent
        self._client = client

    async def open_stream(self, after: int, head_within: float) -> EventStreamReader:
        return await self._client.stream_agent(self.name, after, head_within)

    async def pending(self, after: int, wait_ms: int, limit: int) -> list[Ticket]:
        return await self._client.pending(self.name, after, wait_ms, limit)

    async def poll(self, after: int, limit: int) -> list[Ticket]:
        return await self.pending(after, 0, limit)

    def ticket_of(self, event: object) -> Ticket:
        return Ticket.from_json(event)

    def recipient(self, ticket: Ticket) -> str:
        return self.name


class SubscriberFeed:
    """The tickets of all agents subscribed under `name`.

    `agents` returns the agents to poll one by one at a broker without subscribers.
    """

    kind = "subscriber"

    def __init__(
        self, client: BrokerClient, name: str, agents: Callable[[], Iterable[str]]
    ) -> None:
        self.name = name
        self._client = client
        self._agents = agents
        self._is_known = True  # until the broker proves to have no such resource

    async def open_stream(self, after: int, head_within: float) -> EventStreamReader:
        return await self._client.stream_subscriber(self.name, after, head_within)

    async def pending(self, after: int, wait_ms: int, limit: int) -> list[Ticket]:
        return await self._client.pending_of(self.name, after, wait_ms, limit)

    async def poll(self, after: int, limit: int) -> list[Ticket]:
        if self._is_known:
            try:
                return await self.pending(after, 0, limit)
            except Refused as error:
                if error.status not in UNFIT_STATUSES:
                    raise
                self._is_known = False
        found: list[Ticket] = []
        # One after the other, so as not to flood that broker.
        for agent in list(self._agents()):
            # Without the cursor: it would skip an agent's tickets beyond `limit`.
            found += await self._client.pending(agent, 0, 0, limit)
        return found

    def ticket_of(self, event: object) -> Ticket:
        return Ticket.from_json(event.get("ticket") if isinstance(event, dict) else None)

    def recipient(self, ticket: Ticket) -> str:
        return ticket.agent_id

"""The lowest tier: ask every few seconds. Works with anything that speaks HTTP."""

from __future__ import annotations

import asyncio

from bridge.client.broker import BrokerClient
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket


class Poll:
    """What is pending, each interval."""

    def __init__(self, client: BrokerClient, agent: str, settings: WatcherSettings) -> None:
        self._client = client
        self._agent = agent
        self._interval = settings.poll_interval / 1000
        self._after = 0
        self._next_at = 0.0

    async def open(self, after: int) -> None:
        self._after = after

    async def receive(self, room: int) -> list[Ticket]:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next_at - clock()))
        self._next_at = clock() + self._interval
        tickets = await self._client.pending(self._agent, self._after, 0, room)
        newest = max([self._after, *(ticket.seq for ticket in tickets)])
        if len(tickets) >= room and newest > self._after:
            self._next_at = 0.0  # there is probably more; not so without progress: the predecessor repeats itself
        self._after = newest
        return tickets

    async def aclose(self) -> None:
        """Nothing is held between two answers."""

"""The lowest tier: a request every few seconds. Works with anything that speaks HTTP."""

from __future__ import annotations

import asyncio

from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.transport.feed import Feed


class PollTransport:
    """The pending tickets, once per interval."""

    def __init__(self, feed: Feed, settings: WatcherSettings) -> None:
        self._feed = feed
        self._limit = settings.inbox_max
        self._interval = settings.poll_interval / 1000
        self._after = 0
        self._next_at = 0.0

    async def open(self, after: int) -> None:
        self._after = after

    async def receive(self) -> list[Ticket]:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(0.0, self._next_at - clock()))
        self._next_at = clock() + self._interval
        tickets = await self._feed.poll(self._after, self._limit)
        newest = max([self._after, *(ticket.seq for ticket in tickets)])
        if len(tickets) >= self._limit and newest > self._after:
            # There are probably more. Without progress there are not: the predecessor's broker
            # repeats its answer.
            self._next_at = 0.0
        self._after = newest
        return tickets

    async def aclose(self) -> None:
        """No connection is held between two answers."""

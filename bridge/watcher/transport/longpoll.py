"""The second tier: a request that the broker answers when there is a ticket, or after 25 s.

The predecessor's broker ignores `waitMs` and `after`. A loop of requests would flood it, and
get the same answer each time. So two answers count against the tier: an empty one that
comes too early, and one that repeats tickets before the cursor.
"""

from __future__ import annotations

import asyncio

from bridge.errors import ConnectionLost, Refused, TierUnfit
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.transport.base import unfit
from bridge.watcher.transport.feed import Feed

PATIENCE = 0.5  # share of the requested wait; an empty answer before that came too early
TRIAL_MS = 400  # the wait of the first request, which tests whether broker and proxies wait at all


class LongPoll:
    """Tickets as they are published, one answer at a time."""

    def __init__(self, feed: Feed, settings: WatcherSettings) -> None:
        self._feed = feed
        self._wait_ms = settings.longpoll_wait
        self._limit = settings.inbox_max
        self._after = 0
        self._first: list[Ticket] = []

    async def open(self, after: int) -> None:
        self._after = after
        try:
            self._first = await self._ask(min(TRIAL_MS, self._wait_ms))
        except TooEarly as error:
            raise TierUnfit(str(error)) from None

    async def receive(self) -> list[Ticket]:
        if self._first:
            first, self._first = self._first, []
            return first
        return await self._ask(self._wait_ms)

    async def _ask(self, wait_ms: int) -> list[Ticket]:
        clock = asyncio.get_running_loop().time
        asked = clock()
        try:
            tickets = await self._feed.pending(self._after, wait_ms, self._limit)
        except Refused as error:
            raise unfit(error, "the long-poll") from None
        if not tickets and clock() - asked < PATIENCE * wait_ms / 1000:
            raise TooEarly("the long-poll came back empty at once: broker or proxy does not wait")
        newest = max([self._after, *(ticket.seq for ticket in tickets)])
        if tickets and newest == self._after:
            raise TierUnfit("the long-poll repeats itself: the broker ignores the cursor")
        self._after = newest
        return tickets

    async def aclose(self) -> None:
        """No connection is held between two answers."""


class TooEarly(ConnectionLost):
    """An empty answer before the time was up.

    At first it is proof. Later it is only evidence, because a broker that stops does the same.
    """

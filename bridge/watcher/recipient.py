"""One agent's end of the receiver: its tickets go into its inbox, or stay with the broker.

    level ──no room──► behind ──the backlog was read to its end──► level

Rule 1: `take` never waits, so a slow pane does not delay others that share the connection.
Rule 2: a ticket without room stays with the broker, and so do all after it, or the order
        would break. The agent is behind then.
Rule 3: an agent that is behind reads its own backlog, after the last ticket taken, each time
        that half of the inbox is free. It is level after an empty answer during which no
        ticket was left. No await stands between that test and the change to level, so no
        ticket is lost in between.
Rule 4: a ticket without a seq (from the predecessor) is just left. Each poll returns it again.
"""

from __future__ import annotations

import asyncio
import logging

from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, PeerError, Refused
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.delays import reconnect_delays
from bridge.watcher.inbox import Inbox
from bridge.watcher.report import Vitals

log = logging.getLogger("bridge.watcher")


class Recipient:
    """Made inside a running loop (3.9 binds its events there)."""

    def __init__(
        self,
        agent: str,
        client: BrokerClient,
        inbox: Inbox,
        vitals: Vitals,
        settings: WatcherSettings,
    ) -> None:
        self.vitals = vitals
        self.arrived = asyncio.Event()  # set when a ticket was taken
        self.has_room = asyncio.Event()  # set by the delivery when a ticket has left the inbox
        self._agent = agent
        self._client = client
        self._inbox = inbox
        self._settings = settings
        self._cursor = 0  # the highest seq taken
        self._left = 0  # the highest seq left with the broker
        self._behind = asyncio.Event()

    def take(self, ticket: Ticket) -> None:
        is_taken = not self._behind.is_set() and self._inbox.offer(ticket)
        if is_taken:
            self._took(ticket)
        elif ticket.seq and not self._inbox.has_seen(ticket.ticket_id):
            self._left = max(self._left, ticket.seq)
            self.fall_behind()

    def fall_behind(self) -> None:
        """Read the backlog: it may hold tickets that did not come through the connection."""
        if not self._behind.is_set():
            log.debug(
                "behind agent=%s queued=%d after=%d", self._agent, len(self._inbox), self._cursor
            )
            self._behind.set()

    def knows(self, ticket: Ticket) -> bool:
        """Was this pending ticket taken, or left on purpose?"""
        return self._inbox.has_seen(ticket.ticket_id) or (
            self._behind.is_set() and ticket.seq > self._cursor
        )

    def forget(self) -> None:
        """The broker has another store, so the old seqs mean nothing."""
        self._cursor = self._left = 0

    async def run(self) -> None:
        """Catch up whenever the agent is behind."""
        delays = reconnect_delays(self._settings)
        while True:
            await self._behind.wait()
            await self._wait_room()
            try:
                await self._read_backlog()
                delays = reconnect_delays(self._settings)
            except (BrokerUnreachable, PeerError, Refused) as error:
                log.info("backlog not read agent=%s reason=%s", self._agent, error)
                await asyncio.sleep(
                    next(delays) + (error.retry_after if isinstance(error, Refused) else 0.0)
                )

    async def _wait_room(self) -> None:
        # Reading after each ticket that leaves would cost one request per ticket.
        while self._inbox.room * 2 < self._settings.inbox_max:
            self.has_room.clear()
            await self.has_room.wait()

    async def _read_backlog(self) -> None:
        left, cursor = self._left, self._cursor
        tickets = await self._client.pending(self._agent, cursor, limit=self._inbox.room)
        if cursor != self._cursor:
            return  # `forget` was called meanwhile
        for ticket in tickets:
            if not self._inbox.offer(ticket):
                return
            self._took(ticket)
        if (not tickets or self._cursor == cursor) and left == self._left:
            self._behind.clear()

    def _took(self, ticket: Ticket) -> None:
        self._cursor = max(self._cursor, ticket.seq)
        self.arrived.set()
        self.vitals.note()

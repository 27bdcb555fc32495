"""Transport → inbox: receive, reconnect, change the tier, keep the cursor.

Rule 1: the cursor is the highest seq that lies in the inbox (or lay there); it serves all tiers.
Rule 2: after each reconnect the whole backlog is looked at once, without the cursor. Being told is a hint,
        asking is the truth: the broker may have come back with another store, whose seq began anew.
Rule 3: a failure is judged when it happens. A tier that had worked for `tier_holds` until then begins with a
        clean slate, any other adds to its failures and to the backoff.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Iterator, Optional

from bridge.backoff import full_jitter
from bridge.client.broker import BrokerClient
from bridge.errors import BridgeError, BrokerUnreachable, ConnectionLost, PeerError, Refused, TierUnfit
from bridge.settings import WatcherSettings
from bridge.tasks import run_together
from bridge.ticket import Ticket
from bridge.watcher.inbox import Inbox
from bridge.watcher.ladder import Change, Ladder
from bridge.watcher.report import Vitals
from bridge.watcher.transport import Transport, make_transport

log = logging.getLogger("bridge.watcher")


class Intake:
    """Keeps one agent's tickets coming, whatever the network does."""

    def __init__(self, agent: str, client: BrokerClient, inbox: Inbox, ladder: Ladder, vitals: Vitals, settings: WatcherSettings) -> None:
        self._agent = agent
        self._client = client
        self._inbox = inbox
        self._ladder = ladder
        self._vitals = vitals
        self._settings = settings
        self._cursor = 0
        self._opened_at: Optional[float] = None
        self._delays = self._new_delays()
        self.arrived = asyncio.Event()  # set when a ticket came in
        self.has_room = asyncio.Event()  # set by the delivery when a ticket left

    async def run(self) -> None:
        while True:
            pause = await self._live()
            await asyncio.sleep(pause)

    async def _live(self) -> float:
        """One transport's life; returns the seconds to wait before the next one."""
        transport = make_transport(self._ladder.tier, self._client, self._agent, self._settings)
        self._opened_at = None
        try:
            await transport.open(self._cursor)
            await self._serve(transport)
            return 0.0  # a better tier works, or the cursor was of another store
        except (BrokerUnreachable, PeerError, Refused, TierUnfit) as error:
            return self._judge(error)
        finally:
            await transport.aclose()

    async def _serve(self, transport: Transport) -> None:
        self._opened_at = asyncio.get_running_loop().time()
        log.info("receiving agent=%s tier=%s after=%d", self._agent, self._ladder.tier.value, self._cursor)
        self._vitals.note(tier=self._ladder.tier)
        if self._cursor and not await self._reconcile():
            return
        jobs = {"receive": self._receive(transport)}
        if self._ladder.above is not None:
            jobs["probe"] = self._probe()
        await run_together(**jobs)

    async def _receive(self, transport: Transport) -> None:
        while True:
            await self._wait_room()
            for ticket in await transport.receive(self._settings.inbox_max - len(self._inbox)):
                await self._take(ticket)

    async def _take(self, ticket: Ticket) -> None:
        while not self._inbox.offer(ticket):
            await self._wait_room()
        self._cursor = max(self._cursor, ticket.seq)
        self.arrived.set()
        self._vitals.note()

    async def _wait_room(self) -> None:
        # The socket is not read meanwhile; the broker's outbox fills and it goes on by cursor (WIRE rule 6).
        while self._inbox.is_full:
            self.has_room.clear()
            await self.has_room.wait()

    async def _reconcile(self) -> bool:
        """Look at the whole backlog (rule 2). False: the cursor is of another store and was forgotten."""
        is_same_store = True
        for ticket in await self._client.pending(self._agent, limit=self._settings.inbox_max):
            if not self._inbox.has_seen(ticket.ticket_id) and 0 < ticket.seq <= self._cursor:
                is_same_store = False
        if not is_same_store:
            log.warning("the broker has another store than before: receiving from its beginning agent=%s", self._agent)
            self._cursor = 0
        return is_same_store

    async def _probe(self) -> None:
        """Return when the tier above was seen to work."""
        while True:
            await asyncio.sleep(self._settings.probe_interval / 1000 * random.uniform(0.5, 1.5))
            assert self._ladder.above is not None, "only started below the top"
            transport = make_transport(self._ladder.above, self._client, self._agent, self._settings)
            try:
                await transport.open(self._cursor)
                self._log_change(self._ladder.climb())
                return
            except BridgeError as error:
                log.debug("probe failed agent=%s tier=%s reason=%s", self._agent, self._ladder.above.value, error)
            finally:
                await transport.aclose()

    def _judge(self, error: BridgeError) -> float:
        """Rule 3: what a failure means, and how long to wait."""
        if self._opened_at is not None and asyncio.get_running_loop().time() - self._opened_at >= self._settings.tier_holds / 1000:
            self._ladder.hold()
            self._delays = self._new_delays()
        self._vitals.note(reconnect=True)
        log.info("not receiving agent=%s tier=%s reason=%s", self._agent, self._ladder.tier.value, error)
        change: Optional[Change] = None
        if isinstance(error, (TierUnfit, ConnectionLost, PeerError)):  # a broker that is not there proves nothing
            change = self._ladder.fail(str(error), is_proof=isinstance(error, TierUnfit))
        self._log_change(change)
        if change:
            return 0.0
        return next(self._delays) + (error.retry_after if isinstance(error, Refused) else 0.0)

    def _log_change(self, change: Optional[Change]) -> None:
        if change:
            log.warning("tier changed agent=%s from=%s to=%s changes=%d reason=%s", self._agent, change.before.value, change.after.value, self._ladder.changes, change.reason)

    def _new_delays(self) -> Iterator[float]:
        return full_jitter(self._settings.reconnect_base / 1000, self._settings.reconnect_max / 1000)

"""Transport → inboxes: receive, reconnect, change the tier, keep the cursor.

Rule 1: the cursor is the highest seq received. It serves all tiers and all recipients. A
        recipient without room reads its own backlog later (recipient.py), so the receiver
        never waits for one.
Rule 2: after each reconnect the whole backlog is read once, without the cursor. A pushed
        event is a hint, the backlog is the truth: the broker may have come back with another
        store, whose seqs began again.
Rule 3: a failure is judged when it happens. If the tier had worked for `tier_holds`, its
        earlier failures and the backoff are reset. Otherwise the failure adds to both.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Mapping
from typing import Callable

from bridge.errors import (
    BridgeError,
    BrokerUnreachable,
    ConnectionLost,
    PeerError,
    Refused,
    TierUnfit,
)
from bridge.settings import WatcherSettings
from bridge.tasks import run_together
from bridge.ticket import Ticket
from bridge.watcher.delays import reconnect_delays
from bridge.watcher.recipient import Recipient
from bridge.watcher.tiers import Change, Tier, TierMachine
from bridge.watcher.transport import Feed, Transport, make_transport

log = logging.getLogger("bridge.watcher")


async def _nothing() -> None:
    return None


class Receiver:
    """Receives a feed's tickets for `recipients`, by agent. The mapping may change meanwhile."""

    def __init__(
        self,
        feed: Feed,
        recipients: Mapping[str, Recipient],
        settings: WatcherSettings,
        before_open: Callable[[], Awaitable[None]] = _nothing,
        on_open: Callable[[], None] = lambda: None,
    ) -> None:
        self._feed = feed
        self._recipients = recipients
        self._settings = settings
        self._before_open = before_open
        self._on_open = on_open
        self._tiers = TierMachine(first_tier(settings), settings.step_down_after)
        self._opened_at: float | None = None
        self._delays = reconnect_delays(self._settings)
        self.cursor = 0

    @property
    def tier(self) -> Tier:
        return self._tiers.tier

    @property
    def receiving(self) -> Tier | None:
        """The tier that receives now; None while no transport is open."""
        return self.tier if self._opened_at is not None else None

    async def run(self) -> None:
        while True:
            pause = await self._live()
            await asyncio.sleep(pause)

    async def _live(self) -> float:
        """One transport's life. Returns the seconds to wait before the next one."""
        transport = make_transport(self.tier, self._feed, self._settings)
        try:
            await self._before_open()
            await transport.open(self.cursor)
            await self._serve(transport)
            return 0.0  # a better tier works, or the cursor belonged to another store
        except (BrokerUnreachable, PeerError, Refused, TierUnfit) as error:
            return self._judge(error)
        finally:
            self._opened_at = None
            await transport.aclose()

    async def _serve(self, transport: Transport) -> None:
        self._opened_at = asyncio.get_running_loop().time()
        log.info(
            f"receiving {self._feed.kind}=%s tier=%s after=%d",
            self._feed.name,
            self.tier.value,
            self.cursor,
        )
        for recipient in self._recipients.values():
            recipient.vitals.note(tier=self.tier)
        self._on_open()
        if self.cursor and not await self._reconcile():
            return
        jobs = {"receive": self._receive(transport)}
        if self._tiers.above is not None:
            jobs["probe"] = self._probe()
        await run_together(**jobs)

    async def _receive(self, transport: Transport) -> None:
        while True:
            for ticket in await transport.receive():
                self._take(ticket)

    def _take(self, ticket: Ticket) -> None:
        recipient = self._recipients.get(self._feed.recipient(ticket))
        if recipient is not None:
            recipient.take(ticket)
        self.cursor = max(self.cursor, ticket.seq)

    async def _reconcile(self) -> bool:
        """Read the whole backlog (rule 2). False: the cursor belonged to another store."""
        if all(map(self._is_known, await self._feed.poll(0, self._settings.inbox_max))):
            return True
        log.warning(
            "the broker has another store than before: receiving from its beginning "
            f"{self._feed.kind}=%s",
            self._feed.name,
        )
        self.cursor = 0
        for recipient in self._recipients.values():
            recipient.forget()
        return False

    def _is_known(self, ticket: Ticket) -> bool:
        """False: the cursor is past this ticket, and it was never received."""
        recipient = self._recipients.get(self._feed.recipient(ticket))
        return recipient is None or not 0 < ticket.seq <= self.cursor or recipient.knows(ticket)

    async def _probe(self) -> None:
        """Return when the tier above has worked once."""
        while True:
            await asyncio.sleep(self._settings.probe_interval / 1000 * random.uniform(0.5, 1.5))
            assert self._tiers.above is not None, "only started below the top"
            transport = make_transport(self._tiers.above, self._feed, self._settings)
            try:
                await transport.open(self.cursor)
                self._log_change(self._tiers.climb())
                return
            except BridgeError as error:
                log.debug(
                    f"probe failed {self._feed.kind}=%s tier=%s reason=%s",
                    self._feed.name,
                    self._tiers.above.value,
                    error,
                )
            finally:
                await transport.aclose()

    def _judge(self, error: BridgeError) -> float:
        """Update the tiers after a failure, and return how long to wait (rule 3)."""
        if (
            self._opened_at is not None
            and asyncio.get_running_loop().time() - self._opened_at
            >= self._settings.tier_holds / 1000
        ):
            self._tiers.hold()
            self._delays = reconnect_delays(self._settings)
        for recipient in self._recipients.values():
            recipient.vitals.note(reconnect=True)
        log.info(
            f"not receiving {self._feed.kind}=%s tier=%s reason=%s",
            self._feed.name,
            self.tier.value,
            error,
        )
        change: Change | None = None
        # An absent broker is no evidence against the tier.
        if isinstance(error, (TierUnfit, ConnectionLost, PeerError)):
            change = self._tiers.fail(str(error), is_proof=isinstance(error, TierUnfit))
        self._log_change(change)
        if change:
            return 0.0
        return next(self._delays) + (error.retry_after if isinstance(error, Refused) else 0.0)

    def _log_change(self, change: Change | None) -> None:
        if change:
            log.warning(
                f"tier changed {self._feed.kind}=%s from=%s to=%s changes=%d reason=%s",
                self._feed.name,
                change.before.value,
                change.after.value,
                self._tiers.changes,
                change.reason,
            )


def first_tier(settings: WatcherSettings) -> Tier:
    """BRIDGE_PUSH_MODE, or one tier below the stream if DISABLE_SSE is set."""
    tier = Tier(settings.push_mode)
    return Tier.LONG_POLL if settings.disable_sse and tier is Tier.STREAM else tier

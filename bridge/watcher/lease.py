"""Claims: "I am about to inject this one", and what the broker's answers mean.

    200  it is ours for a while            404 of our broker       the ticket is gone: drop it
    409  another watcher holds it: wait    404 of the predecessor  no claims: go on without
    409  it is no longer pending: drop it

A holder usually acknowledges long before its lease ends, and no event reports that. So we ask
again after growing pauses, and at the latest when the lease ends.

Each process has a new watcher name. A second watcher of the same pane must not
pass for the first one.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
import os
import secrets
import socket
from collections.abc import Coroutine
from typing import Any, Callable, TypeVar

from bridge import awake
from bridge.backoff import full_jitter
from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, Refused
from bridge.tasks import stop_all, within
from bridge.ticket import PENDING
from bridge.watcher.inbox import Inbox, InboxItem, InboxStage

log = logging.getLogger("bridge.watcher")
T = TypeVar("T")
RENEWALS = 3  # per lease: one may be lost on the way and another be late
RELEASE_SECONDS = 1.0  # limit for giving a claim back at the end; the lease also expires by itself
# Seconds. No tight loop for a lease that, by the broker's clock, is already over.
SOONEST = 0.05
# Seconds between two claims of a ticket that another watcher holds.
ASK_BASE, ASK_CAP = 0.2, 2.0


def watcher_name() -> str:
    """host:pid:random, within the 128 characters of an id."""
    return f"{socket.gethostname()[:64]}:{os.getpid()}:{secrets.token_hex(4)}"


class Leases:
    """Claims tickets under one watcher's name and keeps them while they are delivered."""

    def __init__(
        self,
        client: BrokerClient,
        inbox: Inbox,
        lease_ms: int,
        watcher: str,
        clock: Callable[[], float] = awake.now,
    ) -> None:
        self.watcher = watcher
        self._clock = clock  # it also counts while the machine sleeps
        self._client = client
        self._inbox = inbox
        self._lease_ms = lease_ms
        self._has_claims = True  # until a broker proves to have no claims
        self._claimed: InboxItem | None = None  # the last claimed ticket
        self._fresh_until = 0.0  # until then its claim needs no renewal
        # Until then no other watcher can have it. Counted from before the request, so that it
        # is never too long.
        self._held_until = 0.0
        # The last ticket that another watcher held, and the pauses before we ask again.
        self._refused, self._pauses = "", full_jitter(ASK_BASE, ASK_CAP)

    async def claim(self, entry: InboxItem) -> bool:
        """Claim a ticket. True: deliver it now. False: it was dropped, or must wait.

        Raises BrokerUnreachable, Refused.
        """
        ticket_id, now = entry.ticket.ticket_id, self._clock()
        if self._claimed is entry and now < self._fresh_until:
            # A pane that is almost ready must not cost the broker a write per try.
            return True
        try:
            await self._client.claim(ticket_id, self.watcher, self._lease_ms)
        except Refused as error:
            if error.status == 404:
                return self._judge_unknown(ticket_id, error)
            if error.status == 409:
                self._judge_conflict(ticket_id, error)
                return False
            raise
        self._inbox.claim(ticket_id)
        self._claimed, self._fresh_until = entry, now + self._lease_ms / 1000 / RENEWALS
        self._held_until = now + self._lease_ms / 1000
        return True

    def time_left(self) -> float:
        """Seconds for which the claim of the last ticket is surely ours.

        inf for a broker without claims. None are left after a refused renewal, or when the process
        or the machine slept for too long.
        """
        return self._held_until - self._clock() if self._has_claims else math.inf

    async def keep_while(self, ticket_id: str, work: Coroutine[Any, Any, T]) -> T:
        """Renew the lease until the work is done."""
        keeper = asyncio.ensure_future(self._keep(ticket_id))
        try:
            return await work
        finally:
            await stop_all(keeper)

    def forget(self, entry: InboxItem) -> None:
        """The broker has ended this ticket's claim: the next try must claim again."""
        if self._claimed is entry:
            self._claimed, self._held_until = None, 0.0

    async def release(self) -> None:
        """Give back a claimed ticket that will not be delivered.

        The broker has no release. The shortest lease (1 ms) comes nearest to it.
        """
        if self._claimed is None or self._claimed.stage is not InboxStage.CLAIMED:
            return
        try:
            await within(
                RELEASE_SECONDS, self._client.claim(self._claimed.ticket.ticket_id, self.watcher, 1)
            )
        except (asyncio.TimeoutError, BrokerUnreachable, Refused) as error:
            log.debug(
                "lease not released ticket=%s reason=%s", self._claimed.ticket.ticket_id, error
            )

    async def _keep(self, ticket_id: str) -> None:
        while self._has_claims:
            await asyncio.sleep(self._lease_ms / 1000 / RENEWALS)
            asked = self._clock()
            try:
                await self._client.claim(ticket_id, self.watcher, self._lease_ms)
                self._held_until = asked + self._lease_ms / 1000
            except (BrokerUnreachable, Refused) as error:
                if isinstance(error, Refused) and error.status in (404, 409):
                    self._held_until = 0.0
                # Text that is being typed cannot be taken back. The answer to the
                # acknowledgement will show the ticket's state.
                log.info("lease not renewed ticket=%s reason=%s", ticket_id, error)

    def _judge_unknown(self, ticket_id: str, error: Refused) -> bool:
        if error.is_problem:
            log.warning("dropped ticket=%s reason=the broker no longer has it", ticket_id)
            self._inbox.drop(ticket_id)
            return False
        if self._has_claims:
            log.warning("the broker has no claims: going on without them")
            self._has_claims = False
        return True

    def _judge_conflict(self, ticket_id: str, error: Refused) -> None:
        until = error.fields.get("leaseUntilAt")
        if until is None and error.fields.get("status") != PENDING:
            log.info("dropped ticket=%s reason=%s", ticket_id, error)
            self._inbox.drop(ticket_id)
            return
        if ticket_id != self._refused:
            self._refused, self._pauses = ticket_id, full_jitter(ASK_BASE, ASK_CAP)
            log.info("held by another watcher ticket=%s until=%s", ticket_id, until)
        pause = max(SOONEST, min(seconds_until(until), next(self._pauses)))
        self._inbox.hold(ticket_id, asyncio.get_running_loop().time() + pause)


def seconds_until(moment: object) -> float:
    """Seconds from now, by this machine's clock, until an RFC 3339 UTC time; 1.0 if unreadable."""
    try:
        then = datetime.datetime.strptime(str(moment), "%Y-%m-%dT%H:%M:%S.%fZ").replace(
            tzinfo=datetime.timezone.utc
        )
    except ValueError:
        return 1.0
    return (then - datetime.datetime.now(datetime.timezone.utc)).total_seconds()

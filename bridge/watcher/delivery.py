"""Inbox → claim → sink → acknowledge, one ticket at a time, in the inbox's order.

    wait for a head ─► wait until the sink is ready ─► claim ─► deliver ─► acknowledge
                       (sink_wait.py)                                      until it is accepted

Rule 1: a ticket is claimed only when the sink is ready. An unused lease would only keep
        other watchers from the ticket.
Rule 2: after the sink has taken a ticket, only its acknowledgement is tried, for as long as
        that takes.
Rule 3: a ticket that cannot be delivered waits, with a growing pause between attempts.
        It is dropped only when the broker reports that it is acknowledged or gone.
        A command that failed for it `exec_tries` times is given up: the ticket is set aside
        (inbox.py), stays pending, and the broker gets the reason.
Rule 4: a stop lets the current attempt finish, within `stop_timeout`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bridge.backoff import full_jitter
from bridge.client.broker import ABSENT, BrokerClient
from bridge.errors import (
    BrokerUnreachable,
    DeliveryFailed,
    HalfDelivered,
    PaneError,
    PaneNotReady,
    Refused,
    Uncertain,
    Unconfirmed,
)
from bridge.settings import WatcherSettings
from bridge.tasks import NEVER, stop_all, within
from bridge.watcher.delays import retry_delays
from bridge.watcher.inbox import Inbox, InboxItem, InboxStage
from bridge.watcher.lease import Leases
from bridge.watcher.recipient import Recipient
from bridge.watcher.report import Vitals
from bridge.watcher.sink_wait import SinkWait
from bridge.watcher.sinks.base import Sink

log = logging.getLogger("bridge.watcher")
# Seconds. A pane that was ready a moment ago is probably ready again soon.
NOT_READY_BASE, NOT_READY_CAP = 0.05, 1.0
# Seconds that an agent waits, in its turn, for a shared pane to become ready.
TURN_PATIENCE = 1.0
FOREVER = float("inf")
# Tickets that may be set aside while they are unconfirmed in a pane. The pane's marks hold
# as many (tmux/injection/pane_marks.py, KEPT_MAX).
UNCONFIRMED_MAX = 8
# The ticket's text, or its command, was typed, and its effect is unknown.
STUCK = (HalfDelivered, Uncertain, Unconfirmed)
# 4xx statuses for which a retry may succeed: 401 and 403 when access is put right again. For a 5xx
# it may as well.
PASSING = frozenset({401, 403, 408, 425, 429})


class Delivery:
    """Moves tickets from the inbox to the sink."""

    def __init__(
        self,
        inbox: Inbox,
        recipient: Recipient,
        client: BrokerClient,
        sink: Sink,
        leases: Leases,
        vitals: Vitals,
        settings: WatcherSettings,
    ) -> None:
        self._inbox = inbox
        self._recipient = recipient
        self._client = client
        self._sink = sink
        self._leases = leases
        self._vitals = vitals
        self._settings = settings
        self._wait = SinkWait(inbox, sink, self._head, vitals, settings)
        self._forget_failures()

    async def run(self) -> None:
        try:
            await self._deliver_all()
        finally:
            await self._leases.release()

    async def _deliver_all(self) -> None:
        while True:
            entry = await self._wait_head()
            if entry.stage is not InboxStage.INJECTED:
                await self._wait.wait_ready()
            # An urgent ticket may have arrived while the sink was busy.
            head = self._head()
            if head is not None and not self._pause_of(head):
                await self._finish(self._attempt(head))

    async def _wait_head(self) -> InboxItem:
        await self._wait.look()
        while True:
            self._recipient.arrived.clear()
            head = self._head()
            pause = self._pause_of(head) if head is not None else NEVER
            if head is not None and not pause:
                return head
            try:
                await within(min(pause, self._idle_pause()), self._recipient.arrived.wait())
            except asyncio.TimeoutError:
                if head is None or self._pause_of(head):
                    await self._wait.look()

    def _idle_pause(self) -> float:
        """Seconds between two checks of the sink while nothing arrives.

        A sink without a session cannot be lost. Ten watchers that wake up without a reason
        spend half of their CPU time on that.
        """
        return self._settings.pane_check / 1000 if self._sink.session else NEVER

    def _head(self) -> InboxItem | None:
        return self._inbox.head(self._sink.owes, asyncio.get_running_loop().time())

    def _pause_of(self, entry: InboxItem) -> float:
        """Seconds until the entry may be tried. An injected entry always may."""
        if entry.stage is InboxStage.INJECTED:
            return 0.0
        return min(NEVER, max(0.0, entry.held_until - asyncio.get_running_loop().time()))

    async def _finish(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Run one attempt. A stop during the attempt waits for its end (rule 4)."""
        task = asyncio.ensure_future(attempt)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not await finishes(task, self._settings.stop_timeout / 1000):
                log.warning(
                    "stopped in the middle of a delivery: it took longer than %d ms",
                    self._settings.stop_timeout,
                )
            raise

    async def _attempt(self, entry: InboxItem) -> None:
        try:
            turn = self._sink.turn()
            is_first = turn.are_free
            async with turn:
                if is_first or entry.stage is InboxStage.INJECTED or await self._is_ready_again():
                    await self._take(entry)
        except PaneNotReady as error:
            await self._on_not_ready(entry, error)
        except (BrokerUnreachable, Refused) as error:
            self._on_no_step(entry, error)
        except (PaneError, DeliveryFailed) as error:
            await self._on_failure(entry, error)

    async def _on_not_ready(self, entry: InboxItem, error: PaneNotReady) -> None:
        ticket_id = entry.ticket.ticket_id
        log.debug("not ready ticket=%s reason=%s", ticket_id, error)
        self._vitals.wait(ticket_id, str(error))
        if not await self._is_stuck(entry, error):
            self._hold(entry, next(self._not_ready_delays))

    def _on_no_step(self, entry: InboxItem, error: BrokerUnreachable | Refused) -> None:
        """The broker did not take a claim, a report or an acknowledgement."""
        ticket_id, pause = entry.ticket.ticket_id, next(self._delays)
        log.info("broker did not take a step ticket=%s reason=%s", ticket_id, error)
        if isinstance(error, Refused):
            self._vitals.wait(ticket_id, str(error))
            pause += error.retry_after
        self._hold(entry, pause)

    async def _on_failure(self, entry: InboxItem, error: PaneError | DeliveryFailed) -> None:
        """The sink could not deliver. Set the ticket aside, or try it again after a pause."""
        ticket_id = entry.ticket.ticket_id
        self._vitals.note(injection_error=True)
        is_news = self._vitals.wait(ticket_id, str(error))
        if isinstance(error, DeliveryFailed):
            is_news, gives_way = True, await self._gives_up(entry, error)
        else:
            gives_way = await self._is_stuck(entry, error)
        if gives_way:
            return
        pause = next(self._delays)
        log.log(
            logging.WARNING if is_news else logging.DEBUG,
            "not delivered ticket=%s again_in=%.1fs reason=%s",
            ticket_id,
            pause,
            error,
        )
        self._hold(entry, pause)

    async def _gives_up(self, entry: InboxItem, error: DeliveryFailed) -> bool:
        """Set the ticket aside after its last allowed failure, until the watcher restarts."""
        failures, most = self._inbox.fail(entry.ticket.ticket_id), self._settings.exec_tries
        if not most or failures < most:
            return False
        reason = f"given up after {failures} tries, until the watcher starts anew: {error}"
        return await self._set_aside(entry, reason, FOREVER)

    async def _is_stuck(self, entry: InboxItem, error: PaneError) -> bool:
        """Set aside a ticket whose text was unconfirmed for `stuck_max`, and try it again later."""
        if not isinstance(error, STUCK):
            return False
        now, most = asyncio.get_running_loop().time(), self._settings.stuck_max / 1000
        if now - self._inbox.stuck_since(entry.ticket.ticket_id, now) < most:
            return False
        return await self._set_aside(
            entry,
            f"set aside after {most:g} s, its successors go first: {error}",
            now + most,
            UNCONFIRMED_MAX,
        )

    async def _set_aside(
        self, entry: InboxItem, reason: str, until: float, most: int | None = None
    ) -> bool:
        """Let other tickets pass this one until then, and report why. False: it keeps its place."""
        ticket_id = entry.ticket.ticket_id
        if not self._inbox.set_aside(ticket_id, until, most):
            return False
        try:
            await self._client.aside(ticket_id, self._leases.watcher, reason)
        except (BrokerUnreachable, Refused) as error:
            if not (isinstance(error, Refused) and error.status in ABSENT):
                log.info("not set aside ticket=%s reason=%s", ticket_id, error)
                # Undo it: a ticket that is set aside without a report looks forgotten.
                self._inbox.set_aside(ticket_id, 0.0)
                return False
        log.warning("set aside ticket=%s reason=%s", ticket_id, reason)
        self._leases.forget(entry)
        self._inbox.hold(ticket_id, until)
        self._forget_failures()
        self._vitals.go_on()
        self._recipient.has_room.set()
        return True

    async def _is_ready_again(self) -> bool:
        """Wait again, because another agent had the turn before us and may have used the pane.

        The wait is short: what blocks our agent need not block the others.
        """
        try:
            await within(TURN_PATIENCE, self._sink.wait_ready(self._inbox.held))
        except asyncio.TimeoutError:
            return False
        return True

    async def _take(self, entry: InboxItem) -> None:
        """Claim, deliver, acknowledge."""
        ticket = entry.ticket
        if entry.stage is not InboxStage.INJECTED:
            if not await self._leases.claim(entry):
                self._recipient.has_room.set()
                self._note_refused(entry)
                return
            evidence = await self._leases.keep_while(
                ticket.ticket_id, self._sink.deliver(ticket, self._leases.time_left)
            )
            self._inbox.inject(ticket.ticket_id, evidence)
            self._vitals.go_on()
        await self._acknowledge(entry)
        self._forget_failures()

    def _note_refused(self, entry: InboxItem) -> None:
        """The claim was refused: the ticket is gone, or another watcher has it."""
        if entry.stage is InboxStage.FINISHED:
            self._vitals.go_on()
        else:
            self._vitals.wait(entry.ticket.ticket_id, "another watcher holds the ticket")

    def _hold(self, entry: InboxItem, pause: float) -> None:
        self._inbox.hold(entry.ticket.ticket_id, asyncio.get_running_loop().time() + pause)

    async def _acknowledge(self, entry: InboxItem) -> None:
        """Try until the broker accepts (rule 2), or refuses for good: 4xx for an unknown ticket."""
        ticket_id, delays = entry.ticket.ticket_id, retry_delays(self._settings)
        while True:
            try:
                await self._client.acknowledge(ticket_id, self._leases.watcher, entry.evidence)
                break
            except BrokerUnreachable as error:
                pause, reason = next(delays), str(error)
            except Refused as error:
                if error.status < 500 and error.status not in PASSING:
                    log.error(
                        "acknowledgement refused ticket=%s status=%d reason=%s",
                        ticket_id,
                        error.status,
                        error,
                    )
                    break
                pause, reason = next(delays) + error.retry_after, str(error)
            log.info(
                "acknowledgement waits ticket=%s again_in=%.1fs reason=%s", ticket_id, pause, reason
            )
            await asyncio.sleep(pause)
        self._inbox.ack(ticket_id)
        self._recipient.has_room.set()
        self._vitals.note()
        log.info(
            "delivered ticket=%s seq=%d from=%s", ticket_id, entry.ticket.seq, entry.ticket.origin
        )

    def _forget_failures(self) -> None:
        self._delays = retry_delays(self._settings)
        self._not_ready_delays = full_jitter(NOT_READY_BASE, NOT_READY_CAP)


async def finishes(task: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a task despite cancellations. After `seconds` stop it, and return False."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not task.done() and clock() < deadline:
        try:
            await asyncio.wait({task}, timeout=deadline - clock())
        except asyncio.CancelledError:
            # Cancelled again. The caller raises it at the end, and the deadline bounds the wait.
            continue
    if task.done():
        if not task.cancelled() and task.exception() is not None:
            log.warning("the last delivery failed reason=%s", task.exception())
        return True
    await stop_all(task)
    return False

"""Inbox → claim → sink → acknowledge, one ticket at a time, in the inbox's order.

    wait for a head ─► wait until the sink is ready ─► claim ─► deliver ─► acknowledge until the broker says yes

Rule 1: a ticket is claimed only when the sink is ready, so a lease is never held by who cannot use it.
Rule 2: after the sink has taken a ticket nothing but its acknowledgement is tried, for as long as it takes.
Rule 3: a ticket that cannot be delivered waits, with a growing pause between attempts; it is never dropped.
        Only the broker's word ends it: somebody else acknowledged it, or it is gone. A command that failed for it
        `exec_tries` times is given up: the ticket is set aside (inbox.py), stays pending, and the broker is told why.
Rule 4: told to stop, the attempt under way is finished, within `stop_timeout`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from typing import Any

from bridge.backoff import full_jitter
from bridge.client.broker import ABSENT, BrokerClient
from bridge.errors import (
    BridgeError,
    BrokerUnreachable,
    DeliveryFailed,
    HalfDelivered,
    PaneError,
    PaneLost,
    PaneNotReady,
    PaneUnfit,
    Refused,
    TmuxError,
    Uncertain,
    Unconfirmed,
)
from bridge.settings import WatcherSettings
from bridge.tasks import NEVER, stop_all, within
from bridge.watcher.arrivals import Arrivals
from bridge.watcher.inbox import Entry, Inbox, Stage
from bridge.watcher.lease import Leases
from bridge.watcher.report import BUSY, HEALTHY, LOST, Vitals
from bridge.watcher.sinks.base import Sink

log = logging.getLogger("bridge.watcher")
RETRY_BASE = 0.25  # seconds, ceiling of the first pause between two attempts
NOT_READY_BASE, NOT_READY_CAP = (
    0.05,
    1.0,
)  # seconds; a pane that was ready a moment ago probably is again soon
TURN_PATIENCE = (
    1.0  # seconds for which an agent that shares its pane waits there, once it is its turn
)
EXPLAIN_EVERY = 30.0  # seconds between two log lines that say why a ticket waits
FOREVER = float("inf")
UNCONFIRMED_MAX = 8  # tickets that stand unconfirmed in a pane while others pass: the pane remembers as many (marks.py, KEPT_MAX)
STUCK = (
    HalfDelivered,
    Uncertain,
    Unconfirmed,
)  # the ticket's text, or its command, was typed, and nothing tells what became of it
PASSING = frozenset({408, 425, 429})  # refusals of 4xx that another try may change; 5xx may, too


class Delivery:
    """Empties the inbox into the sink."""

    def __init__(
        self,
        inbox: Inbox,
        arrivals: Arrivals,
        client: BrokerClient,
        sink: Sink,
        leases: Leases,
        vitals: Vitals,
        settings: WatcherSettings,
    ) -> None:
        self._inbox = inbox
        self._arrivals = arrivals
        self._client = client
        self._sink = sink
        self._leases = leases
        self._vitals = vitals
        self._settings = settings
        self._unfit = ""  # why a pane was not taken, as it was logged last
        self._forget_failures()

    async def run(self) -> None:
        try:
            await self._deliver_all()
        finally:
            await self._leases.release()

    async def _deliver_all(self) -> None:
        while True:
            entry = await self._wait_head()
            if entry.stage is not Stage.INJECTED:
                await self._wait_ready()
            head = self._head()  # an urgent one may have come while the sink was busy
            if head is not None and not self._pause_of(head):
                await self._finish(self._attempt(head))

    async def _wait_head(self) -> Entry:
        await self._look()
        while True:
            self._arrivals.arrived.clear()
            head = self._head()
            pause = self._pause_of(head) if head is not None else NEVER
            if head is not None and not pause:
                return head
            try:
                await within(min(pause, self._idle_pause()), self._arrivals.arrived.wait())
            except asyncio.TimeoutError:
                if head is None or self._pause_of(head):
                    await self._look()

    def _idle_pause(self) -> float:
        """Seconds between two looks at the sink while nothing comes. One without a session has nothing that could be lost,
        and ten watchers that wake up for nothing are half of what they use."""
        return self._settings.pane_check / 1000 if self._sink.session else NEVER

    def _head(self) -> Entry | None:
        return self._inbox.head(self._sink.owes, asyncio.get_running_loop().time())

    def _pause_of(self, entry: Entry) -> float:
        """Seconds until the entry may be tried; an injected one always may."""
        if entry.stage is Stage.INJECTED:
            return 0.0
        return min(NEVER, max(0.0, entry.held_until - asyncio.get_running_loop().time()))

    async def _look(self) -> None:
        """Nothing to deliver: is the pane still there?"""
        try:
            await self._sink.check()
            if self._vitals.health != HEALTHY:
                self._vitals.note(health=HEALTHY)
        except (PaneLost, TmuxError) as error:
            self._lose(error)

    async def _wait_ready(self) -> None:
        """Wait for the sink, also while its pane is gone: it is looked for with backoff."""
        delays = self._new_delays()
        while True:
            try:
                if await self._wait_and_explain():
                    self._vitals.go_on()
                self._vitals.note(health=HEALTHY)
                return
            except (PaneLost, TmuxError) as error:
                self._lose(error)
            await asyncio.sleep(next(delays))

    async def _wait_and_explain(self) -> bool:
        """Wait for the sink; when that takes long, say why: at once when the reason is a new one, else now and then. True if it was said."""
        waiting, clock = (
            asyncio.ensure_future(self._sink.wait_ready(self._inbox.held)),
            asyncio.get_running_loop().time,
        )
        said_at = float("-inf")
        try:
            while not (await asyncio.wait({waiting}, timeout=self._settings.explain_after / 1000))[
                0
            ]:
                reason = await self._sink.reason()
                if self._vitals.health == HEALTHY:
                    self._vitals.note(
                        health=BUSY
                    )  # no await until the reason is noted too: they travel in one report
                if reason and (self._head_waits(reason) or clock() - said_at > EXPLAIN_EVERY):
                    log.info(
                        "waiting for the pane session=%s pane=%s queued=%d reason=%s",
                        self._vitals.session,
                        self._vitals.pane,
                        len(self._inbox),
                        reason,
                    )
                    said_at = clock()
            waiting.result()
            return said_at > float("-inf")
        finally:
            await stop_all(waiting)

    def _head_waits(self, reason: str) -> bool:
        """Note why; True when the reason is a new one."""
        head = self._head()
        return head is not None and self._vitals.wait(head.ticket.ticket_id, reason)

    def _lose(self, error: BridgeError) -> None:
        self._head_waits(str(error))
        is_new, is_unfit = self._vitals.health != LOST, isinstance(error, PaneUnfit)
        if is_new or is_unfit and str(error) != self._unfit:
            log.warning(
                "pane lost session=%s pane=%s reason=%s",
                self._vitals.session,
                self._vitals.pane,
                error,
            )
        self._unfit = str(error) if is_unfit else self._unfit
        if is_new:
            self._vitals.note(health=LOST, session_failure=True)
        if self._settings.exit_on_loss:
            raise error

    async def _finish(self, attempt: Coroutine[Any, Any, None]) -> None:
        """Run one attempt; a stop that comes meanwhile waits for it (rule 4)."""
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

    async def _attempt(self, entry: Entry) -> None:
        ticket = entry.ticket
        try:
            turn = self._sink.turn()
            is_first = turn.are_free
            async with turn:
                if is_first or entry.stage is Stage.INJECTED or await self._is_ready_again():
                    await self._take(entry)
        except PaneNotReady as error:
            log.debug("not ready ticket=%s reason=%s", ticket.ticket_id, error)
            self._vitals.wait(ticket.ticket_id, str(error))
            if not await self._is_stuck(entry, error):
                self._hold(entry, next(self._not_ready_delays))
        except (BrokerUnreachable, Refused) as error:
            log.info("broker did not take a step ticket=%s reason=%s", ticket.ticket_id, error)
            if isinstance(error, Refused):
                self._vitals.wait(ticket.ticket_id, str(error))
            self._hold(
                entry,
                next(self._delays) + (error.retry_after if isinstance(error, Refused) else 0.0),
            )
        except (PaneError, DeliveryFailed) as error:
            self._vitals.note(injection_error=True)
            is_news = self._vitals.wait(ticket.ticket_id, str(error)) or isinstance(
                error, DeliveryFailed
            )
            gives_way = (
                self._gives_up(entry, error)
                if isinstance(error, DeliveryFailed)
                else self._is_stuck(entry, error)
            )
            if await gives_way:
                return
            pause = next(self._delays)
            level = logging.WARNING if is_news else logging.DEBUG
            log.log(
                level,
                "not delivered ticket=%s again_in=%.1fs reason=%s",
                ticket.ticket_id,
                pause,
                error,
            )
            self._hold(entry, pause)

    async def _gives_up(self, entry: Entry, error: DeliveryFailed) -> bool:
        """Is this failure the last one? Then the ticket is set aside for as long as this watcher runs."""
        failures, most = self._inbox.fail(entry.ticket.ticket_id), self._settings.exec_tries
        if not most or failures < most:
            return False
        reason = f"given up after {failures} tries, until the watcher starts anew: {error}"
        return await self._set_aside(entry, reason, FOREVER)

    async def _is_stuck(self, entry: Entry, error: PaneError) -> bool:
        """Has its text been in the pane for too long, unconfirmed? Then its successors pass it, and it is asked about later."""
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
        self, entry: Entry, reason: str, until: float, most: int | None = None
    ) -> bool:
        """Let its successors pass it until then, and tell the broker why. False: it stays where it is."""
        ticket_id = entry.ticket.ticket_id
        if not self._inbox.set_aside(ticket_id, until, most):
            return False
        try:
            await self._client.aside(ticket_id, self._leases.watcher, reason)
        except (BrokerUnreachable, Refused) as error:
            if not (isinstance(error, Refused) and error.status in ABSENT):
                log.info("not set aside ticket=%s reason=%s", ticket_id, error)
                self._inbox.set_aside(
                    ticket_id, 0.0
                )  # back: a ticket that nothing is told of looks forgotten
                return False
        log.warning("set aside ticket=%s reason=%s", ticket_id, reason)
        self._leases.forget(entry)
        self._inbox.hold(ticket_id, until)
        self._forget_failures()
        self._vitals.go_on()
        self._arrivals.has_room.set()
        return True

    async def _is_ready_again(self) -> bool:
        """Another agent had the turn before us, and its ticket may still be at work in the pane. A turn is not held for long
        without a use: what keeps our agent waiting need not keep the others."""
        try:
            await within(TURN_PATIENCE, self._sink.wait_ready(self._inbox.held))
        except asyncio.TimeoutError:
            return False
        return True

    async def _take(self, entry: Entry) -> None:
        """Claim, deliver, acknowledge."""
        ticket = entry.ticket
        if entry.stage is not Stage.INJECTED:
            if not await self._leases.claim(entry):
                self._arrivals.has_room.set()
                self._note_refused(entry)
                return
            evidence = await self._leases.keep_while(
                ticket.ticket_id, self._sink.deliver(ticket, self._leases.time_left)
            )
            self._inbox.inject(ticket.ticket_id, evidence)
            self._vitals.go_on()
        await self._acknowledge(entry)
        self._forget_failures()

    def _note_refused(self, entry: Entry) -> None:
        """The claim was refused: the ticket is gone, or somebody else has it."""
        if entry.stage is Stage.FINISHED:
            self._vitals.go_on()
        else:
            self._vitals.wait(entry.ticket.ticket_id, "another watcher holds the ticket")

    def _hold(self, entry: Entry, pause: float) -> None:
        self._inbox.hold(entry.ticket.ticket_id, asyncio.get_running_loop().time() + pause)

    async def _acknowledge(self, entry: Entry) -> None:
        """Rule 2: until the broker answers; only its 4xx (the ticket is unknown) ends it otherwise."""
        ticket_id, delays = entry.ticket.ticket_id, self._new_delays()
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
        self._arrivals.has_room.set()
        self._vitals.note()
        log.info(
            "delivered ticket=%s seq=%d from=%s", ticket_id, entry.ticket.seq, entry.ticket.origin
        )

    def _forget_failures(self) -> None:
        self._delays = self._new_delays()
        self._not_ready_delays = full_jitter(NOT_READY_BASE, NOT_READY_CAP)

    def _new_delays(self) -> Iterator[float]:
        return full_jitter(RETRY_BASE, self._settings.retry_max / 1000)


async def finishes(task: asyncio.Future[None], seconds: float) -> bool:
    """Wait for a task although we are cancelled, perhaps more than once; after `seconds` it is stopped, and False."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not task.done() and clock() < deadline:
        try:
            await asyncio.wait({task}, timeout=deadline - clock())
        except asyncio.CancelledError:
            continue  # told again to stop; the caller raises it in the end, and the deadline bounds this
    if task.done():
        if not task.cancelled() and task.exception() is not None:
            log.warning("the last delivery failed reason=%s", task.exception())
        return True
    await stop_all(task)
    return False

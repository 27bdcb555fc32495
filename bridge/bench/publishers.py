"""The connections of a load that send, and those that acknowledge: as many of each as requested.

Rule 1: the rate follows an open schedule. If it is more than DEBT seconds late, the excess is
dropped, so that late tickets are not sent in a burst.
Rule 2: a refusal is counted by status, and we wait as long as the broker asks (Retry-After).
A limit is a finding, and no reason to flood the broker. An absent broker is awaited too.
Rule 3: beyond `outstanding` tickets nothing is sent until some are acknowledged. So the
broker's backlogs stay short, and the load does not hit their bounds by accident.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Callable

from bridge.backoff import full_jitter
from bridge.bench.account import Account
from bridge.bench.connections import BenchResponse, Dialler, RequestClient
from bridge.bench.subscribers import RETRY_BASE, RETRY_CAP
from bridge.client.address import segment
from bridge.errors import BrokerUnreachable
from bridge.settings import LoadSettings
from bridge.tasks import within

# About 200 bytes, as in the push design's benchmark.
BODY = b'{"payload":{"bench":%d,"text":"' + b"x" * 150 + b'"},"expectReply":false}'
DEBT = 0.1  # seconds that the schedule may be late
SHORT = 0.1  # seconds; a sleep this short need not end early at stop()


class Publishers:
    """Made inside a running loop (3.9 binds its events there)."""

    def __init__(
        self,
        dialler: Dialler,
        account: Account,
        agents: Sequence[str],
        arrived: asyncio.Queue[tuple[str, int]],
        settings: LoadSettings,
    ) -> None:
        self._dialler = dialler
        self._account = account
        self._agents = agents
        self._arrived = arrived
        self._outstanding = settings.outstanding
        self._pace = pace(settings.rate)
        self._has_room = asyncio.Event()
        self._over = asyncio.Event()
        self.refusal = ""  # the reason of the broker's first refusal

    def stop(self) -> None:
        """Send no more."""
        self._over.set()
        self._has_room.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def publish(self) -> None:
        """One connection: send a ticket, read its answer, send the next, until stop()."""
        client = RequestClient(self._dialler)
        clock = asyncio.get_running_loop().time
        delays = full_jitter(RETRY_BASE, RETRY_CAP)
        try:
            while await self._wait_turn():
                number = self._account.post(clock())
                agent = self._agents[number % len(self._agents)]
                try:
                    response = await client.post(f"/agents/{segment(agent)}/send", BODY % number)
                except BrokerUnreachable:
                    self._account.refuse(number, "send: no answer")
                    await self._pause(next(delays))
                    continue
                if response.status == 202:
                    self._account.accept(number, clock())
                else:
                    await self._wait_out(number, response, next(delays))
        finally:
            client.close()

    async def acknowledge(self) -> None:
        """One connection: acknowledge arrived tickets, as a watcher would, until cancelled."""
        client, delays = RequestClient(self._dialler), full_jitter(RETRY_BASE, RETRY_CAP)
        try:
            while True:
                ticket_id, number = await self._arrived.get()
                try:
                    response = await client.post(f"/tickets/{segment(ticket_id)}/acknowledge", b"")
                except BrokerUnreachable:
                    self._account.errors["acknowledge: no answer"] += 1
                    self._arrived.put_nowait((ticket_id, number))
                    await asyncio.sleep(next(delays))
                    continue
                if response.status != 200:
                    self._account.errors[f"acknowledge: {response.status}"] += 1
                    self.refusal = self.refusal or response.detail
                self._account.release(number)
                self._has_room.set()
        finally:
            client.close()

    async def _wait_turn(self) -> bool:
        """True when the next ticket may be sent, False after stop()."""
        await self._pause(next(self._pace))
        while self._account.outstanding >= self._outstanding and not self.is_over:
            self._has_room.clear()
            await self._has_room.wait()
        return not self.is_over

    async def _wait_out(self, number: int, response: BenchResponse, jitter: float) -> None:
        self.refusal = self.refusal or response.detail
        self._account.refuse(number, f"send: {response.status}")
        await self._pause(response.retry_after + jitter)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not longer than the sending lasts."""
        if seconds <= SHORT:
            if seconds > 0:
                await asyncio.sleep(seconds)
            return
        try:
            await within(seconds, self._over.wait())
        except asyncio.TimeoutError:
            pass  # the usual case: the whole pause has passed


def pace(rate: int, clock: Callable[[], float] = time.monotonic) -> Iterator[float]:
    """Seconds until the next ticket is due, without end: one each 1/rate (rule 1).

    A rate of 0 sends without pauses.
    """
    due = clock()
    while True:
        due = max(due, clock() - DEBT)
        yield max(0.0, due - clock()) if rate else 0.0
        due += 1 / rate if rate else 0.0

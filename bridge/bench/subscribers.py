"""The streams of a load: one per agent, opened again whenever it ends.

A ticket that arrives is entered in the account. The first time, it also goes into the queue of
tickets to acknowledge. A broken stream is an error of the run. It is opened again after the
last ticket that it delivered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence

from bridge.backoff import full_jitter
from bridge.bench.account import Account
from bridge.bench.connections import BenchStream, Dialler
from bridge.client.address import segment
from bridge.errors import BrokerUnreachable, Refused
from bridge.tasks import stop_all
from bridge.wire.sse import Event

RETRY_BASE, RETRY_CAP = 0.05, 1.0  # seconds; a benchmark has little time


class Subscribers:
    def __init__(
        self,
        dialler: Dialler,
        account: Account,
        agents: Sequence[str],
        arrived: asyncio.Queue[tuple[str, int]],
    ) -> None:
        self._dialler = dialler
        self._account = account
        self._agents = agents
        self._arrived = arrived
        self._connections = 0
        self._tasks: list[asyncio.Future[None]] = []
        self.last_arrival = 0.0  # loop time of the last arrival

    @property
    def opened(self) -> int:
        return len(self._tasks)

    async def open_some(self, count: int) -> None:
        """Open the next `count` streams concurrently. Raises BrokerUnreachable, Refused."""
        agents = self._agents[self.opened : self.opened + count]
        opening = [asyncio.ensure_future(self._open(agent, "")) for agent in agents]
        try:
            streams = await asyncio.gather(*opening)
        finally:
            await stop_all(*opening)
        self._tasks += [
            asyncio.ensure_future(self._keep(agent, stream))
            for agent, stream in zip(agents, streams)
        ]

    async def aclose(self) -> None:
        await stop_all(*self._tasks)

    async def _open(self, agent: str, cursor: str) -> BenchStream:
        self._connections += 1
        return await self._dialler.open_stream(
            BenchStream(self._connections, self._on_event),
            f"/agents/{segment(agent)}/tickets/stream",
            cursor,
        )

    async def _keep(self, agent: str, stream: BenchStream) -> None:
        cursor, delays = "", full_jitter(RETRY_BASE, RETRY_CAP)
        try:
            while True:
                await stream.ended.wait()
                self._account.errors["stream: broken"] += 1
                cursor = stream.cursor or cursor
                stream = await self._reopen(agent, cursor, delays)
        finally:
            stream.close()

    async def _reopen(self, agent: str, cursor: str, delays: Iterator[float]) -> BenchStream:
        while True:
            await asyncio.sleep(next(delays))
            try:
                return await self._open(agent, cursor)
            except BrokerUnreachable:
                continue  # try again; only the break itself is counted
            except Refused as error:
                self._account.errors[f"stream: {error.status}"] += 1

    def _on_event(self, stream: BenchStream, event: Event) -> None:
        """Hot path: runs once per ticket."""
        if event.event != "ticket":
            return
        self.last_arrival = asyncio.get_running_loop().time()
        ticket_id, number = read_event(event)
        if self._account.receive(number, stream.number, self.last_arrival):
            self._arrived.put_nowait((ticket_id, number))


def read_event(event: Event) -> tuple[str, int]:
    """The ticket's id and its number in this load; -1 for another ticket."""
    try:
        ticket = json.loads(event.data)
        return str(ticket["ticketId"]), int(ticket["payload"]["bench"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", -1

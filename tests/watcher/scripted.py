"""A watcher session under test: short intervals, a scripted sink, and a fake broker on a socket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any, Callable

from fakes import PATIENCE, Answer, Asked, encode, problem

from bridge.client.broker import BrokerClient
from bridge.fifo_semaphore import FifoSemaphore
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import within
from bridge.ticket import Ticket
from bridge.watcher.session import Session

QUICK = {
    "reconnect_base": 5,
    "reconnect_max": 50,
    "retry_max": 50,
    "report_interval": 10,
    "first_byte": 2000,
    "poll_interval": 20,
    "longpoll_wait": 400,
    "tier_holds": 100,
    "probe_interval": 60000,
    "stop_timeout": 2000,
    "pane_check": 100,
    "explain_after": 20,
}


class ScriptedSink:
    """Records each ticket. `before` runs first, and may raise or wait, as a pane may."""

    session, pane = "dev-lucy", "0"

    def __init__(self, before: Callable[[Ticket], Awaitable[None]] | None = None) -> None:
        self.taken: list[str] = []
        self.tried: list[str] = []
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self.lost: Exception | None = None
        self.owed = ""
        self.words = "the test says so"
        self.looks = self.checks = self.leaves = 0
        self.turns = FifoSemaphore(1)  # a test may share one object among several sinks
        self._before = before

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        if self.lost is not None:
            raise self.lost
        await self.is_ready.wait()

    async def deliver(self, ticket: Ticket, is_ours: Callable[[], bool]) -> dict[str, object]:
        self.tried.append(ticket.ticket_id)
        if self._before is not None:
            await self._before(ticket)
        self.taken.append(ticket.ticket_id)
        return {"pane": "fake", "form": "test", "submittedAt": "now", "verified": True}

    def owes(self, ticket_id: str) -> bool:
        return ticket_id == self.owed

    def turn(self) -> FifoSemaphore:
        return self.turns

    async def leave(self) -> None:
        self.leaves += 1

    async def check(self) -> None:
        self.checks += 1
        if self.lost is not None:
            raise self.lost

    async def reason(self) -> str:
        if self.lost is not None:
            raise self.lost
        self.looks += 1
        return "" if self.is_ready.is_set() else self.words


@contextlib.asynccontextmanager
async def watching(
    url: str, sink: Any, agent: str = "lucy", **settings: Any
) -> AsyncIterator[Session]:
    """Run a session during the block. At the end wait for it; its exception fails the test."""
    session = Session(
        agent,
        BrokerClient(ClientSettings(broker_url=url)),
        sink,
        WatcherSettings(**{**QUICK, **settings}),
    )
    running = asyncio.ensure_future(session.run())
    try:
        yield session
    finally:
        session.stop()
        await within(PATIENCE, running)


class SmallBroker:
    """The part of our broker that a watcher needs, in memory, with faults that a test switches on.

    `faults` maps the last segment of a path ("claim", "acknowledge", "stream", "pending",
    "heartbeat") to a function. It returns the response (bytes, or status and JSON), None for the
    normal response, or HANG_UP to close the connection.
    """

    def __init__(self) -> None:
        self.tickets: dict[str, dict[str, Any]] = {}
        self.acknowledged: list[tuple[str, Any]] = []
        self.claims: list[tuple[str, str]] = []
        self.reports: list[dict[str, Any]] = []
        self.registered: list[dict[str, Any]] = []
        self.faults: dict[str, Callable[[Asked], Any]] = {}
        self.cursors: list[str] = []  # the Last-Event-ID of each stream
        self.arrived = asyncio.Condition()
        self.seq = 0

    async def add(self, ticket_id: str, **fields: Any) -> None:
        async with self.arrived:
            self.seq += 1
            self.tickets[ticket_id] = {
                "ticketId": ticket_id,
                "seq": self.seq,
                "agentId": "lucy",
                "originAgent": "ui",
                "payload": "hi",
                "metadata": {},
                "status": "pending",
                **fields,
            }
            self.arrived.notify_all()

    def pending(self, after: int = 0) -> list[dict[str, Any]]:
        return [
            each
            for each in self.tickets.values()
            if each["status"] == "pending" and each["seq"] > after
        ]

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> Answer:
        word = asked.path[-1]
        fault = self.faults[word](asked) if word in self.faults else None
        if fault is HANG_UP:
            return None
        return fault if fault is not None else await self._answer(word, asked, writer)

    async def _answer(self, word: str, asked: Asked, writer: asyncio.StreamWriter) -> Answer:
        if word == "stream":
            return await self._stream(asked, writer)
        if word == "pending":
            return 200, await self._pending(asked)
        if word == "register":
            self.registered.append(asked.body)
            return 200, {"agentId": asked.body["agentId"]}
        if word == "heartbeat":
            self.reports.append(asked.body)
            return (200, {"status": "ok"}) if self.registered else problem(404, "not registered")
        ticket = self.tickets.get(asked.path[1])
        if ticket is None:
            return problem(404, "no such ticket")
        if word == "claim":
            if ticket["status"] != "pending":
                return encode(
                    409, {"title": "Conflict", "detail": "done", "status": ticket["status"]}
                )
            self.claims.append((asked.path[1], asked.body["watcher"]))
            return 200, {"ticketId": asked.path[1], "leaseUntilAt": ""}
        ticket["status"] = "delivered"
        self.acknowledged.append((asked.path[1], asked.body))
        return 200, {"ticketId": asked.path[1], "status": "delivered"}

    async def _pending(self, asked: Asked) -> list[dict[str, Any]]:
        after, wait = int(asked.query.get("after", 0)), int(asked.query.get("waitMs", 0)) / 1000
        async with self.arrived:
            if wait and not self.pending(after):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.arrived.wait_for(lambda: self.pending(after)), wait)
        return self.pending(after)[: int(asked.query.get("limit", 1000))]

    async def _stream(self, asked: Asked, writer: asyncio.StreamWriter) -> Answer:
        self.cursors.append(asked.fields.get("last-event-id", ""))
        after = int(self.cursors[-1] or 0)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 1000\n:heartbeat\n\n"
        )
        while True:
            for ticket in self.pending(after):
                after = ticket["seq"]
                body = encode(200, ticket).partition(b"\r\n\r\n")[2]
                writer.write(b"id: %d\nevent: ticket\ndata: %s\n\n" % (after, body))
            await writer.drain()
            async with self.arrived:
                await self.arrived.wait_for(lambda: self.pending(after))


HANG_UP = object()

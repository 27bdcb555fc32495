"""Fake brokers for tests of clients.

    FakeBroker     any handler: (Asked, writer) -> (status, json) | bytes | None
    Predecessor    plain polling, no stream, no claim, ids of its own, 404 in HTML

The sockets are real. Only the responses are scripted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Callable, Union
from urllib.parse import parse_qsl, unquote

from bridge.tasks import stop_accepting

PATIENCE = 20.0  # seconds; a condition that is still false then fails the test


@dataclass
class Asked:
    """One request, as it was received."""

    method: str
    path: list[str]
    query: dict[str, str]
    fields: dict[str, str]
    body: Any


Answer = Union[tuple[int, Any], bytes, None]
Handler = Callable[[Asked, asyncio.StreamWriter], Awaitable[Answer]]


class FakeBroker:
    """Serves a handler on a free port until it is closed.

    A handler that returns None has written its answer itself, or wants the connection closed.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self.connections = 0
        self._server: asyncio.base_events.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> FakeBroker:
        await self.listen()
        return self

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop listening and abort every connection, as `kill -9` would."""
        await stop_accepting(self._server)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        fields = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        path, _, query = target.partition("?")
        asked = Asked(
            method,
            [unquote(part) for part in path.split("/")[1:]],
            dict(parse_qsl(query)),
            fields,
            json.loads(body) if body else None,
        )
        self.asked.append(asked)
        answer = await self.handler(asked, writer)
        if answer is None:
            return False
        writer.write(answer if isinstance(answer, bytes) else encode(*answer))
        await writer.drain()
        return True


def encode(status: int, content: Any, kind: str = "application/json", **fields: str) -> bytes:
    body = (
        b""
        if content is None
        else content
        if isinstance(content, bytes)
        else json.dumps(content).encode()
    )
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    length = "" if status in (204, 304) else f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{length}{more}\r\n".encode() + body


def problem(status: int, detail: str, **extra: Any) -> bytes:
    """An error response in the format of our broker (RFC 9457, and `error`)."""
    return encode(
        status,
        {
            "type": "about:blank",
            "title": "No",
            "status": status,
            "detail": detail,
            "error": detail,
            **extra,
        },
        "application/problem+json",
    )


HTML_404 = encode(404, b"<!DOCTYPE html><pre>Cannot do that</pre>", "text/html")


@dataclass
class Predecessor:
    """The older broker: plain polling only. It returns all pending tickets at each poll."""

    tickets: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    polls: int = 0

    async def __call__(self, asked: Asked, writer: asyncio.StreamWriter) -> Answer:
        words = (asked.method, *asked.path)
        if words[:2] == ("GET", "agents") and words[3:] == ("tickets", "pending"):
            self.polls += 1
            return 200, [
                each
                for each in self.tickets
                if each["targetAgent"] == words[2] and each["ticketId"] not in self.acknowledged
            ]
        if words[:2] == ("POST", "tickets") and words[3:] == ("acknowledge",):
            self.acknowledged.append(words[2])
            return 200, {"status": "acknowledged"}
        if words == ("POST", "agents", "register") or words[3:] == ("heartbeat",):
            return 200, {"status": "ok"}
        return HTML_404

    def add(self, ticket_id: str, agent: str = "lucy", text: str = "hi") -> None:
        self.tickets.append(
            {
                "ticketId": ticket_id,
                "targetAgent": agent,
                "originAgent": "ui",
                "payload": text,
                "metadata": {},
                "status": "pending",
            }
        )


async def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of `condition()`; fail after PATIENCE."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while not condition():
        assert loop.time() < deadline, f"timed out waiting for: {what}"
        await asyncio.sleep(0.005)
    return condition()

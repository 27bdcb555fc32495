"""A TCP proxy that counts requests and bytes, exactly, for any client.

    watchers ─► Tap ─► broker

Bytes are TCP payload: HTTP headers count, TCP headers do not. Requests are counted by the
wire's own parser. The tap costs the watchers and the broker nothing. A ticket is delayed by one
more hop on the loopback.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Callable

from bridge.client.address import BrokerAddress
from bridge.errors import PeerError
from bridge.tasks import run_together, stop_accepting, stop_all
from bridge.wire.request import Limits, RequestParser

SLICE = 65536  # bytes of one read


@dataclass(frozen=True)
class Counts:
    """Totals since the tap was opened."""

    requests: int
    bytes_up: int
    bytes_down: int

    def since(self, before: Counts) -> Counts:
        return Counts(
            self.requests - before.requests,
            self.bytes_up - before.bytes_up,
            self.bytes_down - before.bytes_down,
        )


class Tap:
    """Listens on 127.0.0.1 at `port`. `async with` opens and closes it."""

    def __init__(self, target: str) -> None:
        self._target = BrokerAddress.from_url(target)
        self._server: asyncio.base_events.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()
        self._requests = self._bytes_up = self._bytes_down = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def counts(self) -> Counts:
        return Counts(self._requests, self._bytes_up, self._bytes_down)

    async def __aenter__(self) -> Tap:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None, "opened before it is closed"
        await stop_accepting(self._server)
        await stop_all(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "start_server runs this in a task"
        self._serving.add(task)  # the event loop keeps only a weak reference to it
        try:
            await self._connect(reader, writer)
        except (OSError, PeerError):
            pass  # one side is gone; the close below ends the other one
        except asyncio.CancelledError:
            pass  # not raised again: the callback of start_server would print it
        finally:
            self._serving.discard(task)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self._target.host, self._target.port)
        parser = RequestParser(Limits())
        try:
            await run_together(
                up=_pass(reader, up_writer, lambda data: self._count_up(parser, data)),
                down=_pass(up_reader, writer, self._count_down),
            )
        finally:
            up_writer.close()

    def _count_up(self, parser: RequestParser, data: bytes) -> None:
        self._bytes_up += len(data)
        parser.feed(data)
        while parser.take_request() is not None:
            self._requests += 1

    def _count_down(self, data: bytes) -> None:
        self._bytes_down += len(data)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[bytes], None]
) -> None:
    """Copy bytes until their end, no faster than the other side takes them."""
    while True:
        data = await reader.read(SLICE)
        if not data:
            return
        count(data)
        writer.write(data)
        await writer.drain()

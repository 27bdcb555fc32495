"""The connections of a load, without a task, reader or queue: they must cost less than the broker.

    Dialler            opens them
    BenchConnection    the common base class
    RequestConnection  one request at a time
    RequestClient      a RequestConnection that is opened again after a break
    BenchStream        one event stream: on_event(stream, event), until `ended` is set

bridge/client makes a task for each read, which is right for a watcher. Here it would be half of
what is measured: a request costs 205 µs of CPU with it, and 130 µs without. The parsers are
the same.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, TypeVar

from bridge import __version__
from bridge.client.address import BrokerAddress
from bridge.client.connection import describe, unreachable
from bridge.errors import ConnectionLost, PeerError, Refused
from bridge.settings import ClientSettings
from bridge.tasks import within
from bridge.wire.response import (
    BodyData,
    BodyEnd,
    Limits,
    ResponseHead,
    ResponseParser,
    encode_request,
)
from bridge.wire.sse import Event, EventStreamDecoder

FIELDS = {"User-Agent": f"bridge-bench/{__version__}", "Content-Type": "application/json"}


@dataclass(frozen=True)
class BenchResponse:
    """An answer, with the Retry-After of its head."""

    status: int
    body: bytes
    retry_after: float

    @property
    def detail(self) -> str:
        """The broker's reason, from its problem document (RFC 9457)."""
        try:
            problem = json.loads(self.body)
        except (ValueError, RecursionError):
            problem = None
        detail = problem.get("detail") if isinstance(problem, dict) else None
        return str(detail or f"the broker answered {self.status}")


class BenchConnection(asyncio.Protocol):
    """One connection and its parser. Subclasses handle the parser's events."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = ResponseParser(Limits())
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self.is_open = transport, True

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        self._take_all()

    def eof_received(self) -> None:
        self._parser.feed_eof()
        self._take_all()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self.broke(
            f"the connection broke: {describe(error)}"
            if error
            else "the broker closed the connection"
        )

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def write(self, data: bytes) -> None:
        assert self._transport is not None, "connected before it is written to"
        self._transport.write(data)

    def _take_all(self) -> None:
        try:
            event = self._parser.next_event()
            while event is not None:
                self.take(event)
                event = self._parser.next_event()
        except PeerError as error:
            self.broke(str(error))
            self.close()

    def take(self, event: object) -> None:
        """Handle a piece of the answer."""
        raise NotImplementedError

    def broke(self, reason: str) -> None:
        """Nothing more will come. May be called twice."""
        raise NotImplementedError


S = TypeVar("S", bound=BenchConnection)


class RequestConnection(BenchConnection):
    """One request and its answer at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._answer: asyncio.Future[BenchResponse] | None = None
        self._head: ResponseHead | None = None
        self._body = bytearray()

    async def ask(self, method: str, request: bytes, seconds: float) -> BenchResponse:
        """Send a whole request. Raises ConnectionLost, also after `seconds` without an answer."""
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        self._parser.expect(method)
        timer = loop.call_later(seconds, self._give_up)
        try:
            self.write(request)
            return await self._answer
        finally:
            timer.cancel()

    def take(self, event: object) -> None:
        if isinstance(event, ResponseHead):
            self._head = event
            self._body.clear()
        elif isinstance(event, BodyData):
            self._body += event.data
        elif isinstance(event, BodyEnd):
            self._finish()

    def _finish(self) -> None:
        assert self._head is not None, "an answer begins with its head"
        after = self._head.fields.get("retry-after", "")
        if not self._head.keep_alive:
            self.is_open = False
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(
                BenchResponse(
                    self._head.status, bytes(self._body), float(after) if after.isdigit() else 0.0
                )
            )

    def broke(self, reason: str) -> None:
        self.is_open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionLost(reason))

    def _give_up(self) -> None:
        self.broke("no answer in time")
        self.close()


class BenchStream(BenchConnection):
    """One event stream.

    `opened` is done when its head has arrived. `ended` is set when nothing more will come.
    """

    def __init__(self, number: int, on_event: Callable[[BenchStream, Event], None]) -> None:
        super().__init__()
        self.number = number  # of the connection
        self.opened: asyncio.Future[ResponseHead] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self._decoder = EventStreamDecoder()
        self._on_event = on_event

    @property
    def cursor(self) -> str:
        return self._decoder.last_event_id

    def take(self, event: object) -> None:
        if isinstance(event, BodyData):
            for each in self._decoder.feed(event.data):
                self._on_event(self, each)
        elif isinstance(event, ResponseHead) and not self.opened.done():
            self.opened.set_result(event)
        elif isinstance(event, BodyEnd):
            self.broke("the broker ended the stream")

    def broke(self, reason: str) -> None:
        self.ended.set()
        if not self.opened.done():
            self.opened.set_exception(ConnectionLost(reason))


class Dialler:
    """Opens connections to one broker and encodes requests."""

    def __init__(self, settings: ClientSettings) -> None:
        self.address = BrokerAddress.from_url(settings.broker_url)
        self.patience = settings.request_timeout / 1000
        self._connect_within = settings.connect_timeout / 1000
        self._tls = ssl.create_default_context() if self.address.is_tls else None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        fields: Mapping[str, str] = FIELDS,
    ) -> bytes:
        return encode_request(
            method, self.address.prefix + path, self.address.authority, fields, body
        )

    async def connect(self, connection: S) -> S:
        """Raises BrokerUnreachable."""
        dial = asyncio.get_running_loop().create_connection(
            lambda: connection, self.address.host, self.address.port, ssl=self._tls
        )
        try:
            await within(self._connect_within, dial)
        except asyncio.TimeoutError:
            raise unreachable(self.address, "no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise unreachable(self.address, describe(error)) from None
        return connection

    async def open_stream(self, stream: BenchStream, path: str, cursor: str) -> BenchStream:
        """Raises BrokerUnreachable, Refused."""
        await self.connect(stream)
        stream.write(
            self.request(
                "GET",
                path,
                fields={
                    **FIELDS,
                    "Accept": "text/event-stream",
                    **({"Last-Event-ID": cursor} if cursor else {}),
                },
            )
        )
        try:
            head = await within(self.patience, stream.opened)
        except BaseException as error:
            stream.close()
            if isinstance(error, asyncio.TimeoutError):
                raise unreachable(self.address, "no answer in time") from None
            raise
        if head.status != 200:
            stream.close()
            raise Refused(head.status, f"the broker refused a stream with {head.status}")
        return stream


class RequestClient:
    """One connection. It is opened at the first request, and again after it broke."""

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler
        self._connection = RequestConnection()

    async def post(self, path: str, body: bytes) -> BenchResponse:
        """Raises BrokerUnreachable."""
        if not self._connection.is_open:
            self._connection = await self._dialler.connect(RequestConnection())
        return await self._connection.ask(
            "POST", self._dialler.request("POST", path, body), self._dialler.patience
        )

    def close(self) -> None:
        self._connection.close()

"""One request, one Answer; or one request, one EventStream; or one file, as it arrives.

Connections are kept alive and reused. The broker may close a reused connection at the
same moment (RFC 9112 section 9.3.1). Then the request is sent again, once, on a fresh
connection. This happens only if no byte of an answer came, and if the request is
idempotent.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable
from urllib.parse import urlencode

from bridge import __version__
from bridge.client.address import BrokerAddress
from bridge.client.connection import ClientConnection, open_connection
from bridge.errors import BrokerUnreachable, ConnectionLost, Refused
from bridge.fifo_semaphore import FifoSemaphore
from bridge.settings import ClientSettings
from bridge.tasks import within
from bridge.wire.response import BodyData, ResponseHead, encode_request
from bridge.wire.sse import HEARTBEAT_FIELD, Event, EventStreamDecoder

# Seconds between two heartbeats. Our broker never announces more.
HEARTBEAT_MAX = 3600.0
IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE", "PUT"})  # RFC 9110 section 9.2.2
FILE = "application/vnd.sqlite3"  # the only kind of file that a broker sends
Query = Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """The broker's answer, of any status."""

    status: int
    fields: Mapping[str, str]
    json: object  # None when there is no body or it is not JSON
    body: bytes


class HttpClient:
    """Makes requests to one broker.

    Each request under way has its own connection, `request_connections` at most. Requests that
    wait at the broker (a long-poll, a stream) are not counted.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.address = BrokerAddress.from_url(settings.broker_url)
        self._settings = settings
        self._idle: list[ClientConnection] = []
        self._turns = FifoSemaphore(settings.request_connections)

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Query | None = None,
        wait: float = 0.0,
        again: bool | None = None,
    ) -> Answer:
        """Make one request.

        `wait`: seconds that the broker was asked to wait. `again`: may the request be sent twice?
        The default depends on the method.
        """
        message = self._encode(method, path, body, query, {"Accept": "application/json"})
        if wait:
            return await self._ask(method, message, wait, again)
        async with self._turns:
            return await self._ask(method, message, wait, again)

    async def _ask(self, method: str, message: bytes, wait: float, again: bool | None) -> Answer:
        connection = self._take_idle()
        if connection is not None:
            try:
                return await self._exchange(connection, method, message, wait)
            except ConnectionLost:
                may_repeat = method in IDEMPOTENT if again is None else again
                if connection.was_answered or not may_repeat:
                    raise
        return await self._exchange(
            await open_connection(self.address, self._settings), method, message, wait
        )

    async def open_stream(
        self,
        path: str,
        last_event_id: str = "",
        query: Query | None = None,
        head_within: float | None = None,
    ) -> EventStreamReader:
        """Open an event stream. Raises Refused, BrokerUnreachable, ConnectionLost.

        Raises asyncio.TimeoutError when the connection was made, but the response's head did not
        come within `head_within` seconds.
        """
        fields = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if last_event_id:
            fields["Last-Event-ID"] = last_event_id
        message = self._encode("GET", path, None, query, fields)
        connection = await open_connection(self.address, self._settings)
        try:
            await connection.send("GET", message)
            deadline = self._deadline(0.0)
            reading = self._read_head(connection, deadline)
            head = await (reading if head_within is None else within(head_within, reading))
            kind = head.fields.get("content-type", "").partition(";")[0].strip().lower()
            if head.status == 200 and kind == "text/event-stream":
                return EventStreamReader(
                    connection, str(self.address), announced_heartbeat(head.fields)
                )
            answer = await self._read_answer(connection, head, deadline)
        except BaseException:
            connection.abort()
            raise
        await connection.aclose()
        raise (
            refusal(answer)
            if answer.status != 200
            else ConnectionLost(f"{self.address}{path} is no event stream but {kind or 'untyped'}")
        )

    async def download(self, path: str, write: Callable[[bytes], object], wait: float) -> int:
        """Request a file, `write` its bytes as they arrive, and return their number.

        `wait`: seconds that the broker may need to prepare it, beyond a request's own timeout.
        Raises Refused, BrokerUnreachable, ConnectionLost for an incomplete file, and what `write`
        raises.
        """
        message = self._encode("GET", path, None, None, {"Accept": FILE})
        connection = await open_connection(self.address, self._settings)
        try:
            await connection.send("GET", message)
            head = await self._read_head(connection, self._deadline(wait))
            kind = head.fields.get("content-type", "").partition(";")[0].strip().lower()
            if head.status != 200 or kind != FILE:
                check(await self._read_answer(connection, head, self._deadline(0.0)))
                raise ConnectionLost(f"{self.address}{path} is no {FILE} but {kind or 'untyped'}")
            return await self._read_file(connection, head, write)
        finally:
            connection.abort()

    async def _read_file(
        self, connection: ClientConnection, head: ResponseHead, write: Callable[[bytes], object]
    ) -> int:
        size, announced = 0, head.fields.get("content-length", "")
        try:
            event = await connection.read_event(self._deadline(0.0))
            while isinstance(event, BodyData):
                write(event.data)
                size += len(event.data)
                event = await connection.read_event(self._deadline(0.0))
        except asyncio.TimeoutError:
            raise ConnectionLost(f"{self.address} fell silent after {size} bytes") from None
        if announced != str(size):
            sizes = f"{self.address} announced {announced or 'no number of'} bytes, and sent {size}"
            raise ConnectionLost(sizes)
        return size

    async def aclose(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.aclose()

    def _encode(
        self, method: str, path: str, body: object, query: Query | None, fields: dict[str, str]
    ) -> bytes:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self.address.prefix + path + ("?" + urlencode(given) if given else "")
        fields["User-Agent"] = f"bridge/{__version__}"
        content: bytes | None = None
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode(
                "utf-8", "backslashreplace"
            )
            fields["Content-Type"] = "application/json"
        elif method in ("POST", "PUT"):
            content = b""
        return encode_request(method, target, self.address.authority, fields, content)

    def _take_idle(self) -> ClientConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed:
                return connection
            connection.abort()
        return None

    def _deadline(self, wait: float) -> float:
        return asyncio.get_running_loop().time() + self._settings.request_timeout / 1000 + wait

    async def _exchange(
        self, connection: ClientConnection, method: str, message: bytes, wait: float
    ) -> Answer:
        deadline = self._deadline(wait)
        try:
            await connection.send(method, message)
            head = await self._read_head(connection, deadline)
            answer = await self._read_answer(connection, head, deadline)
        except BaseException:
            connection.abort()
            raise
        if head.keep_alive and len(self._idle) <= self._settings.request_connections:
            self._idle.append(connection)
        else:
            await connection.aclose()
        return answer

    async def _read_head(self, connection: ClientConnection, deadline: float) -> ResponseHead:
        try:
            event = await connection.read_event(deadline)
        except asyncio.TimeoutError:
            raise ConnectionLost(f"{self.address} did not answer in time") from None
        assert isinstance(event, ResponseHead), "an answer begins with its head"
        return event

    async def _read_answer(
        self, connection: ClientConnection, head: ResponseHead, deadline: float
    ) -> Answer:
        body = bytearray()
        try:
            event = await connection.read_event(deadline)
            while isinstance(event, BodyData):
                body += event.data
                if len(body) > self._settings.answer_max:
                    raise ConnectionLost(
                        f"the answer of {self.address} is longer than "
                        f"{self._settings.answer_max} bytes"
                    )
                event = await connection.read_event(deadline)
        except asyncio.TimeoutError:
            raise ConnectionLost(f"{self.address} did not finish its answer in time") from None
        return Answer(head.status, head.fields, self._decode(head, bytes(body)), bytes(body))

    def _decode(self, head: ResponseHead, body: bytes) -> object:
        if not body or "json" not in head.fields.get("content-type", ""):
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ConnectionLost(f"{self.address} sent JSON that cannot be read: {error}") from None


class EventStreamReader:
    """An open event stream. Any byte counts as a sign of life, not only events."""

    def __init__(self, connection: ClientConnection, name: str, heartbeat: float | None) -> None:
        # Seconds after which the broker breaks its silence; None = not announced.
        self.heartbeat = heartbeat
        self._connection = connection
        self._decoder = EventStreamDecoder()
        self._name = name

    async def read_events(self, silence: float) -> list[Event]:
        """The events that the next bytes complete, perhaps none.

        Raises asyncio.TimeoutError after `silence` seconds without a byte, StreamError for bytes
        that are no event stream, ConnectionLost at its end.
        """
        deadline = asyncio.get_running_loop().time() + silence
        event = await self._connection.read_event(deadline)
        if not isinstance(event, BodyData):
            raise ConnectionLost(f"{self._name} ended the event stream")
        return self._decoder.feed(event.data)

    async def aclose(self) -> None:
        self._connection.abort()  # there is no orderly end of a stream to wait for


def announced_heartbeat(fields: Mapping[str, str]) -> float | None:
    """Seconds, from the head of a stream; None if absent or nonsense."""
    value = fields.get(HEARTBEAT_FIELD.lower(), "")
    seconds = int(value) / 1000 if re.fullmatch(r"[0-9]{1,9}", value) else 0.0
    return seconds if 0 < seconds <= HEARTBEAT_MAX else None


def refusal(answer: Answer) -> Refused:
    """The broker's refusal, from problem+json (RFC 9457) or from the predecessor's JSON."""
    problem = answer.json if isinstance(answer.json, dict) else {}
    detail = problem.get("detail") or problem.get("error") or problem.get("title")
    # Delay-seconds only: our broker sends no HTTP-date.
    after = answer.fields.get("retry-after", "")
    return Refused(
        answer.status,
        str(
            detail
            or f"the answer is {answer.status} without a reason, so it is not from a bridge "
            "broker; check --broker-url"
        ),
        problem,
        float(after) if after.isdigit() else 0.0,
    )


def check(answer: Answer) -> Answer:
    """Return a 2xx answer; raise Refused for any other."""
    if not 200 <= answer.status < 300:
        raise refusal(answer)
    return answer


__all__ = ["Answer", "BrokerUnreachable", "EventStreamReader", "HttpClient", "check", "refusal"]

"""One socket to a broker: bytes out, response events in, every wait bounded.

Rule: every failure below HTTP becomes BrokerUnreachable (no broker is there) or
ConnectionLost (the connection broke). OSError never leaves this module.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Union

from bridge.client.address import BrokerAddress
from bridge.errors import BrokerUnreachable, ConnectionLost, PeerError
from bridge.settings import ClientSettings
from bridge.tasks import within
from bridge.wire.request import Limits
from bridge.wire.response import BodyData, BodyEnd, ResponseHead, ResponseParser

READ_BYTES = 65536  # one read; as much as asyncio's reader holds before it pauses the socket
CLOSE_SECONDS = 1.0  # limit of the wait for the peer's answer to our TLS close
WireEvent = Union[ResponseHead, BodyData, BodyEnd]


class ClientConnection:
    """One open connection, for one exchange at a time."""

    def __init__(
        self, address: BrokerAddress, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._parser: ResponseParser | None = None
        self.was_answered = False  # a byte of the current answer has arrived

    @property
    def is_closed(self) -> bool:
        """The peer has closed the idle connection, as far as the event loop has seen."""
        return self._reader.at_eof() or self._writer.transport.is_closing()

    async def send(self, method: str, request: bytes) -> None:
        if self._parser is None:
            self._parser = ResponseParser(Limits(), method)
        else:
            self._parser.expect(method)
        self.was_answered = False
        self._writer.write(request)
        try:
            await self._writer.drain()
        except OSError:
            # A broker may refuse a request before all of it was written (413). Its answer is
            # more useful than this error.
            pass

    async def read_event(self, deadline: float) -> WireEvent:
        """The next piece of the answer.

        Raises asyncio.TimeoutError when `deadline` (loop time) passes first.
        """
        assert self._parser is not None, "a request is sent before its answer is read"
        while True:
            try:
                event = self._parser.next_event()
            except PeerError as error:
                raise ConnectionLost(
                    f"what answers at {self._address} does not speak HTTP as a broker does: {error}"
                ) from None
            if event is not None:
                return event
            await self._read_more(self._parser, deadline)

    async def _read_more(self, parser: ResponseParser, deadline: float) -> None:
        left = deadline - asyncio.get_running_loop().time()
        try:
            data = await within(left, self._reader.read(READ_BYTES))
        except asyncio.TimeoutError:
            raise  # since 3.11 it is also an OSError
        except OSError as error:
            raise ConnectionLost(
                f"the connection to {self._address} broke: {describe(error)}"
            ) from None
        if data:
            self.was_answered = True
            parser.feed(data)
            return
        if not self.was_answered:
            raise ConnectionLost(f"{self._address} closed the connection without an answer")
        parser.feed_eof()

    def abort(self) -> None:
        """Drop the connection now, even in the middle of an exchange."""
        self._writer.transport.abort()

    async def aclose(self) -> None:
        self._writer.close()
        try:
            await within(CLOSE_SECONDS, self._writer.wait_closed())
        except (OSError, asyncio.TimeoutError):
            self.abort()  # it is closed either way, and no caller needs the error


async def open_connection(address: BrokerAddress, settings: ClientSettings) -> ClientConnection:
    """Connect, or raise BrokerUnreachable. Ignores proxy settings of the environment."""
    context: ssl.SSLContext | None = ssl.create_default_context() if address.is_tls else None
    dial = asyncio.ensure_future(asyncio.open_connection(address.host, address.port, ssl=context))
    try:
        reader, writer = await within(settings.connect_timeout / 1000, dial)
    except asyncio.TimeoutError:
        raise unreachable(address, f"no connection within {settings.connect_timeout} ms") from None
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA cannot encode
        raise unreachable(address, describe(error)) from None
    except asyncio.CancelledError:
        if dial.done() and not dial.cancelled() and dial.exception() is None:
            # The connection was made in the same moment as the cancellation.
            dial.result()[1].transport.abort()
        raise
    return ClientConnection(address, reader, writer)


def unreachable(address: BrokerAddress, reason: str) -> BrokerUnreachable:
    return BrokerUnreachable(
        f"no broker answers at {address} ({reason}); start one with `python3 -m bridge broker`, "
        "or name another with --broker-url or BRIDGE_BROKER_URL"
    )


def describe(error: BaseException) -> str:
    """A short description of an OSError. Of several (one per address) only the last is kept."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if (
        isinstance(error, OSError)
        and error.strerror
        and not error.strerror.startswith("Connect call failed")
    ):
        return error.strerror
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return str(error) or type(error).__name__

"""The first tier: an event stream held open (HTTP_API.md, Event streams).

The broker sends a comment at once. A stream without one at its start goes through a proxy
that buffers: proof that the tier cannot work here. Later, a silence of 2.5 heartbeats means
that the connection is dead, whatever TCP reports. The broker announces the length of a
heartbeat. The setting is the default.
"""

from __future__ import annotations

import asyncio
import json

from bridge.client.http import EventStreamReader
from bridge.errors import BrokerUnreachable, ConnectionLost, Refused, StreamError, TierUnfit
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.transport.base import unfit
from bridge.watcher.transport.feed import Feed
from bridge.wire.sse import Event

STALE_HEARTBEATS = 2.5  # HTTP_API.md, Event streams


class StreamTransport:
    """Tickets as they are published."""

    def __init__(self, feed: Feed, settings: WatcherSettings) -> None:
        self._feed = feed
        self._first_byte = settings.first_byte / 1000
        self._heartbeat = settings.sse_heartbeat / 1000
        self._silence = STALE_HEARTBEATS * self._heartbeat
        self._stream: EventStreamReader | None = None
        self._first: list[Ticket] = []

    async def open(self, after: int) -> None:
        try:
            # Some proxies withhold the response's head, others only its body.
            self._stream = await self._feed.open_stream(after, self._first_byte)
            self._silence = STALE_HEARTBEATS * (self._stream.heartbeat or self._heartbeat)
            self._first = self._tickets_of(await self._stream.read_events(self._first_byte))
        except Refused as error:
            if error.status >= 500 and not error.is_problem:
                raise await self._cause_of(error) from None
            # 503: DISABLE_SSE, or too many streams.
            raise unfit(error, "the event stream", also=503) from None
        except asyncio.TimeoutError:
            raise TierUnfit(
                f"the event stream showed nothing within {self._first_byte:g} s: a proxy buffers it"
            ) from None

    async def _cause_of(self, error: Refused) -> Refused | BrokerUnreachable:
        """ConnectionLost if a proxy's 5xx is evidence against the stream, else the error itself.

        A proxy answers 502, 503 or 504 for an absent broker, which is no evidence. If a plain
        request gets through, the stream itself is the problem.
        """
        try:
            await self._feed.poll(0, 1)
        except (BrokerUnreachable, Refused):
            return error
        return ConnectionLost(
            f"the event stream is refused ({error.status} {error.detail}), "
            "and plain requests are not"
        )

    async def receive(self) -> list[Ticket]:
        assert self._stream is not None, "opened before it is read"
        if self._first:
            first, self._first = self._first, []
            return first
        try:
            return self._tickets_of(await self._stream.read_events(self._silence))
        except asyncio.TimeoutError:
            raise ConnectionLost(
                f"the event stream was silent for {self._silence:g} s, "
                f"{STALE_HEARTBEATS} heartbeats"
            ) from None

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    def _tickets_of(self, events: list[Event]) -> list[Ticket]:
        """The tickets among the events. Other kinds (a heartbeat, a later broker's) are ignored."""
        return [self._ticket_of(event.data) for event in events if event.event == "ticket"]

    def _ticket_of(self, data: str) -> Ticket:
        try:
            return self._feed.ticket_of(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise StreamError(f"an event holds no ticket: {error}") from None

"""The first tier: an event stream held open (WIRE, Event streams).

The broker sends a comment at once, so a stream that stays silent at its start
goes through a proxy that buffers: proof that the tier cannot work here. Later,
2.5 heartbeats of silence mean that the connection is dead, whatever TCP says. How
long a heartbeat is the broker announces; the setting serves where it does not.
"""

from __future__ import annotations

import asyncio
import json

from bridge.client.http import EventStream
from bridge.errors import BrokerUnreachable, ConnectionLost, Refused, StreamError, TierUnfit
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.transport.base import unfit
from bridge.watcher.transport.feed import Feed
from bridge.wire.sse import Event

STALE_HEARTBEATS = 2.5  # WIRE, Event streams


class Stream:
    """Tickets as they are published."""

    def __init__(self, feed: Feed, settings: WatcherSettings) -> None:
        self._feed = feed
        self._first_byte = settings.first_byte / 1000
        self._heartbeat = settings.sse_heartbeat / 1000
        self._silence = STALE_HEARTBEATS * self._heartbeat
        self._stream: EventStream | None = None
        self._first: list[Ticket] = []

    async def open(self, after: int) -> None:
        try:
            # Some proxies withhold the response's head, others only what follows.
            self._stream = await self._feed.open_stream(after, self._first_byte)
            self._silence = STALE_HEARTBEATS * (self._stream.heartbeat or self._heartbeat)
            self._first = self._tickets_of(await self._stream.read_events(self._first_byte))
        except Refused as error:
            if error.status >= 500 and not error.is_problem:
                await self._blame(error)
            raise unfit(
                error, "the event stream", also=503
            ) from None  # 503: DISABLE_SSE, or too many streams
        except asyncio.TimeoutError:
            raise TierUnfit(
                f"the event stream showed nothing within {self._first_byte:g} s: a proxy buffers it"
            ) from None

    async def _blame(self, error: Refused) -> None:
        """A proxy says 502, 503, 504 of a broker that is away, which proves nothing. Where plain requests get through, it is
        evidence against the stream. Raises Refused or ConnectionLost."""
        try:
            await self._feed.poll(0, 1)
        except (BrokerUnreachable, Refused):
            raise error from None
        raise ConnectionLost(
            f"the event stream is refused ({error.status} {error.detail}), and plain requests are not"
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
                f"the event stream was silent for {self._silence:g} s, {STALE_HEARTBEATS} heartbeats"
            ) from None

    async def aclose(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()

    def _tickets_of(self, events: list[Event]) -> list[Ticket]:
        """The tickets among events; other events (a heartbeat's, a later broker's) are passed over."""
        return [self._ticket_of(event.data) for event in events if event.event == "ticket"]

    def _ticket_of(self, data: str) -> Ticket:
        try:
            return self._feed.ticket_of(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise StreamError(f"an event holds no ticket: {error}") from None

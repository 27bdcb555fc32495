"""One event stream across reconnects, for whoever looks on.

    opened ──► heard* ──► lost ──► (backoff) ──► opened ──► ...

What was sent while nothing was connected is the listener's to make up for: a
stream of tickets by its cursor, /events by looking at everything anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Callable, Protocol

from bridge.backoff import full_jitter
from bridge.client.http import EventStream
from bridge.errors import BrokerUnreachable, PeerError, Refused
from bridge.settings import WatcherSettings
from bridge.wire.sse import Event

STALE_HEARTBEATS = 2.5  # WIRE, Event streams
PASSING = frozenset({408, 425, 429})  # refusals of 4xx that another try may change; 5xx may, too


class Listener(Protocol):
    """Whom a Following tells; plain functions."""

    def opened(self) -> None:
        """The stream stands, for the first time or again."""

    def heard(self, event: Event) -> None:
        """May raise PeerError for an event that makes no sense: the stream is then opened anew."""

    def lost(self, reason: str) -> None:
        """The stream does not stand; it will be tried again."""


class Following:
    def __init__(
        self,
        open_stream: Callable[[], Awaitable[EventStream]],
        settings: WatcherSettings,
        listener: Listener,
    ) -> None:
        self._open_stream = open_stream
        self._listener = listener
        self._heartbeat = (
            settings.sse_heartbeat / 1000
        )  # of a broker that does not announce its own
        self._backoff = (settings.reconnect_base / 1000, settings.reconnect_max / 1000)
        self._holds = settings.tier_holds / 1000

    async def run(self, first: EventStream | None = None) -> None:
        """Follow until cancelled, `first` being a stream that is open already. Raises Refused for a no that stays one."""
        clock, stream, delays = asyncio.get_running_loop().time, first, full_jitter(*self._backoff)
        while True:
            opened_at = clock()
            try:
                stream = stream or await self._open_stream()
                self._listener.opened()
                reason = await self._read(stream)
            except (BrokerUnreachable, PeerError) as error:
                reason = str(error)
            except Refused as error:
                if error.status < 500 and error.status not in PASSING:
                    raise
                reason = str(error)
            finally:
                if stream is not None:
                    await stream.aclose()
            if stream is not None and clock() - opened_at > self._holds:
                delays = full_jitter(*self._backoff)
            stream = None
            self._listener.lost(reason)
            await asyncio.sleep(next(delays))

    async def _read(self, stream: EventStream) -> str:
        """Hand events on until the stream falls silent. Raises ConnectionLost, PeerError."""
        silence = STALE_HEARTBEATS * (stream.heartbeat or self._heartbeat)
        while True:
            try:
                events = await stream.read_events(silence)
            except asyncio.TimeoutError:
                return f"the stream was silent for {silence:g} s"
            for event in events:
                self._listener.heard(event)

"""One event stream across reconnects, for observers.

    opened ──► heard* ──► lost ──► (backoff) ──► opened ──► ...

The user of the callbacks must fetch what was sent between two connections: for a stream of
tickets by its cursor, for /events by a new overview.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Callable, Protocol

from bridge.backoff import full_jitter
from bridge.client.http import EventStreamReader
from bridge.errors import BrokerUnreachable, PeerError, Refused
from bridge.settings import WatcherSettings
from bridge.wire.sse import Event

STALE_HEARTBEATS = 2.5  # HTTP_API.md, Event streams
# 4xx statuses for which a retry may succeed. For a 5xx it may as well.
PASSING = frozenset({408, 425, 429})


class StreamCallbacks(Protocol):
    """The callbacks of a ReconnectingStream; plain functions."""

    def opened(self) -> None:
        """The stream is open, for the first time or again."""

    def heard(self, event: Event) -> None:
        """May raise PeerError for an event that makes no sense. The stream is then opened anew."""

    def lost(self, reason: str) -> None:
        """The stream is broken. It will be opened again."""


class ReconnectingStream:
    def __init__(
        self,
        open_stream: Callable[[], Awaitable[EventStreamReader]],
        settings: WatcherSettings,
        callbacks: StreamCallbacks,
    ) -> None:
        self._open_stream = open_stream
        self._callbacks = callbacks
        # For a broker that does not announce its own.
        self._heartbeat = settings.sse_heartbeat / 1000
        self._backoff = (settings.reconnect_base / 1000, settings.reconnect_max / 1000)
        self._holds = settings.tier_holds / 1000

    async def run(self, first: EventStreamReader | None = None) -> None:
        """Follow until cancelled. `first` is a stream that is open already.

        Raises Refused for a refusal that a retry cannot change.
        """
        clock, stream, delays = asyncio.get_running_loop().time, first, full_jitter(*self._backoff)
        while True:
            opened_at = clock()
            try:
                stream = stream or await self._open_stream()
                self._callbacks.opened()
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
            self._callbacks.lost(reason)
            await asyncio.sleep(next(delays))

    async def _read(self, stream: EventStreamReader) -> str:
        """Pass events on until the stream falls silent. Raises ConnectionLost, PeerError."""
        silence = STALE_HEARTBEATS * (stream.heartbeat or self._heartbeat)
        while True:
            try:
                events = await stream.read_events(silence)
            except asyncio.TimeoutError:
                return f"the stream was silent for {silence:g} s"
            for event in events:
                self._callbacks.heard(event)

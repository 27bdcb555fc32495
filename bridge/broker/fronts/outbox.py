"""The outbox of an event stream: one write to the transport per event.

Rule 1: nothing is queued here. The transport's buffer is the outbox. If it holds
more than BRIDGE_SSE_OUTBOX bytes there is no room, and the subscriber waits for
`drained`.
Rule 2: a heartbeat needs only the time of the last write.
"""

from __future__ import annotations

import asyncio
from typing import Callable

from bridge.broker.clock import Clock
from bridge.broker.hub import Subscriber
from bridge.wire.response import LAST_CHUNK, encode_chunk
from bridge.wire.sse import HEARTBEAT, encode_event

# Sent at once, so that a client can tell a stream from a proxy that buffers.
OPENING = b"retry: 1000\n:heartbeat\n\n"
HEARTBEAT_EVENT = encode_event(b"{}", b"heartbeat")


class StreamOutbox:
    """The broker.subscriber.Outbox of one HTTP connection."""

    __slots__ = (
        "wrote_at", "is_closed", "is_full", "subscriber", "_transport", "_is_chunked", "_clock",
        "_beat", "_loop", "_on_unread", "_timer", "_write_deadline",
    )  # fmt: skip

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, clock: Clock,
        is_chunked: bool, beats_as_event: bool, write_deadline: float,
        on_unread: Callable[[], None],
    ) -> None:  # fmt: skip
        self.wrote_at = clock.monotonic()
        self.is_closed = False
        self.is_full = False
        self.subscriber: Subscriber | None = None
        self._transport, self._loop, self._clock = transport, loop, clock
        self._is_chunked = is_chunked
        self._beat = HEARTBEAT_EVENT if beats_as_event else HEARTBEAT
        self._timer: asyncio.TimerHandle | None = None
        self._on_unread = on_unread  # called after a write that leaves bytes in the buffer
        self._write_deadline = write_deadline  # seconds that a peer has to read the last bytes

    def open(self, head: bytes, attach: Callable[[StreamOutbox], Subscriber]) -> None:
        """Send the head and the opening. Then connect the subscriber and let it catch up."""
        opening = OPENING + (self._beat if self._beat is HEARTBEAT_EVENT else b"")
        self._transport.write(head + (encode_chunk(opening) if self._is_chunked else opening))
        self.subscriber = attach(self)
        self.subscriber.catch_up()

    # Hot: once per event.
    def write(self, data: bytes) -> bool:
        """Return whether the transport took the bytes. One that is closing has lost its peer."""
        transport = self._transport
        if self.is_closed or transport.is_closing():
            return False
        self.wrote_at = self._clock.monotonic()
        transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
        if transport.get_write_buffer_size():
            self._on_unread()
        return not transport.is_closing()

    def has_room(self) -> bool:
        return not (self.is_full or self.is_closed or self._transport.is_closing())

    def beat(self) -> None:
        """Send a heartbeat, unless the buffer is full of events that the peer has still to read."""
        if self.has_room():
            self.write(self._beat)

    def again(self, step: Callable[[], None]) -> None:
        self._loop.call_soon(self._run, step)

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        self._timer = self._loop.call_later(seconds, self._run, step)

    def _run(self, step: Callable[[], None]) -> None:
        if not self.is_closed:
            step()

    def drained(self) -> None:
        """The buffer has room again."""
        self.is_full = False
        if self.subscriber is not None and not self.is_closed:
            self.subscriber.catch_up()

    def end(self) -> None:
        """The broker is stopping: the subscriber ends the stream."""
        if self.subscriber is not None:
            self.subscriber.end()

    def finish(self) -> None:
        """End the stream cleanly: send the last chunk, and close when all bytes are sent."""
        if not self.is_closed:
            if self._is_chunked and not self._transport.is_closing():
                self._transport.write(LAST_CHUNK)
            self._transport.close()
            self.close()
            # A peer that never reads must not hold the descriptor for ever.
            if self._transport.get_write_buffer_size():
                self._timer = self._loop.call_later(self._write_deadline, self._transport.abort)

    def close(self) -> None:
        """The stream is over. May be called several times."""
        if self._timer is not None:
            # Also the timer of `finish`: asyncio fails if a lost transport is aborted.
            self._timer.cancel()
        if self.is_closed:
            return
        self.is_closed = True
        if self.subscriber is not None:
            self.subscriber.close()

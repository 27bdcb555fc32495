"""The outbox of an event stream: values in, server-sent events out, in few writes.

Rule 1: nothing is queued here. The transport's buffer is the outbox. If it holds
more than BRIDGE_SSE_OUTBOX bytes there is no room, and the subscriber waits for
`drained`.
Rule 2: a heartbeat needs only the time of the last write.
Rule 3: the live events of one turn of the loop leave in one write, of about HELD_MAX bytes.
An event is encoded once for all its readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import Callable

from bridge.broker.body import encode
from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.hub import Subscriber
from bridge.broker.live_event import AgentChanged, EventsMissed, LiveEvent, StageReached
from bridge.wire.response import LAST_CHUNK, encode_chunk
from bridge.wire.sse import HEARTBEAT, encode_event

# Sent at once, so that a client can tell a stream from a proxy that buffers.
OPENING = b"retry: 1000\n:heartbeat\n\n"
HEARTBEAT_EVENT = encode_event(b"{}", b"heartbeat")
HELD_MAX = 65536  # bytes that wait for the end of the loop's turn, for one common write
LIVE_NAMES: dict[type[LiveEvent], bytes] = {
    StageReached: b"stage",
    AgentChanged: b"agent",
    EventsMissed: b"missed",
}


# Hot: once per ticket and stream.
def encode_ticket(entry: Entry, is_shared: bool) -> bytes:
    data = entry.data
    if is_shared:
        data = b'{"agentId":%b,"ticket":%b}' % (encode(entry.agent_id), data)
    return encode_event(data, b"ticket", b"%d" % entry.seq)


def encode_reply_event(entry: Entry) -> bytes:
    return encode_event(encode(entry.to_json()), b"reply", b"%d" % entry.seq)


def encode_timeout(entry: Entry, status: str) -> bytes:
    fields: dict[str, object] = {"ticketId": entry.ticket_id, "timeoutMs": entry.timeout_ms}
    if status:
        fields["status"] = status
    return encode_event(encode(fields), b"timeout", b"%d" % entry.seq)


@lru_cache(maxsize=1)  # an event is sent to all its readers before the next one is made
def encode_live(event: LiveEvent) -> bytes:
    return encode_event(encode(event.to_json()), LIVE_NAMES[type(event)])


class StreamOutbox:
    """The broker.subscriber.Outbox of one HTTP connection."""

    __slots__ = (
        "wrote_at", "is_closed", "is_full", "subscriber", "_transport", "_is_chunked", "_clock",
        "_beat", "_held", "_loop", "_on_unread", "_timer", "_write_deadline",
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
        # Live events until the end of the turn. None while there are none: most streams have none.
        self._held: bytearray | None = None
        self._on_unread = on_unread  # called after a write that leaves bytes in the buffer
        self._write_deadline = write_deadline  # seconds that a peer has to read the last bytes

    def open(self, head: bytes, attach: Callable[[StreamOutbox], Subscriber]) -> None:
        """Send the head and the opening. Then connect the subscriber and let it catch up."""
        opening = OPENING + (self._beat if self._beat is HEARTBEAT_EVENT else b"")
        self._transport.write(head + (encode_chunk(opening) if self._is_chunked else opening))
        self.subscriber = attach(self)
        self.subscriber.catch_up()

    # Hot: once per ticket and stream.
    def send_tickets(self, entries: Sequence[Entry], is_shared: bool) -> bool:
        return self.write(b"".join([encode_ticket(entry, is_shared) for entry in entries]))

    def send_reply(self, entry: Entry) -> None:
        self.write(encode_reply_event(entry))

    def send_no_reply(self, entry: Entry, status: str) -> None:
        self.write(encode_timeout(entry, status))

    def send_event(self, event: LiveEvent) -> None:
        if self._held is None:
            self._held = bytearray()
            self._loop.call_soon(self._run, self._flush)
        self._held += encode_live(event)
        if len(self._held) > HELD_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self.write(bytes(held))

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
        return not (self.is_full or self.is_closed)

    def beat(self) -> None:
        """Send a heartbeat, unless the buffer is full of events that the peer has still to read."""
        if self.has_room():
            self.write(self._beat)

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
            self._flush()
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

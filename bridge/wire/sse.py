"""Event streams, both directions (WHATWG HTML section 9.2).

Rule 1: no text breaks out of its field. A CR, a LF and a CRLF all end a line
(9.2.5), so data is split at each of them. An id or an event name that holds one
is refused.
Rule 2: the decoder is exactly the standard's algorithm (9.2.6), for any slices.
CR and LF never occur inside a UTF-8 sequence. So lines are cut as bytes and then
decoded, and a character that a slice cuts needs no special care.
Rule 3: if the stream breaks off inside an event, the event and its id are dropped.
The cursor moves only when an event is complete.

    bytes ─► lines ─► data, event, id, retry ─► (empty line) ─► Event
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.errors import StreamError

HEARTBEAT = b":heartbeat\n\n"
HEARTBEAT_FIELD = "Bridge-Heartbeat-Ms"  # in the head of a stream: ms between its heartbeats

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(b"\r\n|\r|\n")
_RETRY_DIGITS = 15  # a longer number becomes 10**15 ms, 30,000 years, so int() stays cheap


def encode_event(data: bytes, event: bytes = b"", id: bytes = b"") -> bytes:
    """One event. `data` is any UTF-8 text. Hot. Raises ValueError for a bad name or id."""
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_END.split(data))
    # Letters and digits cannot break out, and most names and ids have nothing else.
    if not (event + id).isalnum():
        _check_line(event + id)
    if event and id:
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (id, event, data)
    if event or id:
        return (b"event: %b\ndata: %b\n\n" if event else b"id: %b\ndata: %b\n\n") % (
            event or id,
            data,
        )
    return b"data: %b\n\n" % data


def _check_line(text: bytes) -> None:
    if b"\n" in text or b"\r" in text or b"\0" in text:
        raise ValueError(f"an event name or id must not hold CR, LF or NUL: {text!r:.200}")


def encode_comment(text: str) -> bytes:
    """A comment, which readers skip. Each line of `text` gets its own colon."""
    lines = _LINE_END.split(text.encode("utf-8", "replace"))
    return b"".join([b":%b\n" % line for line in lines]) + b"\n"


def encode_retry(ms: int) -> bytes:
    """The retry hint: the time until a reader reconnects."""
    if ms < 0:
        raise ValueError("a retry hint is 0 or more milliseconds")
    return b"retry: %d\n\n" % ms


@dataclass(frozen=True)
class Event:
    event: str  # the event type; "message" if the stream named none
    data: str
    last_event_id: str  # the last id in the stream, not necessarily this event's


class EventStreamDecoder:
    """Takes an event stream in any slices and returns its events."""

    def __init__(self, limit: int = 16 << 20) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._limit = limit  # bytes of a line, and of the data of an event
        self._held = bytearray()  # the unfinished line
        self._skips_lf = False  # a CR ended the last slice, so a LF now belongs to it
        self._at_start = True
        self._failure = ""
        self._data = bytearray()  # the data lines so far, each with its LF
        self._event = b""
        self._id = ""  # becomes last_event_id when the event is complete

    @property
    def held_bytes(self) -> int:
        return len(self._held) + len(self._data) + len(self._event) + len(self._id)

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes and return the events that they complete.

        Raises StreamError at a line or event beyond the limit, and then always.
        Events that were complete before are returned first. Then the next call
        raises.
        """
        events: list[Event] = []
        if not self._failure:
            self._take(data, events)
        if self._failure and not events:
            raise StreamError(self._failure)
        return events

    def _take(self, data: bytes, events: list[Event]) -> None:
        if self._skips_lf and data:
            self._skips_lf = False
            if data[:1] == b"\n":
                data = data[1:]
        if b"\n" not in data and b"\r" not in data:
            self._hold(data)
            return
        self._skips_lf = data.endswith(b"\r")
        lines = (bytes(self._held) + data).splitlines()  # bytes split at CR, LF and CRLF only
        self._held.clear()
        partial = b"" if data.endswith((b"\r", b"\n")) else lines.pop()
        for line in lines:
            self._take_line(line, events)
            if self._failure:
                return
        self._hold(partial)

    def _hold(self, partial: bytes) -> None:
        self._held += partial
        if len(self._held) > self._limit:
            self._fail("a line")

    def _take_line(self, line: bytes, events: list[Event]) -> None:
        if len(line) > self._limit:
            self._fail("a line")
            return
        if self._at_start:
            self._at_start = False
            if line.startswith(_BOM):
                line = line[len(_BOM) :]
        if not line:
            self._dispatch(events)
        elif line[:1] != b":":
            name, _, value = line.partition(b":")
            self._take_field(name, value[1:] if value[:1] == b" " else value)

    def _take_field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._data += value + b"\n"
            if len(self._data) > self._limit:
                self._fail("an event")
        elif name == b"event":
            self._event = value
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            digits = value.lstrip(b"0")
            self.retry_ms = (
                int(digits or b"0") if len(digits) <= _RETRY_DIGITS else 10**_RETRY_DIGITS
            )

    def _dispatch(self, events: list[Event]) -> None:
        self.last_event_id = self._id
        if self._data:
            data = self._data[:-1].decode("utf-8", "replace")
            event = self._event.decode("utf-8", "replace") or "message"
            events.append(Event(event, data, self.last_event_id))
        self._data, self._event = bytearray(), b""

    def _fail(self, what: str) -> None:
        self._failure = f"{what} of the event stream is longer than {self._limit} bytes"
        self._held.clear()
        self._data, self._event = bytearray(), b""

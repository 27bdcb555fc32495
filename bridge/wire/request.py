"""HTTP/1.1 requests off a connection, in any slices (RFC 9110, RFC 9112).

Rule 1: strict where leniency is an attack. What two parsers could read in two
ways is refused, and after a refusal the parser reads nothing more: there is
no second request in the rest of a bad one.
Rule 2: `read_head` says what a well-formed head is. A head that came whole is
read at once (the hot path); one that came in pieces is walked line by line
first, only to refuse early, and then read all the same.
Rule 3: held memory is bounded by the limits and one feed, whatever comes.

    IDLE ──a byte──► HEAD ──empty line──► BODY ──last byte──► IDLE
                       └──── error ─────────┴────► failed, for good
"""

from __future__ import annotations

import enum

from bridge.errors import PeerError
from bridge.wire.chunked import ChunkedDecoder
from bridge.wire.fields import HeadWalker, Limits, split_list
from bridge.wire.head import RequestHead, check_request_line, read_head
from bridge.wire.target import decode_query, decode_segments

__all__ = ["Limits", "Request", "RequestParser", "Stage", "decode_query", "decode_segments"]

_BLANK_LINES = 4  # tolerated before a request: some old clients end a body with a CRLF too many (RFC 9112 section 2.2)


class Stage(enum.Enum):
    """Where a connection is; it says which deadline runs. Ask after `take_request` gave None."""

    __hash__ = object.__hash__  # hot, as a key: Enum's own is Python code

    IDLE = "idle"  # nothing held
    HEAD = "head"  # part of a head
    BODY = "body"  # a whole head, part of its body


class Request:
    """One whole request. Nobody changes it once it is handed out."""

    __slots__ = ("authority", "body", "fields", "keep_alive", "method", "path", "query", "version")

    def __init__(self, head: RequestHead) -> None:
        self.method = head.method
        self.path = head.path  # raw, begins with "/"; "*" for OPTIONS *
        self.query = head.query  # raw, without "?"
        self.version = head.version
        self.fields = head.fields  # names lowercased, repeated ones joined with ", "; shared with other requests of the same head
        self.authority = (
            head.authority
        )  # Host, or that of an absolute target; "" if HTTP/1.0 named none
        self.keep_alive = head.keep_alive
        self.body = b""

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path} {len(self.body)} bytes>"


class RequestParser:
    """Feed it what arrives, take whole requests out until it gives None."""

    __slots__ = (
        "_asks", "_blank", "_body", "_chunks", "_error", "_held", "_length", "_limits",
        "_moves_max", "_open", "_pos", "_walker", "is_behind",
    )  # fmt: skip

    def __init__(self, limits: Limits, moves_max: int | None = None) -> None:
        self._limits = limits
        self._moves_max = moves_max  # of the chunked coding in one `take_request`; None = any
        self._held: bytes | bytearray = b""
        self._pos = 0  # what lies before belongs to requests already taken
        self._walker = HeadWalker(limits.head_max, check_request_line)
        self._blank = 0  # empty lines seen before the current request
        self._open: Request | None = None  # its head is read, its body is not
        self._length = 0  # bytes of its body, if it is not chunked
        self._chunks: ChunkedDecoder | None = None
        self._body = bytearray()  # decoded chunks
        self._asks = False  # Expect: 100-continue, not yet answered
        self._error: PeerError | None = None
        # `take_request` gave None, and can go on without more bytes: many small chunks have come.
        self.is_behind = False

    def feed(self, data: bytes) -> None:
        """Take bytes off the connection. Never raises: `take_request` does.

        Who feeds without taking (a pipelining peer while its first request
        waits) must stop reading in time: beyond the limits the rest is refused.
        """
        if not data or self._error is not None:
            return
        self._asks = False
        if self._pos == len(
            self._held
        ):  # hot: requests mostly come whole, and are then never copied
            self._held, self._pos = data, 0
        elif self.held_bytes > self._limits.head_max + self._limits.body_max:
            self._fail(PeerError(400, "too much was sent ahead of the answers"))
        elif isinstance(self._held, bytearray):
            del self._held[: self._pos]
            self._held += data
            self._pos = 0
        else:
            self._held, self._pos = bytearray(self._held[self._pos :]) + data, 0

    def take_request(self) -> Request | None:
        """Remove and return the next request, None if it is not complete. Raises PeerError, from then on always."""
        if self._error is not None:
            raise PeerError(self._error.status, self._error.detail)
        try:
            request = self._open or self._take_head()
            if request is not None and self._take_body(request):
                self._open = None
                return request
        except PeerError as error:
            self._fail(error)
            raise
        return None

    def take_continue(self) -> bool:
        """True once, when a head that asks for 100 (Continue) is here and nothing of its body is."""
        asks, self._asks = self._asks, False
        return asks

    @property
    def is_empty(self) -> bool:
        """Nothing is held, and nothing is wrong."""
        return self._open is None and self._pos == len(self._held) and self._error is None

    @property
    def stage(self) -> Stage:
        if self._open is not None:
            return Stage.BODY
        return Stage.IDLE if self._pos == len(self._held) else Stage.HEAD

    @property
    def held_bytes(self) -> int:
        """Bytes that wait here, decoded or not."""
        chunks = self._chunks.held_bytes if self._chunks is not None else 0
        return len(self._held) - self._pos + len(self._body) + chunks

    def _take_head(self) -> Request | None:
        held, pos = self._held, self._pos
        if held[pos : pos + 2] == b"\r\n":
            pos = self._skip_blank_lines()
        if pos == len(held):
            return None
        end = (
            -1
            if self._walker.has_begun
            else held.find(b"\r\n\r\n", pos, pos + self._limits.head_max)
        )
        if end < 0:
            end = self._walker.walk(held, pos)
            if end < 0:
                return None
            end -= 2  # the walker gives the empty line, find gives the line end before it
        head = read_head(bytes(held[pos : end + 2]))
        if head is None:
            self._walker.restart()
            self._walker.walk(held, pos)
            raise PeerError(400, "a malformed head")
        if self._walker.has_begun:
            self._walker.restart()
        self._blank = 0
        self._pos = end + 4
        return self._open_request(head)

    def _skip_blank_lines(self) -> int:
        while (
            self._blank < _BLANK_LINES
            and not self._walker.has_begun
            and self._held[self._pos : self._pos + 2] == b"\r\n"
        ):
            self._blank += 1
            self._pos += 2
        return self._pos

    def _open_request(self, head: RequestHead) -> Request:
        """Make a request of a well-formed head; its body is still to be taken (RFC 9112 section 6.3). Hot."""
        self._length = head.length
        self._chunks = self._open_chunks() if head.is_chunked else None
        if self._length > self._limits.body_max:
            raise PeerError(
                413, f"the body is larger than {self._limits.body_max} bytes (BRIDGE_BODY_MAX)"
            )
        if "expect" in head.fields and head.version > (1, 0):
            self._open_expectation(head.fields)
        self._open = request = Request(head)
        return request

    def _open_chunks(self) -> ChunkedDecoder:
        return ChunkedDecoder(self._limits.head_max, self._limits.body_max, self._moves_max)

    def _open_expectation(self, fields: dict[str, str]) -> None:
        """RFC 9110 section 10.1.1; an HTTP/1.0 client's Expect is ignored, as it says."""
        if split_list(fields["expect"]) != ["100-continue"]:
            raise PeerError(417, "the only expectation known here is 100-continue")
        has_body = self._length > 0 or self._chunks is not None
        self._asks = has_body and self._pos == len(self._held)

    def _take_body(self, request: Request) -> bool:
        """Give the request its body; False if it is not complete. Hot."""
        if self._chunks is not None:
            return self._take_chunks(request, self._chunks)
        end = self._pos + self._length
        if end > len(self._held):
            return False
        if self._length:
            request.body = bytes(self._held[self._pos : end])
        if end == len(self._held):
            self._held, self._pos = b"", 0
        else:
            self._pos = end
        return True

    def _take_chunks(self, request: Request, chunks: ChunkedDecoder) -> bool:
        data = chunks.feed(bytes(self._held[self._pos :]))
        self._held, self._pos = b"", 0
        while data:  # a fault behind the data is raised by the call after
            self._body += data
            self.is_behind = chunks.is_behind
            if self.is_behind:
                return False
            data = chunks.feed(b"")
        self.is_behind = chunks.is_behind
        if not chunks.is_done:
            return False
        self.is_behind = False
        request.body = bytes(self._body)
        self._body = bytearray()
        self._held = chunks.take_rest()
        self._chunks = None
        return True

    def _fail(self, error: PeerError) -> None:
        self._error = PeerError(
            error.status, error.detail
        )  # a fresh one: a raised one keeps its frames alive
        self._held, self._pos, self._body = b"", 0, bytearray()
        self._open = self._chunks = None
        self._asks = self.is_behind = False

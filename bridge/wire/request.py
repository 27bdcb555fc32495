"""HTTP/1.1 requests of a connection, in any slices (RFC 9110, RFC 9112).

Rule 1: strict where leniency is an attack. A text that two parsers could read in two
ways is refused. After a refusal the parser reads nothing more: it never finds a second
request in the rest of a bad one.
Rule 2: `read_head` defines a well-formed head. A head that arrives whole is read at once
(the hot path). One that arrives in pieces is first walked line by line, to refuse early,
and is then read in the same way.
Rule 3: held memory is bounded by the limits and one feed, for any input.

    IDLE ──a byte──► HEAD ──empty line──► BODY ──last byte──► IDLE
                       └──── error ─────────┴────► failed, for good
"""

from __future__ import annotations

import enum
from copy import copy

from bridge.errors import PeerError
from bridge.wire.chunked import ChunkedDecoder
from bridge.wire.fields import HeadWalker, Limits, split_list
from bridge.wire.head import RequestHead, check_request_line, read_head
from bridge.wire.target import decode_query, decode_segments

__all__ = ["Limits", "Request", "RequestParser", "RequestStage", "decode_query", "decode_segments"]

# Empty lines that are allowed before a request: some old clients send a CRLF too many after a body
# (RFC 9112 section 2.2).
_BLANK_LINES = 4


class RequestStage(enum.Enum):
    """The part of a request that is awaited; it decides which deadline runs.

    Read it after `take_request` has returned None.
    """

    __hash__ = object.__hash__  # hot, as a key: Enum's own is Python code

    IDLE = "idle"  # nothing held
    HEAD = "head"  # part of a head
    BODY = "body"  # a whole head, part of its body


class Request:
    """One whole request. It must not be changed after `take_request` has returned it."""

    __slots__ = ("authority", "body", "fields", "keep_alive", "method", "path", "query", "version")

    def __init__(self, head: RequestHead) -> None:
        # As in RequestHead: `path` and `query` are raw, and requests with the same head share
        # `fields`.
        (
            self.method, self.path, self.query, self.version, self.fields, self.authority,
            self.keep_alive, _, _,
        ) = head  # fmt: skip
        self.body = b""

    def without_body(self) -> Request:
        bare = copy(self)
        bare.body = b""
        return bare

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path} {len(self.body)} bytes>"


class RequestParser:
    """Feed it bytes, and take whole requests until it returns None."""

    __slots__ = (
        "_asks", "_blank", "_body", "_chunks", "_error", "_held", "_length", "_limits",
        "_moves_max", "_open", "_pos", "_walker", "is_behind",
    )  # fmt: skip

    def __init__(self, limits: Limits, moves_max: int | None = None) -> None:
        self._limits = limits
        self._moves_max = moves_max  # of the chunked coding in one `take_request`; None = any
        self._held: bytes | bytearray = b""
        self._pos = 0  # the bytes before belong to requests that are taken
        self._walker = HeadWalker(limits.head_max, check_request_line)
        self._blank = 0  # empty lines before the current request
        self._open: Request | None = None  # its head is read, its body is not
        self._length = 0  # bytes of its body, if it is not chunked
        self._chunks: ChunkedDecoder | None = None
        self._body = bytearray()  # decoded chunks
        self._asks = False  # Expect: 100-continue, not yet answered
        self._error: PeerError | None = None
        # `take_request` returned None but can continue without more bytes: there are many small
        # chunks.
        self.is_behind = False

    def feed(self, data: bytes) -> None:
        """Take bytes of the connection. Never raises: `take_request` does.

        A caller that feeds without taking (its peer pipelines, and the first request waits)
        must stop reading in time. Beyond the limits the rest is refused.
        """
        if not data or self._error is not None:
            return
        self._asks = False
        # Hot: requests mostly arrive whole, and are then never copied.
        if self._pos == len(self._held):
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
        """Remove and return the next request; None if it is not complete.

        Raises PeerError, and then always.
        """
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
        """Return True once, if a head expects 100 (Continue) and no byte of its body is here."""
        asks, self._asks = self._asks, False
        return asks

    @property
    def is_empty(self) -> bool:
        """Nothing is held, and there was no error."""
        return self._open is None and self._pos == len(self._held) and self._error is None

    @property
    def stage(self) -> RequestStage:
        if self._open is not None:
            return RequestStage.BODY
        return RequestStage.IDLE if self._pos == len(self._held) else RequestStage.HEAD

    @property
    def held_bytes(self) -> int:
        """Bytes that wait here, decoded or not."""
        chunks = self._chunks.held_bytes if self._chunks is not None else 0
        return len(self._held) - self._pos + len(self._body) + chunks

    def _take_head(self) -> Request | None:
        held, pos = self._held, self._pos
        if held.startswith(b"\r\n", pos):
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
            end -= 2  # `walk` returns the empty line, `find` the line end before it
            self._walker.restart()
        head = read_head(bytes(held[pos : end + 2]))
        if head is None:
            self._walker.walk(held, pos)
            raise PeerError(400, "a malformed head")
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
        """Make a request of a well-formed head, without its body (RFC 9112 section 6.3). Hot."""
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
        """Note the Expect field. For HTTP/1.0 it is ignored (RFC 9110 section 10.1.1)."""
        if split_list(fields["expect"]) != ["100-continue"]:
            raise PeerError(417, "the only expectation known here is 100-continue")
        has_body = self._length > 0 or self._chunks is not None
        self._asks = has_body and self._pos == len(self._held)

    def _take_body(self, request: Request) -> bool:
        """Set the request's body. Return False if it is not complete. Hot."""
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
        while data:  # the next call raises a fault that is behind the data
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
        # A new one: an error that was raised keeps its frames alive.
        self._error = PeerError(error.status, error.detail)
        self._held, self._pos, self._body = b"", 0, bytearray()
        self._open = self._chunks = None
        self._asks = self.is_behind = False

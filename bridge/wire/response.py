"""HTTP/1.1 responses of a connection, and the encoders of both sides.

Rule 1: a streamed body is never held; its bytes are returned as they arrive.
Rule 2: each fault of the server is a PeerError 502, and final. So is a body that
ends early: half an answer must not pass for a whole one.
Rule 3: an encoder refuses text that would break out of its line (CWE-93). It
raises ValueError, because that is our own mistake and not the peer's.

    HEAD ─► LENGTH | CHUNKED | CLOSE ─► END ─BodyEnd─► DONE ─expect()─► HEAD
      └───────── no body ───────────────┘
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Union

from bridge.errors import PeerError
from bridge.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from bridge.wire.fields import (
    FIELD_LINES,
    TOKEN,
    VALUE,
    HeadWalker,
    Limits,
    check_chunked,
    encode_fields,
    parse_fields,
    parse_length,
    wants_keep_alive,
)

__all__ = [
    "LAST_CHUNK",
    "BodyData",
    "BodyEnd",
    "Limits",
    "ResponseEvent",
    "ResponseHead",
    "ResponseParser",
    "encode_chunk",
    "encode_request",
    "encode_response_head",
]

# RFC 9112 section 4 requires the space after the status. Some servers without a reason phrase
# leave it out.
_STATUS_LINE = rf"HTTP/1\.([0-9]) ([1-9][0-9][0-9])(?: [{VALUE}]*)?"
_STATUS_LINE_ONLY = re.compile(_STATUS_LINE)
_HEAD = re.compile(rf"{_STATUS_LINE}\r\n({FIELD_LINES})")
_TARGET = re.compile("[!-~]+")
_HOST = re.compile(r"[!-~]*")
# 1xx heads before the final one. RFC 9110 section 15.2 has no bound, so one is set here.
_INTERIM_MAX = 8
_FRAMING = frozenset({"host", "content-length", "transfer-encoding"})


@dataclass(frozen=True)
class ResponseHead:
    status: int
    fields: dict[str, str]  # names lowercased, repeated ones joined with ", "
    keep_alive: bool  # whether the connection may carry another request after the body


@dataclass(frozen=True)
class BodyData:
    data: bytes


@dataclass(frozen=True)
class BodyEnd:
    pass


ResponseEvent = Union[ResponseHead, BodyData, BodyEnd]


class _Part(enum.Enum):
    HEAD = "head"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    END = "end"
    DONE = "done"


class ResponseParser:
    """Feed it bytes, and take events until it returns None.

    Call `expect(method)` for the next response on the same connection.
    """

    def __init__(self, limits: Limits, method: str = "GET") -> None:
        self._limits = limits
        self._walker = HeadWalker(limits.head_max, _check_status_line)
        self._held = b""
        self._at_eof = False
        self._error: str | None = None
        self._begin(method)

    def _begin(self, method: str) -> None:
        self._method = method
        self._part = _Part.HEAD
        self._interim = 0  # 1xx heads so far
        self._left = 0  # missing bytes of a Content-Length body
        self._chunks: ChunkedDecoder | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes of the connection. Never raises: `next_event` does."""
        if self._error is not None:
            return
        if self.held_bytes > self._limits.head_max + self._limits.body_max:
            self._fail("the server sent more than was asked for")
        else:
            self._held += data

    def feed_eof(self) -> None:
        """Note that the peer closed. `next_event` then tells an end from a truncation."""
        self._at_eof = True

    def expect(self, method: str) -> None:
        """Begin the next response, the answer to a request with `method`.

        Raises ValueError if the response before is not complete.
        """
        is_fresh = self._part is _Part.HEAD and not self._held and not self._interim
        if self._part is not _Part.DONE and not is_fresh and self._error is None:
            raise ValueError("the response before is not finished")
        self._begin(method)

    @property
    def held_bytes(self) -> int:
        """Bytes that wait here. More than 0 after BodyEnd: the server sent too much."""
        return len(self._held) + (self._chunks.held_bytes if self._chunks is not None else 0)

    def next_event(self) -> ResponseEvent | None:
        """Remove and return the next event; None if more bytes are needed.

        Raises PeerError 502, and then always.
        """
        if self._error is not None:
            raise PeerError(502, self._error)
        try:
            event = self._advance()
        except PeerError as error:
            self._fail(error.detail)
            raise PeerError(502, error.detail) from None
        if event is None and self._at_eof and self._part is not _Part.DONE:
            began = self._part is not _Part.HEAD or self._held or self._interim
            self._fail(
                "the connection closed in the middle of a response"
                if began
                else "the connection closed before a response"
            )
            raise PeerError(502, str(self._error))
        return event

    def _advance(self) -> ResponseEvent | None:
        if self._part is _Part.HEAD:
            return self._take_head()
        if self._part is _Part.END:
            self._part = _Part.DONE
            return BodyEnd()
        if self._part is _Part.LENGTH:
            return self._take_length()
        if self._part is _Part.CHUNKED:
            return self._take_chunks()
        return self._take_until_close() if self._part is _Part.CLOSE else None

    def _take_head(self) -> ResponseHead | None:
        while self._held:
            end = self._walker.walk(self._held, 0)
            if end < 0:
                return None
            match = _HEAD.fullmatch(self._held[:end].decode("latin-1"))
            if match is None:
                raise PeerError(502, "a malformed response head")
            self._walker.restart()
            self._held = self._held[end + 2 :]
            if match[2][0] != "1":
                return self._open_response(match)
            self._interim += 1
            if match[2] == "101" or self._interim > _INTERIM_MAX:
                raise PeerError(502, "an interim response that was not asked for")
        return None

    def _open_response(self, match: re.Match[str]) -> ResponseHead:
        """Decide how the body ends (RFC 9112 section 6.3)."""
        version, status, fields = (1, int(match[1])), int(match[2]), parse_fields(match[3])
        keep_alive = wants_keep_alive(fields, version)
        length = parse_length(fields["content-length"]) if "content-length" in fields else 0
        if "transfer-encoding" in fields:
            check_chunked(fields, version)
        if self._method == "HEAD" or status in (204, 304):
            self._part = _Part.END
        elif "transfer-encoding" in fields:
            self._part = _Part.CHUNKED
            self._chunks = ChunkedDecoder(self._limits.head_max)
        elif "content-length" in fields:
            self._part = _Part.LENGTH if length else _Part.END
            self._left = length
        else:
            self._part = _Part.CLOSE
            keep_alive = False
        return ResponseHead(status, fields, keep_alive)

    def _take_length(self) -> BodyData | None:
        data, self._held = self._held[: self._left], self._held[self._left :]
        self._left -= len(data)
        if not self._left:
            self._part = _Part.END
        return BodyData(data) if data else None

    def _take_chunks(self) -> BodyData | BodyEnd | None:
        assert self._chunks is not None
        data, self._held = self._chunks.feed(self._held), b""
        if self._chunks.is_done:
            self._held = self._chunks.take_rest()
            self._part = _Part.END if data else _Part.DONE
            return BodyData(data) if data else BodyEnd()
        return BodyData(data) if data else None

    def _take_until_close(self) -> BodyData | BodyEnd | None:
        data, self._held = self._held, b""
        if data:
            return BodyData(data)
        if self._at_eof:
            self._part = _Part.DONE
            return BodyEnd()
        return None

    def _fail(self, detail: str) -> None:
        self._error, self._held, self._chunks = detail, b"", None


def _check_status_line(line: str) -> None:
    if not _STATUS_LINE_ONLY.fullmatch(line):
        raise PeerError(502, "what answered does not speak HTTP/1.1")


def encode_request(
    method: str, target: str, host: str, fields: Mapping[str, str], body: bytes | None
) -> bytes:
    """Encode a whole request. A body, also an empty one, gets its Content-Length.

    Raises ValueError.
    """
    if not TOKEN.fullmatch(method) or not _TARGET.fullmatch(target) or not _HOST.fullmatch(host):
        raise ValueError(
            f"a request line that cannot be written: {method!r:.40} {target!r:.200} {host!r:.200}"
        )
    if not _FRAMING.isdisjoint(map(str.lower, fields)):
        raise ValueError(
            "Host, Content-Length and Transfer-Encoding are written here, not by the caller"
        )
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{encode_fields(fields)}{length}\r\n"
    return head.encode("latin-1") + (body or b"")


def encode_response_head(status: int, fields: Mapping[str, str]) -> bytes:
    """Encode a status line and fields, with the empty line. Raises ValueError."""
    line = _STATUS_LINES.get(status)
    if line is None:
        raise ValueError(f"{status} is no status that RFC 9110 or its registry names")
    return f"{line}{encode_fields(fields)}\r\n".encode("latin-1")


_STATUS_LINES = {
    int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\n" for status in HTTPStatus
}

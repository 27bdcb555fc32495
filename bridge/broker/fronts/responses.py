"""Reply -> bytes, in one piece for one write. Hot: once per answer."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from bridge.broker.answers import JSON, PROBLEM, Download, Response
from bridge.wire.response import encode_response_head
from bridge.wire.sse import HEARTBEAT_FIELD

SSE_FIELDS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx then passes events on at once
    "Connection": "close",
}
# For JSON and for downloads: no page of another site may use them as a script, a style or an
# image (Fetch standard).
GUARDED = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@lru_cache(maxsize=64)
def _start(status: int, content_type: str, cache: str) -> bytes:
    """The status line and the fields that depend only on the arguments, without the empty line."""
    fields = (
        {"Cache-Control": cache}
        if status in NO_BODY
        else {"Content-Type": content_type, "Cache-Control": cache}
    )
    if fields.get("Content-Type") in (JSON, PROBLEM):
        fields.update(GUARDED)
    return encode_response_head(status, fields)[:-2]


@lru_cache(maxsize=2)
def date_field(second: int) -> bytes:
    """The Date field (RFC 9110 section 6.6.1)."""
    return b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()


def encode_reply(
    reply: Response,
    second: int,
    connection: bytes,
    is_head: bool,
    headers: Iterable[tuple[str, str]] = (),
) -> bytes:
    """The whole response.

    `connection` is a whole Connection field line, or empty. `headers` are added to the reply's own.
    """
    extra = (
        b"".join(_field(name, value) for name, value in (*reply.headers, *headers))
        if reply.headers or headers
        else b""
    )
    start = (
        _start(reply.status, reply.content_type, reply.cache)
        + date_field(second)
        + connection
        + extra
    )
    if reply.status in NO_BODY:
        return start + b"\r\n"
    body = b"" if is_head else reply.body
    return b"%bContent-Length: %d\r\n\r\n%b" % (start, len(reply.body), body)


def _field(name: str, value: str) -> bytes:
    # encode_response_head refuses CR, LF and NUL, so an echoed Origin cannot add a field.
    return encode_response_head(200, {name: value}).split(b"\r\n", 1)[1][:-2]


def encode_download_head(
    download: Download, second: int, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    fields = {
        "Content-Type": download.content_type,
        "Content-Length": str(download.size),
        "Cache-Control": "no-store",
        "Connection": "close",
        **GUARDED,
        **dict(headers),
    }
    return encode_response_head(200, fields)[:-2] + date_field(second) + b"\r\n"


def encode_stream_head(
    is_chunked: bool, heartbeat_ms: int, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """The head of an event stream.

    An HTTP/1.0 client (nginx by default) gets a stream that ends with the connection, and no
    chunks.
    """
    fields = {**SSE_FIELDS, HEARTBEAT_FIELD: str(heartbeat_ms), **dict(headers)}
    if is_chunked:
        fields["Transfer-Encoding"] = "chunked"
    return encode_response_head(200, fields)

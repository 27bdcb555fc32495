"""One request head, from its bytes to a value (RFC 9112 sections 3 to 6).

Rule 1: one regular expression, `_HEAD`, defines a well-formed head.
Rule 2: the value of a head depends only on its bytes, so small heads are remembered.
A client mostly repeats the same head, but for an id or two. Reading a head costs more
than all other work of the wire.

    bytes ─► read_head ─► RequestHead | None (malformed) | PeerError (well formed, but refused)
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from bridge.errors import PeerError
from bridge.wire.fields import (
    FIELD_LINES,
    TCHAR,
    TOKEN,
    check_chunked,
    parse_fields,
    parse_length,
    wants_keep_alive,
)
from bridge.wire.target import ORIGIN, check_host, check_percent, parse_target

REMEMBERED_HEADS = 1024  # of at most REMEMBERED_BYTES each: some 4 MiB in the worst case
REMEMBERED_BYTES = 1024

_HEAD = re.compile(rf"([{TCHAR}]+) (?:{ORIGIN}|([!-~]+)) HTTP/1\.([0-9])\r\n({FIELD_LINES})")
_VERSION = re.compile(r"HTTP/([0-9])\.[0-9]")
_TARGET = re.compile("[!-~]+")
_VERSIONS = {str(minor): (1, minor) for minor in range(10)}


class RequestHead(NamedTuple):
    """A well-formed head. It may be remembered, so it and its fields must not be changed."""

    method: str
    path: str  # raw, begins with "/"; "*" for OPTIONS *
    query: str  # raw, without "?"
    version: tuple[int, int]
    fields: dict[str, str]  # names lowercased, repeated ones joined with ", "
    authority: str  # Host, or that of an absolute target; "" if HTTP/1.0 named none
    keep_alive: bool
    length: int  # bytes of the body, unless it is chunked
    is_chunked: bool


# Hot: once per request.
def read_head(head: bytes) -> RequestHead | None:
    """Read a head without its empty line; None if it is malformed.

    Raises PeerError for a well-formed head that is refused.
    """
    return _remembered(head) if len(head) <= REMEMBERED_BYTES else _read(head)


def _read(head: bytes) -> RequestHead | None:
    match = _HEAD.fullmatch(head.decode("latin-1"))
    if match is None:
        return None
    method, path, query, other, minor, block = match.groups("")
    fields = parse_fields(block)
    version = _VERSIONS[minor]
    authority = fields.get("host", "")
    if "host" in fields:
        check_host(authority)
    elif version > (1, 0):
        raise PeerError(400, "an HTTP/1.1 request needs a Host field (RFC 9112 section 3.2)")
    if other or method == "CONNECT":
        path, query, named = parse_target(method, other)
        authority = named or authority
    elif "%" in path or "%" in query:
        check_percent(path)
        check_percent(query)
    keep_alive = wants_keep_alive(fields, version)
    if "transfer-encoding" in fields:
        check_chunked(fields, version)
        return RequestHead(method, path, query, version, fields, authority, keep_alive, 0, True)
    length = parse_length(fields["content-length"]) if "content-length" in fields else 0
    return RequestHead(method, path, query, version, fields, authority, keep_alive, length, False)


_remembered = lru_cache(maxsize=REMEMBERED_HEADS)(_read)


def check_request_line(line: str) -> None:
    """Raises PeerError, which says what is wrong with the request line (RFC 9112 section 3)."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise PeerError(
            400, "a request line must be: method, one space, target, one space, version"
        )
    method, target, version = parts
    if not TOKEN.fullmatch(method):
        raise PeerError(400, "the method is no token")
    match = _VERSION.fullmatch(version)
    if match is None:
        raise PeerError(400, "the version must be HTTP/1.1 or HTTP/1.0")
    if match[1] != "1":
        raise PeerError(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    if not _TARGET.fullmatch(target):
        raise PeerError(400, "the request target holds what RFC 3986 does not allow")

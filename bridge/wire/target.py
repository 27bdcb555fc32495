"""The resource of a request: request-target, Host, percent-encoding.

Rule 1: bytes without a meaning in RFC 3986 are refused. If they were passed on,
the next reader (a proxy, a log, a router) could give them a meaning.
Rule 2: percent-encoding is decoded once, after the path was split. So %2F never
becomes a separator, and %252F becomes "%2F".

    origin-form     /agents/lucy?limit=3     what clients send
    absolute-form   http://host/agents       what clients send to a proxy; its authority wins
    authority-form  host:port                CONNECT only; there are no tunnels here: 501
    asterisk-form   *                        OPTIONS only
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from bridge.errors import PeerError

PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@%"  # RFC 3986 section 3.3
ORIGIN = rf"(/[{PCHAR}/]*)(?:\?([{PCHAR}/?]*))?"

_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(
    rf"https?://([^/?]*)(/[{PCHAR}/]*)?(?:\?([{PCHAR}/?]*))?", re.IGNORECASE | re.ASCII
)
# uri-host [":" port], RFC 9110 section 7.2. A reg-name may be empty there, but not in an http URI
# (section 4.2.1).
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]"
    r"|\[[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+\]"
    r"|[A-Za-z0-9\-._~!$&'()*+,;=%]+)(?::[0-9]*)?"
)


class Target(NamedTuple):
    """The parts of a request-target. Path and query are still percent-encoded."""

    path: str
    query: str
    authority: str  # "" unless the target was absolute


def parse_target(method: str, target: str) -> Target:
    """Read a target that is not in origin-form. Raises PeerError 400, or 501 for CONNECT."""
    if method == "CONNECT":
        raise PeerError(501, "no tunnels here")
    if target == "*":
        if method != "OPTIONS":
            raise PeerError(400, "the target * is for OPTIONS only (RFC 9112 section 3.2.4)")
        return Target("*", "", "")
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise PeerError(400, "the request target has none of the forms of RFC 9112 section 3.2")
    authority, path, query = match.groups("")
    check_host(authority)
    check_percent(path + query)
    if not path:
        path = "*" if method == "OPTIONS" and match[3] is None else "/"
    return Target(path, query, authority)


def check_host(host: str) -> None:
    """Refuse a text that is no host with an optional port. Raises PeerError 400."""
    if not _HOST.fullmatch(host):
        raise PeerError(400, "Host must be one host name or address, with an optional port")
    check_percent(host)


def check_percent(text: str) -> None:
    """Refuse a % without two hexadecimal digits behind it (RFC 3986 section 2.1)."""
    if "%" in text and _BAD_PERCENT.search(text):
        raise PeerError(400, "a % must be followed by two hexadecimal digits")


def decode_segments(path: str) -> list[str]:
    """Split a raw path at "/" and decode each segment once: /a%2Fb/c gives ["a/b", "c"].

    Raises PeerError 400 for bad percent-encoding, invalid UTF-8 and NUL.
    """
    segments = path[1:].split("/") if path[:1] == "/" else [path]
    if "%" in path:
        return [_decode(segment) for segment in segments]
    return segments


def decode_query(query: str) -> dict[str, str]:
    """Read `a=1&b=2`; "+" is a space.

    Raises PeerError 400. A repeated key is refused, because readers differ on which value counts.
    """
    values: dict[str, str] = {}
    for pair in query.replace("+", " ").split("&") if query else ():
        if not pair:
            continue
        name, _, value = (_decode(part) for part in pair.partition("="))
        if name in values:
            raise PeerError(400, f"the query has {name[:64]!r} twice")
        values[name] = value
    return values


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    check_percent(text)
    try:
        decoded = unquote_to_bytes(text.encode("ascii")).decode("utf-8")
    except UnicodeError:
        raise PeerError(400, "percent-encoded text must be UTF-8") from None
    if "\0" in decoded:
        raise PeerError(400, "NUL has no place in a request target")
    return decoded

"""Lines and header fields, the common part of request heads and response heads.

Rule 1: a line ends with CRLF and with nothing else. A bare CR, a bare LF, a NUL or
another control character is refused at once. If two parsers disagree about the end
of a line, they disagree about where the next request begins. That is request
smuggling (RFC 9112 section 11.2).
Rule 2: the first wrong byte of the stream decides. So a head in single bytes is
refused with the same text as one that arrives whole.
Rule 3: this module is the same for both sides. Its statuses are those of a server's
answers. `response.py` turns each of them into a 502.

    bytes ─► find_line_end ─► HeadWalker ─► (complete head) ─► parse_fields ─► dict
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.errors import PeerError

TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"  # RFC 9110 section 5.6.2
VALUE = r"\t -~\x80-\xff"  # RFC 9110 section 5.5: field-vchar, SP, HTAB
FIELD_LINES = rf"(?:[{TCHAR}]+:[{VALUE}]*\r\n)*"
TOKEN = re.compile(rf"[{TCHAR}]+")

_NAME_END = re.compile(rf"[{TCHAR}]+:")
_LENGTH = re.compile("[0-9]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ENCODED_FIELDS = re.compile(rf"(?:[{TCHAR}]+: [{VALUE}]*\r\n)*")
# No body needs more digits. int() of 10,000 digits is slow, or refused.
_LENGTH_DIGITS = 18
CR, LF = 13, 10


@dataclass(frozen=True)
class Limits:
    """Bounds of one message. A message beyond them is refused (414, 431, 413)."""

    # Bytes of start line and fields together. The same bound holds for chunk
    # extensions, and for trailers.
    head_max: int = 16384
    body_max: int = 1 << 20  # bytes of a request's body


def find_line_end(held: bytes | bytearray, scan: int, stop: int) -> int:
    """Find the CRLF that ends the line at `scan`. Return its place, or -1 if none is before `stop`.

    Raises PeerError 400 at a control character that ends no line (RFC 9112 section 2.2).
    """
    found = _CONTROL.search(held, scan, stop)
    if found is None:
        return -1
    place = found.start()
    if held[place] == CR:
        if place + 1 >= stop:
            return -1  # its LF may be the next byte
        if held[place + 1] == LF:
            return place
    raise PeerError(
        400,
        {CR: "a CR without its LF", LF: "a LF without its CR"}.get(
            held[place], "a control character where none may be"
        ),
    )


class HeadWalker:
    """Walks the lines of one head while they arrive, and refuses the first wrong one.

    It looks at each byte once, however small the slices are. `begin` is the place where
    the head begins. The walker's own places are relative to it, so the owner may drop
    the bytes before it.
    """

    __slots__ = ("has_begun", "_check_start", "_head_max", "_line", "_scan")

    def __init__(self, head_max: int, check_start: Callable[[str], None]) -> None:
        self._head_max = head_max
        self._check_start = check_start
        self._line = 0  # the beginning of the first incomplete line
        self._scan = 0  # the search for its end continues here
        self.has_begun = False

    def restart(self) -> None:
        self._line = self._scan = 0
        self.has_begun = False

    def walk(self, held: bytes | bytearray, begin: int) -> int:
        """Return the place of the head's empty line, or -1 if it is missing. Raises PeerError."""
        stop = min(len(held), begin + self._head_max)
        while True:
            line = begin + self._line
            end = find_line_end(held, begin + self._scan, stop)
            if end < 0:
                self._scan = max(self._line, stop - begin - 1)
                self.has_begun = self._scan > 0
                self._check_room(stop - begin)
                return -1
            if end == line and self._line:
                return end
            self._check_line(bytes(held[line:end]).decode("latin-1"))
            self._line = self._scan = end + 2 - begin
            self.has_begun = True

    def _check_room(self, walked: int) -> None:
        if walked < self._head_max:
            return
        if self._line:
            raise PeerError(431, f"the head is longer than {self._head_max} bytes")
        raise PeerError(414, f"the first line is longer than {self._head_max} bytes")

    def _check_line(self, line: str) -> None:
        if self._line:
            check_field_line(line)
        else:
            self._check_start(line)


def check_field_line(line: str) -> None:
    """Refuse a line that is no `name: value`. Control characters are refused before.

    Raises PeerError 400.
    """
    if line[:1] in (" ", "\t"):
        raise PeerError(400, "a folded field line (RFC 9112 section 5.2)")
    if not _NAME_END.match(line):
        raise PeerError(
            400, "a field line whose name is no token followed by a colon (RFC 9112 section 5.1)"
        )


def parse_fields(block: str) -> dict[str, str]:
    """Read field lines that are known to be well formed. Hot.

    A repeated field becomes one list (RFC 9110 section 5.3). Host and Content-Length are no
    lists, so their readers refuse the joined value.
    """
    fields: dict[str, str] = {}
    for line in block[:-2].split("\r\n") if block else ():
        name, _, value = line.partition(":")
        name = name.lower()
        value = value.strip(" \t")  # not strip(), which would remove obs-text such as U+0085
        if name in fields:
            value = fields[name] + ", " + value
        fields[name] = value
    return fields


def parse_length(value: str) -> int:
    """Read a Content-Length: only digits (RFC 9110 section 8.6). Raises PeerError."""
    if not _LENGTH.fullmatch(value):
        raise PeerError(400, "Content-Length must be one number in decimal digits")
    if len(value) > _LENGTH_DIGITS and len(value.lstrip("0")) > _LENGTH_DIGITS:
        raise PeerError(413, "Content-Length is absurd")
    return int(value[-_LENGTH_DIGITS:])


def check_chunked(fields: Mapping[str, str], version: tuple[int, int]) -> None:
    """Refuse every Transfer-Encoding but the one word `chunked` (RFC 9112 section 6.1)."""
    if version < (1, 1):
        raise PeerError(400, "HTTP/1.0 has no Transfer-Encoding")
    if "content-length" in fields:
        raise PeerError(400, "Transfer-Encoding together with Content-Length")
    codings = split_list(fields["transfer-encoding"])
    if codings == ["chunked"]:
        return
    if "chunked" in codings[:-1]:
        raise PeerError(400, "chunked must be the last transfer coding, and be applied once")
    if not all(map(TOKEN.fullmatch, codings)):
        raise PeerError(400, "Transfer-Encoding is malformed")
    raise PeerError(501, "the only transfer coding known here is chunked")


def split_list(value: str) -> list[str]:
    """The lowercased members of a comma separated list (RFC 9110 section 5.6.1)."""
    return [member.strip(" \t") for member in value.lower().split(",")]


def wants_keep_alive(fields: Mapping[str, str], version: tuple[int, int]) -> bool:
    """Return whether the connection stays open after this message (RFC 9112 section 9.3)."""
    options = split_list(fields["connection"]) if "connection" in fields else ()
    if "close" in options:
        return False
    return version >= (1, 1) or "keep-alive" in options


def encode_fields(fields: Mapping[str, str]) -> str:
    """Encode field lines. Raises ValueError for text that breaks out of its line (CWE-93)."""
    text = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    # Both checks are needed. The pattern alone would accept a value that holds
    # "\r\nSet-Cookie: x". The count alone would accept a bare CR or a NUL.
    if text.count("\n") != len(fields) or not _ENCODED_FIELDS.fullmatch(text):
        raise ValueError(f"a field name or value that cannot be written: {dict(fields)!r:.200}")
    return text

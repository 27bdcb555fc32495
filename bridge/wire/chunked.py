"""The chunked transfer coding (RFC 9112 section 7.1), both directions.

    SIZE ──size > 0──► DATA ──all of it──► DATA_END ──CRLF──► SIZE
      └────size 0────► TRAILER ──empty line──► DONE
    any of them ──a wrong byte──► fault: the same error, again and again

Rule 1: data is returned as it arrives. At most one unfinished line is held.
Rule 2: extensions have one budget for the whole body, and trailers another one.
Otherwise a peer could send for ever without a byte of data.
Rule 3: trailers are checked and dropped. If they were merged into the fields, they could
add a Host or an Authorization without any check (section 7.1.2).
Rule 4: one `feed` makes at most `moves_max` moves, three for each chunk. One read can hold
11,000 chunks of one byte. The rest waits here, and `is_behind` is then True.
"""

from __future__ import annotations

import enum
import re
from itertools import count

from bridge.errors import PeerError
from bridge.wire.fields import TCHAR, VALUE, check_field_line, find_line_end

LAST_CHUNK = b"0\r\n\r\n"

_SIZE_DIGITS = 16  # 64 bits; a larger number could only overflow another parser
_QUOTED = rf'"[\t !\x23-\x5b\x5d-\x7e\x80-\xff]*(?:\\[{VALUE}][\t !\x23-\x5b\x5d-\x7e\x80-\xff]*)*"'
_PLAIN = re.compile(rb"([0-9A-Fa-f]{1,%d})\r\n" % _SIZE_DIGITS)
_LINE = re.compile(
    rf"([0-9A-Fa-f]{{1,{_SIZE_DIGITS}}})"
    rf"((?:[ \t]*;[ \t]*[{TCHAR}]+(?:[ \t]*=[ \t]*(?:[{TCHAR}]+|{_QUOTED}))?)*)"
)


class Part(enum.Enum):
    SIZE = "size"
    DATA = "data"
    DATA_END = "data end"
    TRAILER = "trailer"
    DONE = "done"


class ChunkedDecoder:
    """Takes a chunked body in any slices and returns its data."""

    __slots__ = (
        "_error", "_extension_room", "_held", "_left", "_moves_max", "_part", "_pos", "_room",
        "_scan", "_trailer_room", "is_behind",
    )  # fmt: skip

    def __init__(
        self, overhead_max: int, body_max: int | None = None, moves_max: int | None = None
    ) -> None:
        self._moves_max = moves_max  # None = any number
        self.is_behind = False  # held bytes can be decoded without more bytes
        self._extension_room = overhead_max  # bytes of chunk extensions that are still allowed
        self._trailer_room = overhead_max  # bytes of trailer lines that are still allowed
        self._room = body_max  # bytes of data that are still allowed; None = any number
        self._part = Part.SIZE
        self._left = 0  # missing bytes of the current chunk
        self._held = b""
        self._pos = 0  # the bytes before are decoded
        self._scan = 0  # no line ends before here
        self._error: PeerError | None = None

    @property
    def is_done(self) -> bool:
        return self._part is Part.DONE

    @property
    def held_bytes(self) -> int:
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take bytes, and return the data in them.

        Raises PeerError 400, 413 or 431, and then always. Data before a fault is
        returned first, and the next call raises. So the result never depends on
        where the slices are cut.
        """
        pieces: list[bytes] = []
        if self._error is None:
            self._held += data
            self.is_behind = False
            moves = count(1)
            try:
                while self._step(pieces):
                    if next(moves) == self._moves_max:
                        self.is_behind = True
                        break
                self._held = self._held[self._pos :]
                self._scan = max(0, self._scan - self._pos)
                self._pos = 0
            except PeerError as error:
                self._error, self._held = PeerError(error.status, error.detail), b""
        if self._error is not None and not pieces:
            raise PeerError(self._error.status, self._error.detail)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def take_rest(self) -> bytes:
        """Remove and return the bytes after the end of the body."""
        rest, self._held = self._held, b""
        return rest

    def _step(self, pieces: list[bytes]) -> bool:
        """Make one move of the table above. Return False if that needs more bytes."""
        if self._part is Part.DATA:
            return self._take_data(pieces)
        if self._part is Part.DATA_END:
            return self._take_data_end()
        if self._part is Part.SIZE:
            return self._take_size()
        return self._part is Part.TRAILER and self._take_trailer()

    def _take_data(self, pieces: list[bytes]) -> bool:
        piece = self._held[self._pos : self._pos + self._left]
        if not piece:
            return False
        pieces.append(piece)
        self._pos += len(piece)
        self._left -= len(piece)
        if not self._left:
            self._part = Part.DATA_END
        return True

    def _take_data_end(self) -> bool:
        ending = self._held[self._pos : self._pos + 2]
        if not b"\r\n".startswith(ending):
            raise PeerError(400, "chunk data longer than its size")
        if len(ending) < 2:
            return False
        self._pos += 2
        self._scan = self._pos
        self._part = Part.SIZE
        return True

    def _take_size(self) -> bool:
        # Hot: a complete line with a size and nothing else. Other lines take the slow path.
        plain = _PLAIN.match(self._held, self._pos)
        if plain is not None:
            self._pos = self._scan = plain.end()
            self._open_chunk(int(plain[1], 16))
            return True
        line = self._take_line(_SIZE_DIGITS + self._extension_room, 400, "chunk extensions")
        if line is None:
            return False
        match = _LINE.fullmatch(line)
        if match is None:
            raise PeerError(
                400, "a chunk size must be 1 to 16 hexadecimal digits, an extension name[=value]"
            )
        self._extension_room -= len(match[2])
        if self._extension_room < 0:
            raise PeerError(400, "chunk extensions are too long")
        self._open_chunk(int(match[1], 16))
        return True

    def _open_chunk(self, size: int) -> None:
        if self._room is not None:
            self._room -= size
            if self._room < 0:
                raise PeerError(413, "the chunked body is too large")
        self._left = size
        self._part = Part.DATA if size else Part.TRAILER

    def _take_trailer(self) -> bool:
        line = self._take_line(self._trailer_room, 431, "trailers")
        if line is None:
            return False
        if line:
            check_field_line(line)
            self._trailer_room = max(0, self._trailer_room - len(line) - 2)
        else:
            self._part = Part.DONE
        return True

    def _take_line(self, room: int, status: int, what: str) -> str | None:
        """Remove and return a line of at most `room` bytes; None if it is not complete."""
        stop = min(len(self._held), self._pos + room + 2)
        end = find_line_end(self._held, self._scan, stop)
        if end < 0:
            if stop == self._pos + room + 2:
                raise PeerError(status, f"{what} are too long")
            self._scan = max(self._pos, stop - 1)
            return None
        line = self._held[self._pos : end].decode("latin-1")
        self._pos = self._scan = end + 2
        return line


def encode_chunk(data: bytes) -> bytes:
    """One chunk. Without data it is empty, because a chunk of size 0 ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

"""A parser for tmux's control mode, and the encoding of a command for it (tmux(1), CONTROL MODE).

    %begin 1795338158 279 1         time, number, flags
    one line of a command's output
    %end 1795338158 279 1           the same three; or %error, and the lines are its text
    %output %5 text\\015\\012         octal for bytes below space and for the backslash
    %session-renamed $0 lucy        every other line that begins with '%'

A command prints what a pane shows, so a line of its output may look like any of these. Inside a
block, only the same three words as in its %begin end it. A program that guesses them can only fake
the picture of its own pane.

A command is ONE line: text after a line feed would run as a tmux command, even inside quotes. So an
argument with any control character is not sent in control mode at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

from bridge.errors import ControlBroken

# Bytes of one line, and of one block: a screen of 1000 columns, 500 rows, 16 bytes a cell.
HELD_MAX = 8 << 20
_LINE_COST = 64  # bytes of a held line beside its text, so that empty lines are bounded, too
_GUARD = re.compile(rb"%begin (\d{1,20} \d{1,20} \d{1,20})")
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_NAME = re.compile(r"%([a-z][a-z0-9-]{0,63})(?: (.*))?", re.S)
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class Block:
    """The output of one command; with `is_error` the reason of its failure."""

    lines: tuple[str, ...]
    is_error: bool = False


@dataclass(frozen=True)
class Output:
    """The bytes that a program wrote to its pane."""

    pane_id: str
    data: bytes


@dataclass(frozen=True)
class Notification:
    """An event: ("session-renamed", "$0 lucy")."""

    name: str
    text: str = ""


ControlEvent = Union[Block, Output, Notification]


class ControlParser:
    """Takes bytes in any slices, and returns the values that they complete.

    Raises ControlBroken at bytes that are no control mode, and from then on at every call.
    """

    def __init__(self, held_max: int = HELD_MAX) -> None:
        self._held_max = held_max
        self._partial = bytearray()
        self._guard: bytes | None = None  # the three words of the open block
        self._lines: list[bytes] = []
        self._block_bytes = 0
        self._failure = ""

    @property
    def held_bytes(self) -> int:
        return len(self._partial) + self._block_bytes

    def feed(self, data: bytes) -> list[ControlEvent]:
        """Take bytes. Values that were complete before an error are returned first.

        The next call then raises.
        """
        events: list[ControlEvent] = []
        if not self._failure:
            self._take(data, events)
        if self._failure and not events:
            raise ControlBroken(self._failure)
        return events

    def _take(self, data: bytes, events: list[ControlEvent]) -> None:
        first, *rest = data.split(b"\n")
        self._partial += first
        for following in rest:
            line = bytes(self._partial)
            self._partial = bytearray(following)
            self._take_line(line, events)
            if self._failure:
                return
        if len(self._partial) > self._held_max:
            self._fail("a line is too long")

    def _take_line(self, line: bytes, events: list[ControlEvent]) -> None:
        if len(line) > self._held_max:
            self._fail("a line is too long")
        elif self._guard is not None:
            self._take_block_line(line, events)
        else:
            begin = _GUARD.fullmatch(line)
            if begin:
                self._guard = begin[1]
            else:
                self._take_notification(line, events)

    def _take_block_line(self, line: bytes, events: list[ControlEvent]) -> None:
        keyword, _, guard = line.partition(b" ")
        if keyword in (b"%end", b"%error") and guard == self._guard:
            events.append(Block(tuple(_text(each) for each in self._lines), keyword == b"%error"))
            self._guard, self._lines, self._block_bytes = None, [], 0
            return
        self._lines.append(line)
        self._block_bytes += len(line) + _LINE_COST
        if self._block_bytes > self._held_max:
            self._fail("a command printed too much")

    def _take_notification(self, line: bytes, events: list[ControlEvent]) -> None:
        match = _NAME.fullmatch(_text(line))
        if not match:
            self._fail(f"no line of control mode: {line[:60]!r}")
            return
        output = _output(match[1], line)
        events.append(output or Notification(match[1], match[2] or ""))

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self._partial.clear()
        self._lines, self._block_bytes = [], 0


def _output(name: str, line: bytes) -> Output | None:
    """`%output PANE TEXT`, or since 3.2 `%extended-output PANE AGE ... : TEXT`."""
    pane_id, _, text = line.partition(b" ")[2].partition(b" ")
    if name == "extended-output":
        text = text.partition(b": ")[2]
    elif name != "output":
        return None
    return Output(_text(pane_id), _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), text))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def control_line(argv: Sequence[str]) -> str | None:
    """`argv` as one line with the same meaning; None when that is impossible.

    The caller then needs a process. Only ";" separates commands, as on tmux's command line. There
    a word that ends in ";" separates them, too, and quotes would prevent that: such an `argv` gives
    None. All other words are in single quotes, where tmux has no escape except the closing quote.
    """
    if any(_UNSPEAKABLE.search(word) or (word.endswith(";") and word != ";") for word in argv):
        return None
    return " ".join(
        word if word == ";" else "'" + word.replace("'", "'\\''") + "'" for word in argv
    )

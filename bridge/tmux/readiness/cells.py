"""A screen as cells: how many columns a character takes, and which characters are faint.

    capture-pane -e ─► read_rows ─► Row(text, solid)
                                      solid: the same columns, with blanks for faint text
    a string        ─► clusters  ─► (cluster, columns)

A program draws a placeholder or a suggestion faint, and a person's text in the normal colours. So
faint text is no draft. Faint is one of these:

- SGR 2 (ECMA-48 8.3.117)
- "bright black" (SGR 90, colour 8)
- the greys of the 256 colours
- a grey in direct colour that is neither near black nor near white

A program may draw a cursor of its own: one cell in inverse video (SGR 7), or underlined (SGR 4). On
a placeholder this cell is on the first letter, which is then not faint. It counts as faint if faint
text follows directly.

Columns are counted for each grapheme cluster (UAX #29, as far as terminals follow it). A sequence
with ZERO WIDTH JOINER, a flag, and an emoji with a skin tone take two columns. tmux and the agents
count them in the same way.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# SGR; any other CSI; OSC up to its end (hyperlinks since tmux 3.4); SO and SI (the line-drawing
# character set).
_SEQUENCE = re.compile(
    r"\x1b\[([0-9;:]*)m|\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|([\x0e\x0f])"
)
# VT100's line-drawing characters, as capture-pane -e prints them between SO and SI.
_LINES = str.maketrans("jklmnqtuvwxa~", "┘┐┌└┼─├┤┴┬│▒·")
_GREY_LOW, _GREY_HIGH = 60, 190  # of 255: darker may be text on white, lighter is text on black
_GREY_SPREAD = 44  # between the channels of what still looks grey: Qwen Code uses colour 103


@dataclass(frozen=True)
class CellRow:
    """One row of the screen."""

    text: str
    solid: str
    # Columns of single cells in inverse video, or underlined: cursors that the program draws.
    carets: tuple[int, ...] = ()


class _Pen:
    """The attributes of the next character; they continue from one row to the next."""

    def __init__(self) -> None:
        self.dim = self.grey = self.inverse = self.underlined = self.lines = False

    def select(self, parameters: str) -> None:
        codes = [int(code or 0) for code in re.split("[;:]", parameters)]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self.dim = self.grey = self.inverse = self.underlined = False
            elif code == 2:
                self.dim = True
            elif code == 22:
                self.dim = False
            elif code in (4, 24):
                self.underlined = code == 4
            elif code in (7, 27):
                self.inverse = code == 7
            elif code in (38, 48, 58):
                is_grey = _take_colour(codes)
                self.grey = is_grey if code == 38 else self.grey
            elif 30 <= code <= 39 or 90 <= code <= 97:
                self.grey = code == 90

    @property
    def marked(self) -> bool:
        """Is it drawn like a cursor?"""
        return self.inverse or self.underlined

    @property
    def faint(self) -> bool:
        return (self.dim or self.grey) and not self.inverse


def _take_colour(codes: list[int]) -> bool:
    """Take the rest of an extended colour (ISO 8613-6) from `codes`. Is it a grey?"""
    kind = codes.pop(0) if codes else 0
    if kind == 5:
        index = codes.pop(0) if codes else 0
        return index == 8 or (index >= 16 and _is_grey(_indexed(index)))
    if kind == 2:
        channels = (*codes[:3], 0, 0, 0)[:3]
        del codes[:3]
        return _is_grey(channels)
    return False


def _indexed(index: int) -> tuple[int, ...]:
    """Red, green and blue of a colour from 16 on, as in xterm: a 6 x 6 x 6 cube, then 24 greys."""
    if index >= 232:
        return (8 + 10 * (index - 232),) * 3
    steps = (index - 16) // 36, (index - 16) // 6 % 6, (index - 16) % 6
    return tuple(55 + 40 * step if step else 0 for step in steps)


def _is_grey(channels: tuple[int, ...]) -> bool:
    is_middle = min(channels) >= _GREY_LOW and max(channels) <= _GREY_HIGH
    return is_middle and max(channels) - min(channels) <= _GREY_SPREAD


def wrapped_rows(rows: Sequence[str], joined: Sequence[str]) -> frozenset[int] | None:
    """The indices of the `rows` that continue in the next one because the terminal broke them.

    capture-pane -J joins these rows. None where the two outputs do not agree, as before tmux 3.2,
    where -J removes blanks.
    """
    wrapped: set[int] = set()
    index = 0
    for line in joined:
        start, rest = index, line
        while index < len(rows) and rest.startswith(rows[index]):
            rest = rest[len(rows[index]) :]
            index += 1
            if not rest:
                break
        if rest:
            return None
        wrapped.update(range(start, index - 1))
    return frozenset(wrapped) if index == len(rows) else None


def read_rows(lines: Iterable[str]) -> tuple[CellRow, ...]:
    """The rows of `capture-pane -e -p`, from the top."""
    pen = _Pen()
    return tuple(_read_row(line, pen) for line in lines)


def _read_row(line: str, pen: _Pen) -> CellRow:
    if "\x1b" not in line and "\x0e" not in line and "\x0f" not in line and not pen.lines:
        return CellRow(line, _blank(line) if pen.faint else line)
    runs: list[tuple[str, bool, bool]] = []  # text, is it faint, is it drawn as a cursor is
    position = 0
    for match in _SEQUENCE.finditer(line):
        _add_run(runs, line[position : match.start()], pen)
        position = match.end()
        if match[1] is not None:
            pen.select(match[1])
        elif match[2]:
            pen.lines = match[2] == "\x0e"
    _add_run(runs, line[position:], pen)
    solid, carets, column = [], [], 0
    for index, (text, is_faint, is_marked) in enumerate(runs):
        is_caret = is_marked and len(list(clusters(text))) == 1
        is_before_faint = index + 1 < len(runs) and runs[index + 1][1]
        carets += [column] if is_caret else []
        solid.append(_blank(text) if is_faint or (is_caret and is_before_faint) else text)
        column += text_width(text)
    return CellRow("".join(text for text, _, _ in runs), "".join(solid), tuple(carets))


def _add_run(runs: list[tuple[str, bool, bool]], text: str, pen: _Pen) -> None:
    if text:
        drawn = text.translate(_LINES) if pen.lines else text
        runs.append((drawn, pen.faint, pen.marked))


def _blank(text: str) -> str:
    return " " * text_width(text)


def text_width(text: str) -> int:
    """The number of columns that `text` takes."""
    return len(text) if text.isascii() else sum(width for _, width in clusters(text))


def split_at_column(row: str, column: int) -> tuple[str, str]:
    """Cut `row` at the cursor. A row that tmux has trimmed gets its blanks back."""
    used = start = 0
    for cluster, width in clusters(row):
        if used + width > column and width:
            return row[:start], row[start:]
        used, start = used + width, start + len(cluster)
    return row + " " * (column - used), ""


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """Grapheme clusters with their columns: 0, 1 or 2 each."""
    start, size = 0, len(text)
    while start < size:
        end = start + 1
        is_flag = _is_regional(text[start])
        if is_flag and end < size and _is_regional(text[end]):
            end += 1
        joined = False
        while end < size and (joined or _extends(text[end])):
            joined = text[end] == "\u200d"
            end += 1
        cluster = text[start:end]
        yield cluster, 2 if is_flag and end - start > 1 else char_width(cluster[0])
        start = end


def _is_regional(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _extends(char: str) -> bool:
    """Does the character belong to the one before it?"""
    if char < "\u0300":
        return False
    return "\U0001f3fb" <= char <= "\U0001f3ff" or char_width(char) == 0


@functools.lru_cache(maxsize=4096)
def char_width(char: str) -> int:
    """0, 1 or 2 columns (UAX #11, like tmux's wcwidth)."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1

"""Where is an agent's composer, and what is in it?

    caret ─► its rows: between two rules, within a border, under a prompt ─► their text ─► empty?

A composer is the area inside its edges, not the last row that begins with a prompt glyph: a
person's draft may hold any glyph. Each agent has one way to draw its composer (Edge). An unknown
agent gets the most careful one.

The caret is the terminal's cursor. A program that hides it draws one of its own (cells.py), and
most programs leave the hidden one in the same place.

A composer is empty if all of this is true:
  - The row begins with the prompt, and the caret is right behind it.
  - Only faint text is right of the caret, and in the other rows.
  - There is no other row, unless a long placeholder wraps into it.
  - If an empty composer of this agent always shows a placeholder, there is one.

So a blank, a line break, and a draft with the caret at its start are drafts, whatever they contain.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from re import Pattern

from bridge.tmux.readiness.cells import split_at_column, text_width
from bridge.tmux.readiness.snapshot import PaneState

# Box drawing and blocks, but not ▌, a prompt of Codex.
BORDER = re.compile("[\u2500-\u258b\u258d-\u259f|]")
_RULES = "─━═╌┄▀▄▁▔"
_CORNERS = "╭╮╰╯┌┐└┘┏┓┗┛╔╗╚╝"
_SIDES = "│┃║|"


class Edge(enum.Enum):
    """What separates the rows of a composer from the rest of the screen."""

    RULES = "rules"  # a rule above and one below; further rows are indented
    BORDER = "border"  # a line at the left of each row; the last two rows are the composer's own
    PROMPTS = "prompts"  # each row begins with the prompt
    INDENT = "indent"  # nothing around it; further rows are indented
    BOX = "box"  # a frame all around it
    LINE = "line"  # one line of a line editor or of the kernel; it continues below a full row
    ANY = "any"  # of an unknown agent: a box, rules, or blank rows


@dataclass(frozen=True)
class Style:
    """How one agent draws its composer."""

    opening: Pattern[str]  # its first row, up to the beginning of the text
    edge: Edge
    has_placeholder: bool = False  # an empty one always shows a placeholder
    foot: Pattern[str] = re.compile("")  # BORDER: the last row, when the composer is open
    # The terminal's cursor is in it. If that is hidden, something else gets the keys.
    has_cursor: bool = False


@dataclass(frozen=True)
class Composer:
    """The rows `top` to `bottom` of a screen, both included."""

    state: PaneState
    style: Style
    top: int
    bottom: int
    opening: str  # the prompt as it is drawn; "": the first row is above the screen

    @property
    def rows(self) -> list[str]:
        """The text in it, row by row, without prompts, indents and borders."""
        return [
            self._inner(index, self.state.rows[index]) for index in range(self.top, self.bottom + 1)
        ]

    @property
    def caret(self) -> tuple[int, int] | None:
        return _caret(self.state, self.top, self.bottom)

    @property
    def is_empty(self) -> bool:
        if not self.opening:
            return False
        column, row = self.caret or (0, -1)
        ink = [
            self._inner(index, self.state.ink[index]) for index in range(self.top, self.bottom + 1)
        ]
        if any(text.strip() for text in ink):
            return False
        # An unknown agent's box may have rows to spare.
        is_tall = self.style.edge is Edge.ANY and self._is_boxed
        if not is_tall and any(not text.strip() for text in self.rows[1:]):
            return False
        if self.style.has_placeholder and not self.rows[0].strip():
            return False
        if row < 0:
            # There is no caret in it: only an unknown agent hides the cursor elsewhere.
            return not self.state.cursor_shown
        left = split_at_column(self.state.rows[self.top], column)[0]
        return row == self.top and self.style.opening.fullmatch(left) is not None

    @property
    def _is_boxed(self) -> bool:
        return (
            self.style.edge in (Edge.ANY, Edge.BOX)
            and _in_a_box(self.state, self.style, self.top) is not None
        )

    def _inner(self, index: int, text: str) -> str:
        """`text` without the prompt and the sides.

        `text` is row `index`, or only the text in it that is not faint.
        """
        row = self.state.rows[index]
        match = self.style.opening.match(row)
        if match and (index == self.top or self.style.edge in (Edge.PROMPTS, Edge.BORDER)):
            left = text_width(match[0])
        else:
            left = text_width(row) - text_width(row.lstrip()) + 1 if self._is_boxed else 0
        line = row.rstrip()
        # Cut by column: a draft may hold any of these characters.
        if self._is_boxed and line[-1:] in tuple(_SIDES):
            text = split_at_column(text, text_width(line) - 1)[0]
        return split_at_column(text, left)[1]


def find_composer(state: PaneState, styles: tuple[Style, ...]) -> Composer | None:
    """The composer that holds the caret, drawn in one of these styles; None where none is open."""
    return next(
        (found for found in (_find(state, style) for style in styles) if found is not None), None
    )


def _find(state: PaneState, style: Style) -> Composer | None:
    finder = _FINDERS[style.edge]
    for row in _start_rows(state, style):
        found = finder(state, style, row) if 0 <= row < len(state.rows) else None
        if found is not None:
            top, bottom = found
            match = style.opening.match(state.rows[top])
            # The prompt is always in the first visible row, also when the text scrolls.
            if match or top == 0 or style.edge is Edge.ANY:
                return Composer(state, style, top, bottom, match[0] if match else "")
    return None


def _start_rows(state: PaneState, style: Style) -> list[int]:
    """Rows to begin at, the most probable first."""
    if state.cursor_shown or style.has_cursor:
        return [state.cursor_y, *_below_a_frame(state, style)] if state.cursor_shown else []
    drawn = [row for _, row in reversed(state.carets)]
    openings = [
        row for row in range(len(state.rows) - 1, -1, -1) if style.opening.match(state.rows[row])
    ]
    # The other styles leave the hidden cursor in the composer.
    is_unknown = style.edge in (Edge.ANY, Edge.BOX)
    return [*drawn, *openings[:1]] if is_unknown else [*drawn, state.cursor_y]


def _below_a_frame(state: PaneState, style: Style) -> list[int]:
    """After a resize the cursor may be below the frame until the program draws again."""
    if style.edge not in (Edge.ANY, Edge.BOX):
        return []
    row, passed = state.cursor_y, False
    while 0 < row < len(state.rows) and (not state.rows[row].strip() or _is_edge(state.rows[row])):
        passed = passed or _is_edge(state.rows[row])
        row -= 1
    return [row] if passed else []


def _caret(state: PaneState, top: int, bottom: int) -> tuple[int, int] | None:
    if state.cursor_shown:
        return state.cursor_x, state.cursor_y
    drawn = [(column, row) for column, row in state.carets if top <= row <= bottom]
    if len(drawn) == 1:
        return drawn[0]
    return (state.cursor_x, state.cursor_y) if top <= state.cursor_y <= bottom else None


def is_rule(row: str, width: int) -> bool:
    """A line across the pane, perhaps with a word in it. A draft is indented, so it draws none."""
    line = row.rstrip()
    edge = line.lstrip()[:1]
    if len(line) - len(line.lstrip()) > 1 or edge == "" or edge not in _RULES + _CORNERS:
        return False
    drawn = sum(char in _RULES + _CORNERS for char in line)
    return text_width(line) >= width - 2 and drawn * 2 >= len(line)


def _between_rules(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    rows, width = state.rows, state.width
    if is_rule(rows[row], width):
        return None
    top = row
    while top > 0 and not is_rule(rows[top - 1], width):
        top -= 1
    bottom = row
    while bottom + 1 < len(rows) and not is_rule(rows[bottom + 1], width):
        bottom += 1
    if bottom + 1 >= len(rows):
        return None  # without a rule below it, it is a dialog, or something else
    return (top, bottom) if top > 0 or not style.opening.match(rows[top]) else None


def _within_border(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    match = re.match(r" *┃", state.rows[row])
    if not match:
        return None
    side = match[0]
    top = bottom = row
    while top > 0 and state.rows[top - 1].startswith(side):
        top -= 1
    while bottom + 1 < len(state.rows) and state.rows[bottom + 1].startswith(side):
        bottom += 1
    end = state.rows[bottom + 1] if bottom + 1 < len(state.rows) else ""
    is_open = end.startswith(side[:-1] + "╹") and style.foot.match(state.rows[bottom][len(side) :])
    # A blank row is above the text; a blank one and the foot are below it.
    top, bottom = top + 1, bottom - 2
    return (top, bottom) if is_open and top <= row <= bottom else None


def _of_prompts(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    if not style.opening.match(state.rows[row]):
        return None
    top = bottom = row
    while top > 0 and style.opening.match(state.rows[top - 1]):
        top -= 1
    while bottom + 1 < len(state.rows) and style.opening.match(state.rows[bottom + 1]):
        bottom += 1
    return top, bottom


def _indented(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    rows, top = state.rows, row
    while top > 0 and not style.opening.match(rows[top]) and _is_indented(rows[top]):
        top -= 1
    if not style.opening.match(rows[top]):
        return (0, _last_indented(rows, row)) if top == 0 and _is_indented(rows[0]) else None
    return top, _last_indented(rows, row)


def _last_indented(rows: tuple[str, ...], row: int) -> int:
    while row + 1 < len(rows) and rows[row + 1].strip() and _is_indented(rows[row + 1]):
        row += 1
    return row


def _is_indented(row: str) -> bool:
    return not row.strip() or row.startswith("  ")


def _in_a_box(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    """Rows with a side at their left, and a frame above and below.

    For an unknown agent the frame must be at least half as wide as the pane.
    """
    rows = state.rows
    side = rows[row].lstrip()[:1]
    if side == "" or side not in _SIDES:
        return None
    top = bottom = row
    while top > 0 and rows[top - 1].lstrip().startswith(side):
        top -= 1
    while bottom + 1 < len(rows) and rows[bottom + 1].lstrip().startswith(side):
        bottom += 1
    if top == 0:
        return None
    # A resized window may cut off the lower frame.
    frames = rows[top - 1 : top] + rows[bottom + 1 : bottom + 2]
    narrow = state.width // 2 if style.edge is Edge.ANY else 0  # a draft may draw a small one
    is_framed = all(_is_edge(frame) and text_width(frame.rstrip()) >= narrow for frame in frames)
    return (top, bottom) if is_framed else None


def _anywhere(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    """A box; or the area between two rules that begins with the prompt; else up to a blank row."""
    boxed = _in_a_box(state, style, row)
    if boxed:
        return boxed
    rows = state.rows
    ruled = _between_rules(state, style, row)
    if ruled and style.opening.match(rows[ruled[0]]):
        return ruled

    def belongs(index: int) -> bool:
        return rows[index].strip() != "" and not _is_edge(rows[index])

    if not belongs(row):
        return None
    top = bottom = row
    while top > 0 and belongs(top - 1):
        top -= 1
    while bottom + 1 < len(rows) and belongs(bottom + 1):
        bottom += 1
    return top, bottom


def _one_line(state: PaneState, style: Style, row: int) -> tuple[int, int] | None:
    top = bottom = row
    while top > 0 and text_width(state.rows[top - 1]) >= state.width - 1:
        top -= 1
    while bottom + 1 < len(state.rows) and text_width(state.rows[bottom]) >= state.width - 1:
        bottom += 1
    return top, bottom


def _is_edge(row: str) -> bool:
    line = row.strip()
    return line[:1] in _RULES + _CORNERS and sum(
        char in _RULES + _CORNERS for char in line
    ) * 2 >= len(line)


_FINDERS = {
    Edge.RULES: _between_rules,
    Edge.BORDER: _within_border,
    Edge.PROMPTS: _of_prompts,
    Edge.INDENT: _indented,
    Edge.BOX: _in_a_box,
    Edge.LINE: _one_line,
    Edge.ANY: _anywhere,
}

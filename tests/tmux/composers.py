"""Draw the composer of each agent, for any draft, width and position of the caret.

    draw(LOOKS["claude"], "a draft", caret=2, width=60) ─► PaneState

Each look uses one of the edges that composer.py recognizes (Edge). A draft wraps before the first
cluster that does not fit, and its continuation rows are indented. The terminal's cursor is in the
draft; or the cursor is hidden, and one cell in inverse video marks the caret.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.tmux.readiness.cells import clusters, read_rows, text_width
from bridge.tmux.readiness.composer import Composer, find_composer
from bridge.tmux.readiness.profiles import GENERIC, PROFILES
from bridge.tmux.readiness.snapshot import PaneState

INVERSE, FAINT, PLAIN = "\x1b[7m", "\x1b[2m", "\x1b[0m"
ABOVE = ["❯ what was said before", "", "● its answer", "> quoted", "", ""]


@dataclass(frozen=True)
class Look:
    """How one agent draws its composer."""

    agent: str
    first: str  # before the first row of the text
    further: str  # before each continuation row
    right: str = ""  # after each row
    top: str = ""  # the row above: "─" draws a full-width rule
    bottom: str = ""
    above: tuple[str, ...] = ()  # rows between `top` and the text
    below: tuple[str, ...] = ()  # rows between the text and `bottom`
    foot: tuple[str, ...] = ("  ? for shortcuts",)
    shows_cursor: bool = True
    gap: str = ""  # blanks between the caret's own cell and the placeholder
    placeholder: str = ""  # always shown in an empty composer


_RULED = {"top": "─", "bottom": "─"}
_BOX = {"top": "╭─╮", "bottom": "╰─╯", "right": "│", "shows_cursor": False}
_BAR = {"above": ("  ┃",), "below": ("  ┃", "  ┃  Build · Model Name"), "bottom": "  ╹▀"}
_BLANKS = {"above": ("",), "below": ("",), "foot": ("  model default · ~/folder",)}
LOOKS = {
    "claude": Look("claude", "❯ ", "  ", **_RULED, shows_cursor=False),
    "claude with a real cursor": Look("claude", "❯ ", "  ", **_RULED),
    "claude in a box": Look("claude", "│ > ", "│   ", **_BOX),
    "copilot": Look("copilot", "❯ ", "  ", **_RULED),
    "qwen": Look(
        "qwen", "> ", "  ", **_RULED, shows_cursor=False, gap=" ", placeholder="Type your message"
    ),
    "codex": Look("codex", "› ", "  ", **_BLANKS, placeholder="Ask Codex to do anything"),
    "gemini": Look(
        "gemini",
        " > ",
        "   ",
        **_BLANKS,
        shows_cursor=False,
        gap=" ",
        placeholder="Type your message",
    ),
    "aider": Look("aider", "> ", "> ", top="─", foot=()),
    "opencode": Look("opencode", "  ┃  ", "  ┃  ", **_BAR),
    "cn": Look("cn", "│ ● ", "│   ", **_BOX, placeholder="▋Ask anything, @ for context"),
    "of an unknown agent, in a box": Look("", "│ > ", "│   ", **_BOX),
    "of an unknown agent, between rules": Look("", "> ", "  ", **_RULED),
    "of an unknown agent, between blank rows": Look("", "❯ ", "  ", **_BLANKS),
}


def draw(
    look: Look, text: str, caret: int, width: int, trims: bool = False, placeholder: str = ""
) -> PaneState:
    """Draw a whole screen with the composer near its bottom.

    `caret` is the number of clusters and line breaks before the caret. `trims` drops the blanks
    at the end of each row, as some captures do.
    """
    room = width - text_width(look.first) - text_width(look.right) - 1
    rows, place = _wrap(text, caret, room)
    shown = placeholder or look.placeholder
    if not text and shown:
        rows = [cell + FAINT + row + PLAIN for cell, row in _placeholder_rows(look, shown, room)]
    elif not look.shows_cursor:
        rows = [
            _with_caret(row, place[0]) if index == place[1] else row
            for index, row in enumerate(rows)
        ]
    body = [_row(look, index, row, room, trims) for index, row in enumerate(rows)]
    head = [*ABOVE, *([_line(look.top, width)] if look.top else []), *look.above]
    tail = [*look.below, *([_line(look.bottom, width)] if look.bottom else []), *look.foot]
    screen = read_rows([*head, *body, *tail, "", ""])
    hidden_away = look.agent in ("cn", "qwen")
    x, y = text_width(look.first) + place[0], len(head) + place[1]
    return PaneState(
        "", 1, "%0", 2,
        cursor_x=0 if hidden_away else x, cursor_y=len(screen) - 1 if hidden_away else y,
        cursor_shown=look.shows_cursor, width=width, height=len(screen),
        rows=tuple(row.text for row in screen), solid=tuple(row.solid for row in screen),
        carets=tuple((column, index) for index, row in enumerate(screen) for column in row.carets),
    )  # fmt: skip


def composer_of(look: Look, state: PaneState) -> Composer | None:
    profile = next((one for one in PROFILES if one.name == look.agent), GENERIC)
    return find_composer(state, profile.composers)


def _wrap(text: str, caret: int, room: int) -> tuple[list[str], tuple[int, int]]:
    """Return the wrapped rows, and the caret's place in them: (column, row)."""
    rows, used, place, count = [""], 0, (0, 0), 0
    for number, line in enumerate(text.split("\n")):
        if number:
            rows, used = [*rows, ""], 0
            place, count = ((0, len(rows) - 1) if count < caret else place), count + 1
        for cluster, columns in clusters(line):
            if used + columns > room:
                rows, used = [*rows, ""], 0
                place = (0, len(rows) - 1) if count == caret else place
            rows[-1], used = rows[-1] + cluster, used + columns
            place, count = ((used, len(rows) - 1) if count < caret else place), count + 1
    return rows, place


def _with_caret(row: str, column: int) -> str:
    used, left = 0, ""
    for cluster, columns in clusters(row):
        if used >= column and columns:
            return left + INVERSE + cluster + PLAIN + row[len(left) + len(cluster) :]
        used, left = used + columns, left + cluster
    return row + INVERSE + " " + PLAIN


def _placeholder_rows(look: Look, text: str, room: int) -> list[tuple[str, str]]:
    """Return rows of (the caret's cell, the faint text after it)."""
    is_drawn_over = not look.shows_cursor and not look.gap and look.agent != "cn"
    first = next(clusters(text))[0] if is_drawn_over else ""
    cell = INVERSE + (first or " ") + PLAIN if not look.shows_cursor and look.agent != "cn" else ""
    rows, _ = _wrap((look.gap + " " if look.gap else "") + text, 0, room)
    rows[0] = rows[0][len(first) :] if is_drawn_over else rows[0][len(look.gap) :]
    return [(cell if index == 0 else "", row) for index, row in enumerate(rows)]


def _row(look: Look, index: int, row: str, room: int, trims: bool) -> str:
    left = (look.further if index else look.first) + row
    if not look.right:
        return left.rstrip(" ") if trims else left
    drawn = text_width(read_rows([left])[0].text) - text_width(look.first)
    return left + " " * (room - drawn + 1) + look.right


def _line(ends: str, width: int) -> str:
    if ends == "─":
        return "─" * width
    if ends.startswith("  ╹"):
        return ends + "▀" * (width - 4)
    return ends[0] + "─" * (width - 2) + ends[-1]

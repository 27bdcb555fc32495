"""Which rows of a full-screen program matter: its input row, what touches it, what is near it.

Pure functions over the rows of a PaneState. Where the cursor is shown it stands in the input row; where it is
hidden, the last row that begins with a prompt glyph is taken for it.
"""

from __future__ import annotations

import re

from bridge.tmux import profiles
from bridge.tmux.state import PaneState


def unframed(text: str) -> str:
    """A row without the frame that a composer draws around its input."""
    return profiles.BORDER.sub("", text)


def empty_or_last_input(rows: tuple[str, ...]) -> tuple[str, ...]:
    """The last row that begins with a prompt glyph, and all below it; () when there is none."""
    for index in range(len(rows) - 1, -1, -1):
        if re.match(r"[>❯›»▌](?=\s|$)", unframed(rows[index]).strip()):
            return rows[index:]
    return ()


def is_framed(state: PaneState) -> bool:
    """Does a frame, or a rule, touch the input row?"""
    top = state.cursor_y if state.cursor_shown else len(state.rows) - len(empty_or_last_input(state.rows))
    return any(re.match(r"\s*[\u2500-\u257f]", row) for row in state.rows[max(0, top - 1) : top + 2])


def block(state: PaneState) -> list[str]:
    """The rows that touch the input row, up to a blank one or a frame."""
    rows = [unframed(row).strip() for row in state.rows]
    top = bottom = state.cursor_y if state.cursor_shown else len(rows) - len(empty_or_last_input(state.rows))
    while top > 0 and rows[top - 1 : top] != [""]:
        top -= 1
    while bottom + 1 < len(rows) and rows[bottom + 1]:
        bottom += 1
    return rows[top : bottom + 1]


def vicinity(state: PaneState) -> tuple[str, ...]:
    """Rows where a dialog or a spinner shows: around the cursor, or the last ones where it is hidden."""
    if state.cursor_shown:
        return state.near
    last = max((index for index, row in enumerate(state.rows) if row.strip()), default=0)
    return state.rows[max(0, last - 12) : last + 1]

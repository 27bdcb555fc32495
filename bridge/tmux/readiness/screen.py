"""The rows of a full-screen program that matter beside its composer.

Some of them touch its input, some are near it.
"""

from __future__ import annotations

from bridge.tmux.readiness.composer import BORDER
from bridge.tmux.readiness.snapshot import NEAR_ROWS, PaneState


def unframed(text: str) -> str:
    """A row without the frame that a composer draws around its input."""
    return BORDER.sub("", text)


def input_row(state: PaneState) -> int:
    """The cursor's row. If the cursor is hidden, that of the one which the program draws."""
    if state.cursor_shown or not state.carets:
        return state.cursor_y
    return state.carets[-1][1]


def block(state: PaneState) -> list[str]:
    """The rows that touch the input row, up to a blank one or a frame."""
    rows = [unframed(row).strip() for row in state.rows]
    top = bottom = min(input_row(state), len(rows) - 1)
    while top > 0 and rows[top - 1 : top] != [""]:
        top -= 1
    while bottom + 1 < len(rows) and rows[bottom + 1]:
        bottom += 1
    return rows[top : bottom + 1]


def vicinity(state: PaneState) -> tuple[str, ...]:
    """Rows that may show a dialog or a spinner.

    They are around the cursor, or the last ones of the screen if it is hidden.
    """
    if state.cursor_shown:
        return state.near
    last = max((index for index, row in enumerate(state.rows) if row.strip()), default=0)
    return state.rows[max(0, last - 2 * NEAR_ROWS) : last + 1]

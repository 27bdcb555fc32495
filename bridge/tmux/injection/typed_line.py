"""Does the line of a shell or a REPL hold exactly the pasted command?

The line begins with a prompt. It continues in the rows below if it is longer than the pane is wide.
A row that continues is full to the right edge; Python's newer REPL ends such a row with a
backslash. Blanks are not compared, because an older tmux drops those at the end of a row.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.tmux.readiness.cells import split_at_column, text_width
from bridge.tmux.readiness.snapshot import PaneState

ROWS_MAX = 64  # rows that one command may take in a pane of a few columns


def holds_command(state: PaneState, command: str, is_prompt: Callable[[str], bool]) -> bool:
    """Are a prompt and the command left of the cursor, with nothing between or behind them?"""
    for top in range(state.cursor_y, max(0, state.cursor_y - ROWS_MAX) - 1, -1):
        rows = [*state.rows[top : state.cursor_y], state.left]
        if not all(text_width(row) >= state.width - 2 for row in rows[:-1]):
            return False
        variants = [rows, [_without_mark(row) for row in rows[:-1]] + rows[-1:]]
        if any(
            is_prompt(head)
            for head in (_head(each, command) for each in variants)
            if head is not None
        ):
            return not _ink_behind(state)
    return False


def _without_mark(row: str) -> str:
    return row.rstrip()[:-1] if row.rstrip().endswith("\\") else row


def _head(rows: list[str], command: str) -> str | None:
    """The text before the command in the first row, with the blanks that follow it.

    None: the rows do not end with the command.
    """
    shown, wanted = "".join("".join(rows).split()), "".join(command.split())
    if not shown.endswith(wanted):
        return None
    left = len(shown) - len(wanted)  # characters of the prompt, without blanks
    end = 0
    while end < len(rows[0]) and (left or rows[0][end].isspace()):
        left -= not rows[0][end].isspace()
        end += 1
    return None if left else rows[0][:end]


def _ink_behind(state: PaneState) -> bool:
    """Is there text behind the cursor that a person typed?

    A right prompt ends at the right edge, and a suggestion is faint. All other text is typed.
    """
    ink = state.ink[state.cursor_y] if state.cursor_y < len(state.ink) else ""
    behind = split_at_column(ink, state.cursor_x)[1]
    is_right_prompt = behind.startswith("  ") and text_width(ink.rstrip()) >= state.width - 2
    return bool(behind.strip()) and not is_right_prompt

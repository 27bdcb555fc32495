"""The width of the output. Long lines are folded in a terminal only.

A line that goes into a pipe stays one line, so that grep finds all of it.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TextIO

NARROWEST = 40  # columns; a narrower folded line is hard to read


def page_width(out: TextIO | None = None) -> int:
    """Columns of `out` (default: stdout) when it is a terminal, else 0. `COLUMNS` comes first."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if (out or sys.stdout).isatty() else 0


def hanging(label: str, text: str, width: int) -> str:
    """`label`, then `text`: folded at blanks, its lines aligned. With `width` 0, never folded."""
    if not width:
        return label + text
    indent = " " * len(label)
    lines = textwrap.wrap(
        text, max(NARROWEST // 2, width - len(label) - 1), break_on_hyphens=False
    ) or [""]
    return label + f"\n{indent}".join(lines)


def around(left: str, mark: str, right: str, width: int) -> str:
    """One row with `mark` between its halves.

    When the row is too long, an ellipsis replaces the text that is farthest from the mark.
    """
    room = width - len(mark)
    if not width or len(left) + len(right) <= room:
        return left + mark + right
    kept = min(len(left), max(room * 2 // 3, room - len(right)))
    before = left if kept == len(left) else "…" + left[len(left) - kept + 1 :]
    rest = room - len(before)
    return before + mark + (right if len(right) <= rest else right[: rest - 1] + "…")

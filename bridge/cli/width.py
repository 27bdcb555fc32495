"""How wide is the page? Long lines are folded for a person's terminal, and never for a program.

A line that goes into a pipe stays one line, so that grep finds all of it.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TextIO

NARROWEST = 40  # columns; below this a folded line helps nobody


def page_width(out: TextIO | None = None) -> int:
    """Columns of the terminal that `out`, else standard output, is; 0 when it is none (`COLUMNS` wins, as everywhere)."""
    return max(NARROWEST, shutil.get_terminal_size().columns) if (out or sys.stdout).isatty() else 0


def hanging(label: str, text: str, width: int) -> str:
    """`label` and then `text`, folded at blanks with its lines under one another; `width` 0 folds nothing."""
    if not width:
        return label + text
    indent = " " * len(label)
    lines = textwrap.wrap(
        text, max(NARROWEST // 2, width - len(label) - 1), break_on_hyphens=False
    ) or [""]
    return label + f"\n{indent}".join(lines)


def around(left: str, mark: str, right: str, width: int) -> str:
    """One row with `mark` between its halves; where it is too long, what is far from the mark gives way to an ellipsis."""
    room = width - len(mark)
    if not width or len(left) + len(right) <= room:
        return left + mark + right
    kept = min(len(left), max(room * 2 // 3, room - len(right)))
    before = left if kept == len(left) else "…" + left[len(left) - kept + 1 :]
    rest = room - len(before)
    return before + mark + (right if len(right) <= rest else right[: rest - 1] + "…")

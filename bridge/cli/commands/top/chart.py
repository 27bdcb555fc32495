"""Small bars: a row of numbers, one cell each, in eight heights (in ASCII five).

▁▁▂▅█▃▁        None is a blank; zero is the lowest bar
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-=#"


def bars(values: Sequence[float | None], width: int, is_unicode: bool = True) -> str:
    """The numbers in at most `width` cells.

    With more numbers than cells, a cell shows the greatest of several.
    """
    if width <= 0 or not values:
        return ""
    ramp = BARS if is_unicode else ASCII_BARS
    cells = list(values) if len(values) <= width else _gather(values, width)
    top = max((value for value in cells if value is not None), default=0.0)
    return "".join(
        " " if value is None else ramp[_height(value, top, len(ramp) - 1)] for value in cells
    )


def _height(value: float, top: float, highest: int) -> int:
    """A number above zero gets a higher bar than zero, even if it is small."""
    return min(highest, math.ceil(value / top * highest)) if value > 0 else 0


def _gather(values: Sequence[float | None], width: int) -> list[float | None]:
    cuts = [index * len(values) // width for index in range(width + 1)]
    return [
        max((value for value in values[start:end] if value is not None), default=None)
        for start, end in zip(cuts, cuts[1:])
    ]

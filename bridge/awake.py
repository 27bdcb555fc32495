"""A clock that goes on while the machine sleeps, for what others may do meanwhile: a lease runs out all the same.

CLOCK_MONOTONIC stands still in suspend on Linux, CLOCK_BOOTTIME does not (clock_gettime(2)). On macOS it is the other
way round: CLOCK_MONOTONIC goes on, and what Python's time.monotonic reads stands still (clock_gettime(3) there).
"""

from __future__ import annotations

import sys
import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC if sys.platform == "darwin" else None)


def now() -> float:
    """Seconds since some moment in the past; never goes back."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)

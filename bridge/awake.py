"""A clock that goes on while the machine sleeps.

It is for time that also passes elsewhere: the broker ends a lease while this machine sleeps.

On Linux CLOCK_MONOTONIC stops in suspend and CLOCK_BOOTTIME goes on (clock_gettime(2)). On macOS
CLOCK_MONOTONIC goes on, and the clock that Python's time.monotonic reads stops (clock_gettime(3)).
"""

from __future__ import annotations

import sys
import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC if sys.platform == "darwin" else None)


def now() -> float:
    """Seconds since an arbitrary moment in the past; never goes back."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)

"""The two clocks, as one argument: the wall for people and the wire, the monotonic for durations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Clock:
    wall: Callable[[], float] = time.time  # seconds since the epoch; may jump
    monotonic: Callable[[], float] = time.monotonic  # seconds; never jumps

    def wall_ms(self) -> int:
        return int(self.wall() * 1000)

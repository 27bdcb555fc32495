"""How long to wait before the next try.

Each delay is drawn from [0, ceiling]. The ceiling doubles up to a cap, and the
draw stays random at the cap ("full jitter", Brooker, AWS Architecture Blog). So
a hundred watchers that lost the same broker do not come back together.
A caller whose connection works for long enough starts a new sequence.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Callable

Uniform = Callable[[float, float], float]


def full_jitter(base: float, cap: float, uniform: Uniform = random.uniform) -> Iterator[float]:
    """Yield delays in seconds, for ever: uniform(0, min(cap, base * 2**n))."""
    ceiling = min(base, cap)
    while True:
        yield uniform(0.0, ceiling)
        ceiling = min(cap, ceiling * 2)

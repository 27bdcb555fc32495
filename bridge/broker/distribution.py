"""How many values fell into which bin: a histogram that costs one bisection per value.

Rule 1: a bin holds what is greater than the bound below it and at most its own
bound; the last one has none. So the count up to a bound is exact (what
Prometheus calls `le`), and a quantile is exact to its bin and interpolated in it.
Rule 2: latencies have ten bounds to a decade, Renard's R10 series, which are a
quarter apart and are decimal numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import add

_R10 = ("1", "1.25", "1.6", "2", "2.5", "3.15", "4", "5", "6.3", "8")
LATENCY_BOUNDS = tuple(
    float(f"{digits}e{power}") for power in range(-5, 5) for digits in _R10
)  # seconds: 10 µs to a day


class Distribution:
    __slots__ = ("bounds", "bins", "total")

    def __init__(self, bounds: Sequence[float] = LATENCY_BOUNDS) -> None:
        self.bounds = bounds
        self.bins = [0] * (len(bounds) + 1)
        self.total = 0.0

    # Hot: twice per commit.
    def observe(self, value: float) -> None:
        self.bins[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        return sum(self.bins)

    def add(self, other: Distribution) -> None:
        """Count what the other has counted, too. Both must have the same bounds."""
        self.bins = list(map(add, self.bins, other.bins))
        self.total += other.total

    def quantile(self, share: float) -> float | None:
        """The value that `share` of them do not exceed; None when there is none."""
        seen = list(accumulate(self.bins))
        if not seen[-1]:
            return None
        wanted = share * seen[-1]
        index = bisect_left(
            seen, max(wanted, 1e-9)
        )  # the first bin with so many up to it, and not an empty one before all
        low = self.bounds[index - 1] if index else 0.0
        high = self.bounds[index] if index < len(self.bounds) else low
        before = seen[index - 1] if index else 0
        return low + (high - low) * (wanted - before) / self.bins[index]

    def counts_up_to(self, shown: Sequence[float]) -> Iterator[tuple[float, int]]:
        """(bound, how many do not exceed it) for those of our bounds that are shown, ascending."""
        seen, wanted = 0, set(shown)
        for bound, found in zip(self.bounds, self.bins):
            seen += found
            if bound in wanted:
                yield bound, seen

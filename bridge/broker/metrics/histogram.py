"""A histogram that costs one bisection per value.

Rule 1: a bin counts the values above the bound below it, up to its own bound. The
last bin has no upper bound. So the count up to a bound is exact (Prometheus calls
it `le`). A quantile is exact to its bin, and interpolated inside the bin.
Rule 2: latencies have ten bounds per decade: Renard's R10 series. Its numbers are
decimal, and each is a quarter above the one before.
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


class Histogram:
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

    def add(self, other: Histogram) -> None:
        """Add the counts of the other. Both must have the same bounds."""
        self.bins = list(map(add, self.bins, other.bins))
        self.total += other.total

    def quantile(self, share: float) -> float | None:
        """The value that `share` of all values do not exceed; None if there are no values."""
        seen = list(accumulate(self.bins))
        if not seen[-1]:
            return None
        wanted = share * seen[-1]
        # The first bin with so many values up to it. With share 0, 1e-9 skips empty bins.
        index = bisect_left(seen, max(wanted, 1e-9))
        low = self.bounds[index - 1] if index else 0.0
        high = self.bounds[index] if index < len(self.bounds) else low
        before = seen[index - 1] if index else 0
        return low + (high - low) * (wanted - before) / self.bins[index]

    def counts_up_to(self, shown: Sequence[float]) -> Iterator[tuple[float, int]]:
        """(bound, count of values up to it) for those of our bounds that are shown, ascending."""
        seen, wanted = 0, set(shown)
        for bound, found in zip(self.bounds, self.bins):
            seen += found
            if bound in wanted:
                yield bound, seen

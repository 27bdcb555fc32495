"""Statistics of measured values: pure functions of numbers.

Rule 1: a percentile is a measured value, by nearest rank: the smallest value that at least the
given share of all values does not exceed. Nothing is interpolated, so p99 of three values is
the largest of them.
Rule 2: shares are whole numbers per mille, because 0.99 * 100 is not always 99.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Of `count` measured times, in milliseconds; None if nothing was measured."""

    count: int
    mean_ms: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "count": self.count,
            "averageMs": rounded(self.mean_ms, 3),
            "p50Ms": rounded(self.p50_ms, 3),
            "p99Ms": rounded(self.p99_ms, 3),
            "p999Ms": rounded(self.p999_ms, 3),
            "maxMs": rounded(self.max_ms, 3),
        }


def percentile(ordered: Sequence[float], per_mille: int) -> float:
    """The nearest-rank percentile of ascending values; `per_mille` is 1 to 1000."""
    rank = -(-len(ordered) * per_mille // 1000)
    return ordered[rank - 1]


def latency_of(seconds: Iterable[float]) -> Latency:
    ordered = sorted(1000 * each for each in seconds)
    if not ordered:
        return Latency(0)
    p50, p99, p999 = (percentile(ordered, share) for share in (500, 990, 999))
    return Latency(len(ordered), sum(ordered) / len(ordered), p50, p99, p999, ordered[-1])


def rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def saving(before: float, after: float) -> float | None:
    """By how many percent `after` is less than `before`; None if `before` is 0."""
    return 100 * (before - after) / before if before > 0 else None


def shown(value: float | None, unit: str = "") -> str:
    """A figure with its significant digits: 4,512 · 97.3 · 8.41 · 0.023; None as a dash."""
    if value is None:
        return "-"
    digits = (
        0
        if abs(value) >= 1000 or value == 0
        else 1
        if abs(value) >= 10
        else 2
        if abs(value) >= 1
        else 3
    )
    return f"{value:,.{digits}f}{unit}"

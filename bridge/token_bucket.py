"""Token bucket: a rate limit that allows a burst of one full bucket.

Rule 1: time is an argument (monotonic seconds), so the bucket has no clock.
Rule 2: a full bucket behaves like a new one, so a map of buckets may drop the
full ones.
"""

from __future__ import annotations


class TokenBucket:
    """`capacity` tokens at most, refilled at `refill_rate` tokens a second."""

    __slots__ = ("capacity", "refill_rate", "_tokens", "_at")

    def __init__(self, capacity: float, refill_rate: float, now: float) -> None:
        self.capacity = capacity
        self.refill_rate = refill_rate
        self._tokens = capacity
        self._at = now

    def _refill(self, now: float) -> None:
        # A clock that went backwards must not take tokens away.
        self._tokens = min(
            self.capacity, self._tokens + max(0.0, now - self._at) * self.refill_rate
        )
        self._at = now

    def take(self, now: float) -> float:
        """Take one token and return 0.0; or return the seconds until there is one."""
        self._refill(now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self.refill_rate

    def is_full(self, now: float) -> bool:
        self._refill(now)
        return self._tokens >= self.capacity

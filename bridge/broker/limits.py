"""Sends a minute per target agent (WIRE rule 7).

The map of buckets is bounded: a full bucket says nothing, so full ones are
forgotten whenever the map reaches BUCKETS_MAX; an agent whose bucket is not
full was sent to in the last minute.
"""

from __future__ import annotations

import math

from bridge.bucket import TokenBucket
from bridge.errors import PeerError

BUCKETS_MAX = 10000  # agents that may be under way towards a full bucket


class SendLimits:
    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, TokenBucket] = {}

    def check(self, agent_id: str, now: float) -> None:
        """Take a token for a send to the agent. Raises PeerError 429 with Retry-After."""
        if not self._per_minute:
            return
        bucket = self._buckets.get(agent_id)
        if bucket is None:
            bucket = self._buckets[agent_id] = self._make(now)
        wait = bucket.take(now)
        if wait:
            raise PeerError(
                429,
                f"agent {agent_id!r} is sent more than {self._per_minute} tickets a minute (BRIDGE_RATE_LIMIT); try again in {wait:.1f} s",
                {"Retry-After": str(math.ceil(wait))},
                reason="rate_limit",
            )

    def _make(self, now: float) -> TokenBucket:
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets = {agent: bucket for agent, bucket in self._buckets.items() if not bucket.is_full(now)}
            if len(self._buckets) >= BUCKETS_MAX:
                raise PeerError(429, "sends to too many different agents within a minute; try again in 60 s", {"Retry-After": "60"}, reason="rate_limit")
        return TokenBucket(self._per_minute, self._per_minute / 60, now)

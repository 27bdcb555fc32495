"""Rates of sends and replies, and room for pending tickets (HTTP_API.md, Bounds).

All pending tickets are in memory, so their bytes are bounded, and each agent has a
share of them. A stray ticket is one whose agent is neither registered nor received
for. A sender can invent any name, and nothing acknowledges stray tickets. So such a
name has a smaller share, and all such names together have a bound too.
A bound refuses the next ticket after it was exceeded, so one ticket always fits.

Sends have a rate per target agent, and replies one per replier. The map of token
buckets is bounded: when it reaches BUCKETS_MAX, full buckets are dropped, because a
full one is like a new one. A bucket that is not full was used in the last minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridge.broker.backlog import Backlog
from bridge.errors import Reason, RequestError
from bridge.token_bucket import TokenBucket

BUCKETS_MAX = 10000  # buckets that are not full
SENT, REPLIES = "is sent", "replies to"  # the two kinds of bucket; words of the refusal
AGENT_SHARE = 16  # one agent may have 1/16 of BRIDGE_PENDING_BYTES: 64 MiB by default
STRAY_SHARE = 64  # a name that is neither registered nor received for, 1/64: 16 MiB
STRAYS_SHARE = 4  # all such names together, 1/4: 256 MiB


@dataclass(frozen=True)
class Bounds:
    """What the ledger may hold."""

    queue_max: int = 1000  # pending tickets per agent
    pending_bytes: int = 1 << 30  # of all pending tickets, which are held in memory
    finished_max: int = 1000  # finished tickets that are remembered
    finished_bytes: int = 64 << 20  # of the finished tickets that are remembered


# Hot: once per ticket.
def check_room(bounds: Bounds, backlog: Backlog | None, held_bytes: int) -> None:
    """Is there room for one more ticket?

    Raises RequestError PENDING_BYTES (all agents), QUEUE_FULL or AGENT_BYTES (this one).
    """
    if held_bytes > bounds.pending_bytes:
        raise RequestError(
            Reason.PENDING_BYTES,
            f"pending tickets of all agents hold {bounds.pending_bytes} bytes "
            "(BRIDGE_PENDING_BYTES); `python3 -m bridge top` shows whose, "
            "and `purge AGENT` ends an agent's",
            retry_after=30,
        )
    if backlog is None:
        return
    if not backlog.has_room(bounds.queue_max):
        raise RequestError(
            Reason.QUEUE_FULL,
            f"agent {backlog.agent_id!r} has {bounds.queue_max} pending tickets "
            "(BRIDGE_QUEUE_MAX); try again when some are acknowledged",
            retry_after=5,
        )
    if backlog.bytes > bounds.pending_bytes // AGENT_SHARE:
        raise RequestError(
            Reason.AGENT_BYTES,
            f"agent {backlog.agent_id!r} has {backlog.bytes} bytes of pending tickets, which is "
            f"its share (1/{AGENT_SHARE} of BRIDGE_PENDING_BYTES); try again when some are "
            "acknowledged, or end them with `python3 -m bridge purge AGENT`",
            retry_after=5,
        )


def check_stray(bounds: Bounds, agent_id: str, backlog: Backlog | None, stray_bytes: int) -> None:
    """Is there room for one more stray ticket? Raises RequestError STRAY_BYTES."""
    part, whose, held = STRAY_SHARE, "its", backlog.bytes if backlog is not None else 0
    if held <= bounds.pending_bytes // STRAY_SHARE:
        part, whose, held = STRAYS_SHARE, "such agents'", stray_bytes
    if held > bounds.pending_bytes // part:
        raise RequestError(
            Reason.STRAY_BYTES,
            f"agent {agent_id!r} is neither registered nor received for, and {whose} pending "
            f"tickets hold {held} bytes, as much as they may (1/{part} of BRIDGE_PENDING_BYTES); "
            "register it, start its watcher, or end tickets with `python3 -m bridge purge AGENT`",
            retry_after=60,
        )


class SendLimits:
    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def check(self, agent_id: str, now: float, does: str = SENT) -> None:
        """Take a token for a send to the agent, or for a reply of the agent.

        Raises RequestError RATE_LIMIT, with the time to wait.
        """
        if not self._per_minute:
            return
        bucket = self._buckets.get((agent_id, does))
        if bucket is None:
            bucket = self._buckets[agent_id, does] = self._make(now)
        wait = bucket.take(now)
        if wait:
            raise RequestError(
                Reason.RATE_LIMIT,
                f"agent {agent_id!r} {does} more than {self._per_minute} tickets a minute "
                f"(BRIDGE_RATE_LIMIT); try again in {wait:.1f} s",
                retry_after=math.ceil(wait),
            )

    def _make(self, now: float) -> TokenBucket:
        if len(self._buckets) >= BUCKETS_MAX:
            self._buckets = {
                key: bucket for key, bucket in self._buckets.items() if not bucket.is_full(now)
            }
            if len(self._buckets) >= BUCKETS_MAX:
                raise RequestError(
                    Reason.RATE_LIMIT,
                    "sends to too many different agents within a minute; try again in 60 s",
                    retry_after=60,
                )
        return TokenBucket(self._per_minute, self._per_minute / 60, now)

"""A peer that does not read. A slow peer is kept; one that reads nothing is cut.

The transport calls back when its buffer is over the limit, and when it has drained.
In between, the only sign of life is that the buffer shrinks. If it does not shrink
for the write deadline, the connection is cut.
"""

from __future__ import annotations


class WriteProgress:
    """Watches one full buffer. Times are monotonic seconds, sizes bytes."""

    __slots__ = ("_since", "_waiting")

    def __init__(self, now: float, waiting_bytes: int) -> None:
        self._since, self._waiting = now, waiting_bytes

    def is_over(self, now: float, waiting_bytes: int, deadline: float) -> bool:
        """Return whether the peer has read nothing for `deadline` seconds."""
        if waiting_bytes < self._waiting:
            self._since, self._waiting = now, waiting_bytes
        return now - self._since > deadline

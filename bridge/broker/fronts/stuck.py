"""A peer that does not read: slow is fine for ever, gone is cut after the write deadline.

The transport says when its buffer is over the limit and when it has drained.
In between the only sign of life is that the buffer shrinks.
"""

from __future__ import annotations


class WriteProgress:
    """Watches one full buffer. Times are monotonic seconds, sizes bytes."""

    __slots__ = ("_since", "_waiting")

    def __init__(self, now: float, waiting_bytes: int) -> None:
        self._since, self._waiting = now, waiting_bytes

    def is_over(self, now: float, waiting_bytes: int, deadline: float) -> bool:
        """Whether the peer has read nothing for `deadline` seconds."""
        if waiting_bytes < self._waiting:
            self._since, self._waiting = now, waiting_bytes
        return now - self._since > deadline

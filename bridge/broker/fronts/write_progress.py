"""A peer that does not read. A slow peer is kept; one that reads nothing is cut.

The transport calls back when its buffer is over the limit, and when it has drained.
In between, the only sign of life is that the buffer shrinks. If it does not shrink
for the write deadline, the connection is cut.

A download holds a place that others wait for. So its peer must also read RATE_MIN on
average. The average is taken over windows of the write deadline, because the kernel's
buffers pass bytes on in steps, which may be a MiB.
"""

from __future__ import annotations

RATE_MIN = 16384  # bytes a second; slower than every network on which a store is worth copying


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


class ReadRate:
    """Watches one download from its beginning. A new window begins when one is over."""

    __slots__ = ("_since", "_read")

    def __init__(self, now: float) -> None:
        self._since, self._read = now, 0

    def is_low(self, now: float, read_bytes: int, window: float) -> bool:
        """Return whether a window has ended in which the peer read too little.

        `read_bytes` is all that the peer has read so far.
        """
        seconds = now - self._since
        if seconds < window:
            return False
        is_low = read_bytes - self._read < RATE_MIN * seconds
        self._since, self._read = now, read_bytes
        return is_low

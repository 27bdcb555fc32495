"""The bytes that all connections hold together: bodies that are arriving, answers not yet read.

Rule 1: the total stays below BRIDGE_CONNECTION_BYTES. Beyond it, connections are cut one by one.
Of a connection whose request is complete, only that request is dropped. It gets a 503.
Reading is not paused instead: half-sent bodies would then keep all other peers out until their
deadline.
Rule 2: the candidates are the connections that hold half of the average or more. Together they
hold at least half of all bytes. The one that has held so much for longest is cut. So slow senders,
however many, cannot harm a peer that sends a large body at once or one that holds little.
Rule 3: a connection notes its bytes when they grow. It is measured again before it is cut,
because its peer may have read meanwhile, and no callback reports that.
Rule 4: "half" is exact to a factor of two. Connections are in classes by the bit length of their
number of bytes, in order of arrival. So the search costs the same among 20,000 connections.
"""

from __future__ import annotations

from itertools import count
from typing import Protocol


class Holder(Protocol):
    @property
    def held_bytes(self) -> int: ...

    def cut(self) -> int:
        """Hold less than before, or end. Return the bytes that it still holds."""


class HeldBytes:
    """One for all connections."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._most = most
        self._noted: dict[Holder, int] = {}
        self._arrivals = count(1)
        # For each class: the arrival number of each of its holders.
        self._classes: list[dict[Holder, int]] = [{} for _ in range(64)]

    def note(self, holder: Holder, size: int) -> None:
        """Note that the connection holds `size` bytes now; 0 if it is gone."""
        self._replace(holder, size)
        while self.total > self._most:
            oldest = self._oldest()
            size = oldest.held_bytes
            if size >= self._noted[oldest]:
                size = oldest.cut()
            self._replace(oldest, size)

    def _replace(self, holder: Holder, size: int) -> None:
        before = self._noted.pop(holder, 0)
        self.total += size - before
        if size:
            self._noted[holder] = size
        was, now = before.bit_length(), size.bit_length()
        if was != now:
            self._classes[was].pop(holder, None)
            if size:
                self._classes[now][holder] = next(self._arrivals)

    def _oldest(self) -> Holder:
        least = (self.total // (2 * len(self._noted))).bit_length()
        firsts = [next(iter(each.items())) for each in self._classes[least:] if each]
        return min(firsts, key=lambda first: first[1])[0]

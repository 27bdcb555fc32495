"""The bytes that all connections hold together: bodies on their way, unread answers.

Rule 1: together they stay below BRIDGE_CONNECTION_BYTES. When they exceed it, a connection is
cut, and then the next. Reading is not paused instead: half bodies would then keep out all others
until their deadline.
Rule 2: of those that hold half of the average or more, the one is cut that has held so much for
longest. They have at least half of all bytes. So a peer that sends a large body at once is safe
from any number that send theirs in part, and one that holds little is served whatever others hold.
Rule 3: a connection notes what it holds when that grows. It is measured again before it is
cut, because its peer may have read in the meantime, and nothing says so.
Rule 4: "half" is to within a factor of two: connections stand in classes by the length of their
number in bits, each in order of arrival. So finding one costs the same among 20,000.
"""

from __future__ import annotations

from itertools import count
from typing import Protocol


class Holder(Protocol):
    @property
    def held_bytes(self) -> int: ...

    def cut(self) -> None: ...


class HeldBytes:
    """One for all connections."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._most = most
        self._noted: dict[Holder, int] = {}
        self._arrivals = count(1)
        # Of each class: when each holder came into it.
        self._classes: list[dict[Holder, int]] = [{} for _ in range(64)]

    def note(self, holder: Holder, size: int) -> None:
        """The connection holds so many bytes now; 0 when it is gone."""
        self._replace(holder, size)
        while self.total > self._most:
            oldest = self._oldest()
            size = oldest.held_bytes
            if size >= self._noted[oldest]:
                size = 0
                oldest.cut()
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

"""The bytes that all connections hold together: bodies on their way, unread answers.

Rule 1: together they stay below BRIDGE_CONNECTION_BYTES. When they exceed it, the fullest
connection is cut, and then the next: who holds little is served whatever others hold.
Rule 2: a connection notes what it holds when that grows. It is measured again before it is
cut, because its peer may have read in the meantime, and nothing says so.
Rule 3: "fullest" is to within a factor of two, the longest there first: connections stand in
classes by the length of their number in bits, so that finding one costs the same among 20,000.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    @property
    def held_bytes(self) -> int: ...

    def abort(self) -> None: ...


class HeldBytes:
    """One for all connections."""

    def __init__(self, most: int) -> None:
        self.total = 0
        self._most = most
        self._noted: dict[Holder, int] = {}
        self._classes: list[dict[Holder, None]] = [{} for _ in range(64)]

    def note(self, holder: Holder, size: int) -> None:
        """The connection holds so many bytes now; 0 when it is gone."""
        self._replace(holder, size)
        while self.total > self._most:
            fullest = self._fullest()
            size, noted = fullest.held_bytes, self._noted[fullest]
            if size >= noted:
                size = 0
                fullest.abort()
            self._replace(fullest, size)

    def _replace(self, holder: Holder, size: int) -> None:
        before = self._noted.pop(holder, 0)
        self.total += size - before
        if before:
            del self._classes[before.bit_length()][holder]
        if size:
            self._noted[holder] = size
            self._classes[size.bit_length()][holder] = None

    def _fullest(self) -> Holder:
        return next(iter(next(filter(None, reversed(self._classes)))))

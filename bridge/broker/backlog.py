"""One agent's pending tickets, in the order of their seq.

Rule 1: a ticket leaves when it is acknowledged, answered or expired; reading never removes.
Rule 2: the bound counts tickets that are still on their way to disk, so that a
burst cannot slip past it.

A dict keeps insertion order, and insertion is in seq order, so reading from
the start needs no sort; reading after a cursor bisects a list of the keys that
is rebuilt only when tickets have left in between (`_keys` is None then).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Optional

from bridge.broker.entry import Entry


class Backlog:
    """Pending entries of one agent. `reserved` = accepted, not yet on disk."""

    __slots__ = ("agent_id", "reserved", "_entries", "_keys")

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.reserved = 0
        self._entries: dict[int, Entry] = {}
        self._keys: Optional[list[int]] = []

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_idle(self) -> bool:
        return not self._entries and not self.reserved

    def has_room(self, queue_max: int) -> bool:
        return len(self._entries) + self.reserved < queue_max

    def append(self, entry: Entry) -> None:
        """Add the newest entry. Its seq must be greater than every other's."""
        self._entries[entry.seq] = entry
        if self._keys is not None:
            self._keys.append(entry.seq)

    def remove(self, entry: Entry) -> None:
        if self._entries.pop(entry.seq, None) is None or self._keys is None:
            return
        if self._keys[0] == entry.seq and len(self._keys) < 64:
            del self._keys[0]  # the usual case: oldest first, few waiting
        else:
            self._keys = None if self._entries else []

    def read_after(self, seq: int, limit: int) -> list[Entry]:
        """At most `limit` entries after the cursor, oldest first."""
        if self._keys is None:
            self._keys = list(self._entries)
        first = bisect_right(self._keys, seq)
        return [self._entries[key] for key in self._keys[first : first + limit]]

    def oldest(self) -> Optional[Entry]:
        return next(iter(self._entries.values()), None)

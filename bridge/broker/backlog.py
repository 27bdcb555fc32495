"""Pending tickets in the order of their seq: those of one agent, and those of all agents.

Rule 1: a ticket leaves when it is acknowledged, replied to, expired or dropped. Reading never
removes one.
Rule 2: the bounds also count tickets that are on their way to disk, so that a burst cannot
exceed them.

The seqs are kept ascending, in runs of at most RUN. A new seq is the greatest, so it joins the
last run. A removal may be anywhere: bisection finds the run, and then the place in it. So a read
after a cursor costs only what it returns, however many tickets come and leave. Nothing is ever
sorted or rebuilt.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from bridge.broker.entry import Entry

RUN = 512  # seqs; a removal moves at most so many pointers, 4 KiB


class Backlog:
    """Pending entries. `reserved` counts those not yet on disk; `bytes` counts both."""

    __slots__ = ("agent_id", "reserved", "bytes", "_entries", "_runs", "_firsts")

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.reserved = 0
        self.bytes = 0
        self._entries: dict[int, Entry] = {}
        self._runs: list[list[int]] = []  # no run is empty
        self._firsts: list[int] = []  # the first seq that each run had, also after it has left

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_idle(self) -> bool:
        return not self._entries and not self.reserved

    def has_room(self, queue_max: int) -> bool:
        return len(self._entries) + self.reserved < queue_max

    # Hot, as `remove`: twice per ticket, for its agent and for all.
    def append(self, entry: Entry) -> None:
        """Add the newest entry. Its seq must be greater than all others."""
        seq = entry.seq
        self._entries[seq] = entry
        runs = self._runs
        if runs and len(runs[-1]) < RUN:
            runs[-1].append(seq)
        else:
            runs.append([seq])
            self._firsts.append(seq)

    def remove(self, entry: Entry) -> bool:
        """Remove the entry. Return whether it was there."""
        seq = entry.seq
        if self._entries.pop(seq, None) is None:
            return False
        at = bisect_right(self._firsts, seq) - 1
        run = self._runs[at]
        del run[bisect_left(run, seq)]
        if not run:
            del self._runs[at], self._firsts[at]
        return True

    def read_after(self, seq: int, limit: int) -> list[Entry]:
        """At most `limit` entries after the cursor, oldest first."""
        found: list[int] = []
        at = max(0, bisect_right(self._firsts, seq) - 1)
        while at < len(self._runs) and len(found) < limit:
            run = self._runs[at]
            first = bisect_right(run, seq)
            found += run[first : first + limit - len(found)]
            at += 1
        return [self._entries[each] for each in found]

    def oldest(self) -> Entry | None:
        return self._entries[self._runs[0][0]] if self._runs else None

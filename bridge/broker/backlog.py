"""Pending tickets in the order of their seq: those of one agent, and those of all agents.

Rule 1: a ticket leaves when it is acknowledged, answered or expired; reading never removes.
Rule 2: the bounds count tickets that are still on their way to disk, so that a
burst cannot slip past them.

The seqs stand in runs of at most RUN, ascending. A seq joins the last run, for it is
the greatest. It leaves from anywhere, and is found by bisection: of the runs, then in
the run. So reading after a cursor costs what it returns, however many tickets come and
leave in between; nothing is ever sorted or rebuilt.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from bridge.broker.entry import Entry

RUN = 512  # seqs; what one removal moves at most, 4 KiB of pointers


class Backlog:
    """Pending entries. `reserved` = accepted, not yet on disk; `bytes` counts both."""

    __slots__ = ("agent_id", "reserved", "bytes", "_entries", "_runs", "_firsts")

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.reserved = 0
        self.bytes = 0
        self._entries: dict[int, Entry] = {}
        self._runs: list[list[int]] = []  # none is empty
        self._firsts: list[int] = []  # what each run began with, also when that has left

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_idle(self) -> bool:
        return not self._entries and not self.reserved

    def has_room(self, queue_max: int) -> bool:
        return len(self._entries) + self.reserved < queue_max

    # Hot, as `remove`: twice per ticket, for its agent and for all.
    def append(self, entry: Entry) -> None:
        """Add the newest entry. Its seq must be greater than every other's."""
        seq = entry.seq
        self._entries[seq] = entry
        runs = self._runs
        if runs and len(runs[-1]) < RUN:
            runs[-1].append(seq)
        else:
            runs.append([seq])
            self._firsts.append(seq)

    def remove(self, entry: Entry) -> bool:
        """Return whether it was there."""
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

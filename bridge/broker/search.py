"""Search over tickets, newest first, a bounded piece at a time.

Rule 1: one search has a bound on tickets and on bytes. All bytes that it reads count: the ticket,
its reply, its evidence. The next search begins where this one stopped.
Rule 2: it works in parts of PART seconds, and other requests come between them. It holds no cursor
meanwhile, because an open read keeps SQLite from checkpointing the WAL.
Rule 3: it looks for the text in the ticket's JSON, as it was typed and as JSON writes it
(`say "hi"` finds `say \\"hi\\"`). A text that spans several members may not be found.

There is no thread for it. The GIL changes hands after a switch interval (sys.getswitchinterval),
and each system call of the loop and of the writer would wait so long for a searching thread.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from bridge.broker.body import encode_text
from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.timestamp import rfc3339

PART = 0.001  # seconds


@dataclass(frozen=True)
class Wanted:
    """What a ticket must have; None = anything."""

    text: str = ""
    agent: str | None = None
    origin: str | None = None
    thread: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class SearchBounds:
    found: int  # tickets of the answer
    rows: int  # tickets to look at
    size: int  # bytes to read, and bytes of the answer; the last ticket of each may exceed it


class Search:
    """One search: call `step` until it is over, then `answer`."""

    def __init__(
        self, ledger: Ledger, clock: Clock, wanted: Wanted, before: int, bounds: SearchBounds
    ) -> None:
        self._ledger, self._clock, self._wanted, self._bounds = ledger, clock, wanted, bounds
        self._needles = _needles(wanted.text)
        self._before = before
        self._is_at_end = False
        self._rows = self._read = self._found_bytes = 0
        self._found: list[bytes] = []

    def step(self) -> bool:
        """Look at some more tickets, at least one. Return whether the search is over."""
        until = self._clock.monotonic() + PART
        with closing(self._ledger.read_before(self._before)) as entries:
            for entry in entries:
                if self._is_full():
                    return True
                self._look_at(entry)
                if self._clock.monotonic() > until:
                    return False
        self._is_at_end = True
        return True

    def answer(self) -> bytes:
        """The tickets, and the seq before which the next search continues; null at the end."""
        next_before = b"null" if self._is_at_end else b"%d" % self._before
        return b'{"tickets":[%b],"nextBefore":%b}' % (b",".join(self._found), next_before)

    def _is_full(self) -> bool:
        bounds = self._bounds
        is_read = self._rows >= bounds.rows or self._read >= bounds.size
        return is_read or self._found_bytes >= bounds.size or len(self._found) >= bounds.found

    def _look_at(self, entry: Entry) -> None:
        self._rows, self._before = self._rows + 1, entry.seq
        self._read += len(entry.data) + entry.memo_bytes
        text = self._match(entry)
        if text is not None:
            self._found.append(text.encode())
            self._found_bytes += len(self._found[-1])

    def _match(self, entry: Entry) -> str | None:
        """The ticket's JSON, if it is wanted."""
        wanted, needles = self._wanted, self._needles
        if wanted.agent not in (None, entry.agent_id):
            return None
        if wanted.status not in (None, entry.state.status):
            return None
        if needles and not _holds(_traces(entry), needles):
            return None
        fields = entry.to_json()
        if not _is_of(fields, wanted):
            return None
        text = encode_text(fields)
        return text if not needles or _holds(text, needles) else None


def _is_of(fields: dict[str, Any], wanted: Wanted) -> bool:
    if wanted.origin not in (None, fields["originAgent"]):
        return False
    return wanted.thread is None or fields["metadata"].get("threadId") == wanted.thread


def _needles(text: str) -> set[str]:
    """The text as it was typed, and as JSON writes it."""
    return {text.casefold(), encode_text(text)[1:-1].casefold()} if text else set()


def _holds(text: str, needles: set[str]) -> bool:
    folded = text.casefold()
    return any(needle in folded for needle in needles)


def _traces(entry: Entry) -> str:
    """A cheap superset of the ticket's JSON: all its present members, and some former ones.

    It costs a tenth of the JSON, and most tickets are rejected by it.
    """
    text, state = entry.data.decode(), entry.state
    if state.updated_ms:
        text += f' "status":"{state.status}" "updatedAt":"{rfc3339(state.updated_ms)}"'
    if state.response is not None:
        latency_ms = max(0, state.responded_ms - entry.created_ms)
        text += f' "response":{encode_text(state.response)} "latencyMs":{latency_ms}'
    return text

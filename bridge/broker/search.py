"""Search over tickets, newest first, a bounded piece at a time.

Rule 1: one search looks at so many tickets and so many bytes and no more,
because it runs on the loop. Where it stopped is where the next one begins.
Rule 2: the text is looked for in the ticket's JSON as it stands, as it was
typed and as JSON would write it (`say "hi"` finds `say \\"hi\\"`). A text that
spans several of its members may not be found.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from bridge.broker.body import encode_text
from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.timestamp import rfc3339


@dataclass(frozen=True)
class Wanted:
    """What a ticket must have; None = anything."""

    text: str = ""
    agent: Optional[str] = None
    origin: Optional[str] = None
    thread: Optional[str] = None
    status: Optional[str] = None


class Found(NamedTuple):
    tickets: list[dict[str, Any]]
    next_before: Optional[int]  # None: searched to the end


def search(ledger: Ledger, wanted: Wanted, before: int, limit: int, rows_max: int, bytes_max: int) -> Found:
    tickets: list[dict[str, Any]] = []
    needles = _needles(wanted.text)
    rows = size = 0
    with closing(ledger.read_before(before)) as entries:
        for entry in entries:
            if rows >= rows_max or size >= bytes_max or len(tickets) >= limit:
                return Found(tickets, before)
            rows, size, before = rows + 1, size + len(entry.data), entry.seq
            fields = _match(entry, wanted, needles)
            if fields is not None:
                tickets.append(fields)
    return Found(tickets, None)


def _needles(text: str) -> set[str]:
    """The text as it was typed, and as it stands in JSON."""
    return {text.casefold(), encode_text(text)[1:-1].casefold()} if text else set()


def _match(entry: Entry, wanted: Wanted, needles: set[str]) -> Optional[dict[str, Any]]:
    """The ticket, if it is wanted."""
    if wanted.agent not in (None, entry.agent_id) or wanted.status not in (None, entry.state.status):
        return None
    if needles and not _holds(_traces(entry), needles):
        return None
    fields = entry.to_json()
    if wanted.origin not in (None, fields["originAgent"]):
        return None
    if wanted.thread is not None and fields["metadata"].get("threadId") != wanted.thread:
        return None
    if needles and not _holds(encode_text(fields), needles):
        return None
    return fields


def _holds(text: str, needles: set[str]) -> bool:
    folded = text.casefold()
    return any(needle in folded for needle in needles)


def _traces(entry: Entry) -> str:
    """Each member that the ticket's JSON has, and some that it had, for a tenth of the price: most tickets need no more to be told apart."""
    text, state = entry.data.decode(), entry.state
    if state.updated_ms:
        text += f' "status":"{state.status}" "updatedAt":"{rfc3339(state.updated_ms)}"'
    if state.response is not None:
        text += f' "response":{encode_text(state.response)} "latencyMs":{max(0, state.responded_ms - entry.created_ms)}'
    return text

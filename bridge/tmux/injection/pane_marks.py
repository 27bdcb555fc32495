"""What a pane stores about the tickets that were typed into it.

Two user options of the pane, written by the same command sequence that types:

    @bridge_pasted   ' T-1=4711.8812-1763800000100 '
                       ticket = process that got the text - when (ms since 1970)
    @bridge_sent     ' T-1=agent-1763800000123 T-2=... '
                       ticket = form - when Enter followed
                       with '-4711.8812-1763800002000' behind it: at that time
                       that process had not taken the text yet

A process is its pid and its start time. A respawned pane keeps its options, and the system uses a
pid again.

The marks survive a crash of the watcher, `clear`, and a move of the pane. They end with the pane,
as the text does. A ring holds several, because a watcher that dies after T-2 may still owe the
acknowledgement of T-1. Tickets that a watcher still holds stay in it, however many others follow:
an unconfirmed ticket is never taken for a new one.

Before tmux 3.0 panes have no options of their own. A global option carries the pane's number.

A ticket's name in a mark is its id. If the id holds other characters than [A-Za-z0-9_-], the name
is '+' and its base64url. Marks are written inside a tmux command and must not need quoting there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from dataclasses import dataclass

SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")  # a leading '-' would be an option
# Tickets in a ring. A pane has one turn at a time, so at most one acknowledgement is owed.
RING = 8
# More of them that are unconfirmed. The inbox may set as many aside (inbox.py).
KEPT_MAX = 8


def encode_id(ticket_id: str) -> str:
    """base64url without padding (RFC 4648 section 5). `show --id64` decodes it."""
    return (
        base64.urlsafe_b64encode(ticket_id.encode("utf-8", "surrogatepass"))
        .decode("ascii")
        .rstrip("=")
    )


def mark_of(ticket_id: str) -> str:
    return ticket_id if SAFE_ID.fullmatch(ticket_id) else "+" + encode_id(ticket_id)


def read_mark(ring: str, mark: str) -> str | None:
    """The value of `mark`, or None when the ring does not hold it."""
    for entry in ring.split():
        name, _, value = entry.rpartition("=")
        if name == mark:
            return value
    return None


def add_mark(ring: str, mark: str, value: str, kept: Collection[str] = ()) -> str:
    """The ring with one more entry, as the last one.

    It holds RING entries, and at most KEPT_MAX more whose marks are in `kept`. The oldest ones
    are dropped.
    """
    entries = [entry for entry in ring.split() if entry.rpartition("=")[0] != mark]
    others = [entry for entry in entries if entry.rpartition("=")[0] not in kept]
    stay = [entry for entry in entries if entry not in others[: max(0, len(others) + 1 - RING)]]
    return f" {' '.join([*stay, f'{mark}={value}'][-(RING + KEPT_MAX) :])} "


@dataclass(frozen=True)
class Pasted:
    """The mark of a ticket whose text was pasted."""

    process: str  # PaneState.process: the process that got it
    at_ms: int  # since 1970

    @classmethod
    def read(cls, ring: str, mark: str) -> Pasted | None:
        value = read_mark(ring, mark)
        return cls._parse(value) if value is not None else None

    @classmethod
    def _parse(cls, value: str) -> Pasted:
        process, _, moment = value.partition("-")
        return cls(process, int(moment or 0))

    def __str__(self) -> str:
        return f"{self.process}-{self.at_ms}"


def last_unsent(pasted: str, sent: str, process: str) -> tuple[str, int]:
    """(mark, when) of the text that `process` got last, if we pressed no Enter after it.

    Otherwise ("", 0).
    """
    mark, _, value = (pasted.split() or ["=0"])[-1].rpartition("=")
    last = Pasted._parse(value)
    return (
        (mark, last.at_ms)
        if mark and last.process == process and read_mark(sent, mark) is None
        else ("", 0)
    )


@dataclass(frozen=True)
class Sent:
    """The mark of a ticket after which Enter was pressed."""

    form: str
    at_ms: int  # since 1970
    stands_in: str = ""  # the process that still had the text in its input after that Enter
    seen_ms: int = 0  # when the text was last seen there

    @classmethod
    def read(cls, ring: str, mark: str) -> Sent | None:
        value = read_mark(ring, mark)
        if value is None:
            return None
        form, moment, process, seen = (*value.split("-"), "", "")[:4]
        return cls(form, int(moment), process, int(seen or 0))

    def __str__(self) -> str:
        return "-".join(
            [
                self.form,
                str(self.at_ms),
                *([self.stands_in, str(self.seen_ms)] if self.stands_in else []),
            ]
        )


def option_names(pane_id: str, per_pane: bool) -> tuple[str, str]:
    """Names of the two options; `per_pane` is true from tmux 3.0 on."""
    suffix = "" if per_pane else "_" + pane_id.lstrip("%")
    return "@bridge_pasted" + suffix, "@bridge_sent" + suffix

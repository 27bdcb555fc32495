"""Which pane does a name mean, and may it replace the pane that was lost?

A name is `%3` (an id), `1.0` (window.pane), or `0` (an index). An index is a name only where the
session has one window. With several windows it could be a pane of any of them, and is an error that
lists the panes.

After a loss, the pane with that name may be a neighbour. tmux closes the gap that a killed pane
leaves (and renumber-windows that of a window). Then the pane beside it gets the name, with another
agent in it. But tmux counts panes, windows and sessions upwards, and never uses a number again in
one server's life. So:

    the lost pane itself                 taken: only the path to it was lost
    a pane of another server             taken; but `%3` is an error: there it is another pane
    a pane that we saw beside ours       a neighbour, never taken
    a newer one, in a session that is    taken: it was created after the last look that found ours,
      newer than all that we saw           and no two sessions have the same name
    a newer one, in an older session     taken if it was created after we had found ours gone;
                                           else it may be a neighbour that moved up since
    an index, in an older session that   an error: the name was ambiguous while ours existed
      has had several windows

`Held` implements this table. "What we saw" is what the listings contained, so the rule is only as
precise as they are frequent. A pane that its owner created again before we noticed the loss is
refused, too (fifth row). The error text contains the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.errors import PaneLost, PaneUnfit

PANE_NAME = re.compile(r"%\d+|\d+\.\d+|\d+")  # what a user may write
HOW_TO_NAME = "window.pane (1.0), an id (%3), or an index (0) where the session has one window"
_CANDIDATES_SHOWN = 8  # in an error text: it must fit in one line


@dataclass(frozen=True)
class Pane:
    """One pane's identity."""

    socket: str
    server_pid: int
    start_time: int
    pane_id: str
    pane_pid: int
    tty: str
    session: str
    window_index: int
    pane_index: int
    per_pane: bool = True  # tmux 3.0 or later: panes have options of their own

    @property
    def key(self) -> tuple[int, int, str]:
        """The pane's identity among all tmux servers of this machine."""
        return (self.server_pid, self.start_time, self.pane_id)

    @property
    def label(self) -> str:
        """For logs: the name and the id, `dev-lucy:0.1 (%3)`."""
        return f"{self.session}:{self.window_index}.{self.pane_index} ({self.pane_id})"


@dataclass(frozen=True)
class PaneRow:
    """One pane, in one session's part of the list."""

    server_pid: int
    start_time: int
    pane_id: str
    pane_pid: int
    tty: str
    session_id: str
    window_index: int
    pane_index: int
    session: str

    @property
    def key(self) -> tuple[int, int, str]:
        return (self.server_pid, self.start_time, self.pane_id)

    @property
    def place(self) -> str:
        return f"{self.window_index}.{self.pane_index}"

    @property
    def name(self) -> str:
        return f"{self.session}:{self.place} ({self.pane_id})"


@dataclass(frozen=True)
class Listing:
    """All panes of one server at one moment."""

    socket: str
    per_pane: bool
    rows: tuple[PaneRow, ...]

    @property
    def newest(self) -> tuple[int, int]:
        """The numbers of the newest pane and of the newest session."""
        panes = max((number_of(row.pane_id) for row in self.rows), default=-1)
        return panes, max((number_of(row.session_id) for row in self.rows), default=-1)

    def several_windows(self, session_id: str) -> bool:
        return _windows(row for row in self.rows if row.session_id == session_id) > 1


@dataclass(frozen=True)
class Held:
    """A pane that was found by its name, and what later listings have shown of it.

    Implements the table at the head of this file.
    """

    pane: Pane
    name: str  # as the user wrote it: 0, 1.0, %3
    session_id: str
    seen: tuple[int, int]  # newest pane and session of the last listing with this pane
    gone: int = -1  # newest pane of the first listing without it; -1: the pane exists
    unclear: bool = False  # the name is an index, and its session has had several windows since

    @classmethod
    def found(cls, name: str, row: PaneRow, listing: Listing) -> Held:
        return cls(_pane(row, listing), name, row.session_id, listing.newest).seen_in(listing)

    def seen_in(self, listing: Listing) -> Held:
        """The same, updated with one more listing."""
        if all(row.key[:2] != self.pane.key[:2] for row in listing.rows):
            return self
        mine = [row.session_id for row in listing.rows if row.key == self.pane.key]
        if not mine:
            return self if self.gone >= 0 else replace(self, gone=listing.newest[0])
        several = self.name.isdigit() and any(map(listing.several_windows, mine))
        return replace(self, seen=listing.newest, gone=-1, unclear=self.unclear or several)

    def objection(self, row: PaneRow) -> str:
        """Why this pane, which has the name now, must not be taken; "" if it may be."""
        if row.key == self.pane.key:
            return ""
        if row.key[:2] != self.pane.key[:2]:
            restarted = f"tmux was restarted, and gave {self.name} to another pane"
            return restarted if self.name.startswith("%") else ""
        number, lost = number_of(row.pane_id), f"{self.pane.pane_id}, which is gone"
        if number <= self.seen[0]:
            return f"it stood beside {lost}"
        if number_of(row.session_id) > self.seen[1]:
            return ""
        if number <= self.gone:
            return f"it may have stood beside {lost}"
        unclear = f"{self.name!r} could have been a pane of several windows before"
        return unclear if self.unclear else ""


def pick(listing: Listing, session: str, pane: str, held: Held | None = None) -> Held:
    """The one pane that `session` and `pane` name: "N", "window.pane" or "%N".

    "%N" needs no session. `held`: the pane that had this name before, updated with this listing.
    Raises PaneLost with a list of the panes when none or several fit, and PaneUnfit when the one
    that fits must not be taken.
    """
    if held is not None:
        same = [row for row in listing.rows if row.key == held.pane.key]
        if same:
            return replace(held, pane=_pane(same[0], listing))
    row = choose(listing.rows, session, pane)
    objection = held.objection(row) if held is not None else ""
    if objection:
        spoken = f"{session}:{pane}" if session else pane
        way_out = f"if it is meant, start the watcher again, or name it {row.pane_id}"
        raise PaneUnfit(f"{spoken} is {row.name} now, and is not taken: {objection}; {way_out}")
    return Held.found(pane, row, listing)


def _pane(row: PaneRow, listing: Listing) -> Pane:
    return Pane(
        listing.socket, row.server_pid, row.start_time, row.pane_id, row.pane_pid, row.tty,
        row.session, row.window_index, row.pane_index, listing.per_pane,
    )  # fmt: skip


def choose(rows: Iterable[PaneRow], session: str, pane: str) -> PaneRow:
    """The row that the name means. Raises PaneLost, PaneUnfit."""
    is_anywhere = not session and pane.startswith("%")
    inside = [row for row in rows if row.session == session or is_anywhere]
    if not inside and not is_anywhere:
        there = _listed(sorted({row.session for row in rows}))
        raise PaneLost(f"no tmux session is named exactly {session!r}; there is {there}")
    if not PANE_NAME.fullmatch(pane):
        raise PaneLost(f"pane {pane!r} is no pane's name; write {HOW_TO_NAME}")
    # A pane of grouped or linked sessions is listed once for each of them.
    fits = {
        row.pane_id: row for row in inside if pane in (row.pane_id, row.place, str(row.pane_index))
    }
    found = list(fits.values())
    there = _listed(list({row.pane_id: row.name for row in inside}.values()))
    if pane.isdigit() and found and _windows(inside) > 1:
        way_out = f"write window.pane, as {found[0].place}; there is {there}"
        raise PaneUnfit(
            f"session {session!r} has several windows, so {pane!r} names no pane; {way_out}"
        )
    if len(found) != 1:
        where = "any session" if is_anywhere else f"session {session!r}"
        raise PaneLost(
            f"{'more than one' if found else 'no'} pane of {where} is {pane!r}; there is {there}"
        )
    return found[0]


def _windows(rows: Iterable[PaneRow]) -> int:
    """The number of windows. A window that is linked twice counts once."""
    return len({row.window_index for row in {row.pane_id: row for row in rows}.values()})


def number_of(name: str) -> int:
    """3 of "%3" and of "$3"."""
    return int(name[1:]) if name[1:].isdigit() else -1


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _CANDIDATES_SHOWN} more" if len(names) > _CANDIDATES_SHOWN else ""
    return (", ".join(names[:_CANDIDATES_SHOWN]) or "none") + more

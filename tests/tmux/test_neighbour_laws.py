"""Law: a pane that replaces a lost one was made after the loss, in a model of tmux's names.

The model opens, splits, kills, moves and renames windows and sessions, and restarts the server.
test_neighbours.py checks the same with real panes.
"""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import PaneLost
from bridge.tmux.server.identity import Held, Listing, PaneRow, pick

NAMES = [
    ("work", "0"),
    ("work", "0.0"),
    ("work", "0.1"),
    ("work", "1.0"),
    ("", "%0"),
    ("work", "%1"),
]


class SmallTmux:
    """A model of tmux's names: each id is given once, and indices close the gaps of dead panes."""

    def __init__(self, renumbers: bool) -> None:
        self.renumbers = renumbers
        self.server, self.moment = 1, 0
        self.born: dict[tuple[int, int], int] = {}
        self.died: dict[tuple[int, int], int] = {}
        self.restart()

    def restart(self) -> None:
        for pane in list(self.born):
            self.died.setdefault(pane, self.moment)
        self.server += 1
        self.panes = self.sessions_made = 0
        self.sessions: dict[str, tuple[int, dict[int, list[int]]]] = {}

    def _new_pane(self) -> int:
        self.born[self.server, self.panes] = self.moment
        self.panes += 1
        return self.panes - 1

    def do(self, step: str, name: str, which: int) -> None:
        self.moment += 1
        if step == "restart":
            return self.restart()
        if name not in self.sessions:
            if step == "open":
                self.sessions[name] = (self.sessions_made, {0: [self._new_pane()]})
                self.sessions_made += 1
            return None
        windows = self.sessions[name][1]
        index = sorted(windows)[which % len(windows)]
        if step == "open":  # tmux takes the first free index
            windows[next(number for number in range(99) if number not in windows)] = [
                self._new_pane()
            ]
        elif step == "split":
            windows[index].insert(which % (len(windows[index]) + 1), self._new_pane())
        else:
            panes = (
                list(windows[index])
                if step == "close"
                else [windows[index][which // 3 % len(windows[index])]]
            )
            if step == "end":
                panes = [pane for window in windows.values() for pane in window]
            self._kill(name, panes)
        return None

    def move_all(self) -> None:
        """Move the windows of session `aux` to session `work`, which is made if it is missing."""
        self.moment += 1
        if "aux" in self.sessions:
            number, windows = self.sessions.pop("aux")
            self.sessions_made += "work" not in self.sessions
            there = self.sessions.setdefault("work", (self.sessions_made - 1, {}))[1]
            for window in windows.values():
                there[max(there, default=-1) + 1] = window

    def rename(self) -> None:
        self.moment += 1
        if "aux" in self.sessions and "work" not in self.sessions:
            self.sessions["work"] = self.sessions.pop("aux")

    def _kill(self, name: str, panes: list[int]) -> None:
        number, windows = self.sessions[name]
        for pane in panes:
            self.died[self.server, pane] = self.moment
        left = {
            index: [pane for pane in window if pane not in panes]
            for index, window in windows.items()
        }
        kept = [(index, window) for index, window in sorted(left.items()) if window]
        if self.renumbers:
            kept = [(place, window) for place, (_, window) in enumerate(kept)]
        self.sessions[name] = (number, dict(kept))
        if not kept:
            del self.sessions[name]

    def listing(self) -> Listing:
        rows = [
            PaneRow(self.server, 1, f"%{pane}", 100 + pane, "", f"${number}", index, place, name)
            for name, (number, windows) in self.sessions.items()
            for index, window in windows.items()
            for place, pane in enumerate(window)
        ]
        return Listing("", True, tuple(rows))


KINDS = [
    "open",
    "open",
    "split",
    "kill",
    "close",
    "end",
    "restart",
    "look",
    "look",
    "move",
    "rename",
]
STEPS = st.tuples(
    st.sampled_from(KINDS), st.sampled_from(["work", "work", "aux"]), st.integers(0, 8)
)
LOOK, OPEN, SPLIT, CLOSE = (
    ("look", "", 0),
    ("open", "work", 0),
    ("split", "work", 1),
    ("close", "work", 0),
)
AUX, END, MOVE, RENAME = ("open", "aux", 0), ("end", "work", 0), ("move", "", 0), ("rename", "", 0)
KILL, RESTART = ("kill", "work", 3), ("restart", "", 0)


@given(st.booleans(), st.sampled_from(NAMES), st.lists(STEPS, max_size=30))
# The other window remains.
@example(False, ("work", "0"), [OPEN, LOOK, OPEN, CLOSE])
# Window 1 becomes 0, and no listing showed it before.
@example(True, ("work", "0.0"), [OPEN, LOOK, OPEN, CLOSE, LOOK])
# Pane 2 becomes 1.
@example(False, ("work", "0.1"), [OPEN, SPLIT, ("split", "work", 2), LOOK, KILL, LOOK])
# A neighbour moves to a new session of the same name.
@example(False, ("work", "0"), [AUX, OPEN, LOOK, END, MOVE])
@example(False, ("work", "0"), [AUX, OPEN, LOOK, END, RENAME])
@example(False, ("work", "%1"), [OPEN, SPLIT, LOOK, RESTART, OPEN, SPLIT, LOOK])
def test_a_pane_that_replaces_a_lost_one_was_made_after_the_loss(renumbers, name, steps):
    tmux, held = SmallTmux(renumbers), None
    for step, session, which in [*steps, LOOK]:
        if step in ("look", "move", "rename"):  # a listing shows the pane before it is moved
            held = look(tmux, name, held)
        if step == "move":
            tmux.move_all()
        elif step == "rename":
            tmux.rename()
        elif step != "look":
            tmux.do(step, session, which)


def look(tmux: SmallTmux, name: tuple[str, str], held: Held | None) -> Held | None:
    listing = tmux.listing()
    held = held.seen_in(listing) if held else None
    try:
        found = pick(listing, *name, held)
    except PaneLost:
        return held
    if held is not None:
        ours, taken = number(held), number(found)
        if ours not in tmux.died:
            assert taken == ours, "the pane exists, and is held by its id"
        else:
            assert tmux.born[taken] > tmux.died[ours]
            assert not name[1].startswith("%"), "an id never names a second pane"
    return found


def number(held: Held) -> tuple[int, int]:
    return held.pane.server_pid, int(held.pane.pane_id[1:])

"""A pane that was lost is never replaced by its neighbour, and is found when its owner makes it anew."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from panes import PATIENCE, deliver, run, ticket

from bridge.errors import PaneLost, PaneUnfit
from bridge.tmux.identity import Held, Listing, Row, pick

NAMES = [
    ("work", "0"),
    ("work", "0.0"),
    ("work", "0.1"),
    ("work", "1.0"),
    ("", "%0"),
    ("work", "%1"),
]


class SmallTmux:
    """What a tmux server does to names: it gives each number once, and closes the gaps that killed panes leave."""

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
        """A person moves what is in `aux` to a session `work`, which is a new one if there is none."""
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
            Row(self.server, 1, f"%{pane}", 100 + pane, "", f"${number}", index, place, name)
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
LOOK = ("look", "", 0)
OPEN, AUX, END, MOVE, RENAME = (
    ("open", "work", 0),
    ("open", "aux", 0),
    ("end", "work", 0),
    ("move", "", 0),
    ("rename", "", 0),
)


@given(st.booleans(), st.sampled_from(NAMES), st.lists(STEPS, max_size=30))
@example(
    False, ("work", "0"), [("open", "work", 0), LOOK, ("open", "work", 0), ("close", "work", 0)]
)  # the one that is left
@example(
    True,
    ("work", "0.0"),
    [("open", "work", 0), LOOK, ("open", "work", 0), ("close", "work", 0), LOOK],
)  # window 1 becomes 0, and was never seen
@example(
    False,
    ("work", "0.1"),
    [
        ("open", "work", 0),
        ("split", "work", 1),
        ("split", "work", 2),
        LOOK,
        ("kill", "work", 3),
        LOOK,
    ],
)  # pane 2 becomes 1
@example(False, ("work", "0"), [AUX, OPEN, LOOK, END, MOVE])  # a neighbour in a new session
@example(False, ("work", "0"), [AUX, OPEN, LOOK, END, RENAME])
@example(
    False,
    ("work", "%1"),
    [
        ("open", "work", 0),
        ("split", "work", 1),
        LOOK,
        ("restart", "", 0),
        ("open", "work", 0),
        ("split", "work", 1),
        LOOK,
    ],
)
def test_what_is_taken_for_a_lost_pane_was_made_after_it_had_gone(renumbers, name, steps):
    tmux, held = SmallTmux(renumbers), None
    for step, session, which in [*steps, LOOK]:
        if step in ("look", "move", "rename"):  # what a person moves about was seen before
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
            assert taken == ours, "it is there, and held by its id"
        else:
            assert tmux.born[taken] > tmux.died[ours]
            assert not name[1].startswith("%"), "an id means one pane, once"
    return found


def number(held: Held) -> tuple[int, int]:
    return held.pane.server_pid, int(held.pane.pane_id[1:])


# Real panes


def bash(own, *argv: str) -> None:
    own(*argv, "exec bash --norc --noprofile")


def screens(own) -> str:
    return "".join(
        own("capture-pane", "-p", "-t", pane)
        for pane in own("list-panes", "-a", "-F", "#{pane_id}").split()
    )


async def wait_lost(injector, words: str, error=PaneUnfit) -> None:
    """What a watcher does: look for it again and again. It is lost, and stays so, for a reason with these words."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with pytest.raises(PaneLost) as lost:
            await injector.wait_ready()
        if isinstance(lost.value, error) and re.search(words, str(lost.value)):
            break
        assert time.monotonic() < deadline, f"expected {words!r}, it is {lost.value}"
        await asyncio.sleep(0.02)
    for attempt in (injector.check(), injector.explain(), injector.inject(ticket())):
        with pytest.raises(error, match=words):
            await attempt


async def deliver_once_found(injector, given):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await deliver(injector, given)
        except PaneLost:
            assert time.monotonic() < deadline, "it was not found again"
            await asyncio.sleep(0.02)


def test_the_window_that_is_left_is_another_agents(own):
    """Found while the session had one window; another opens; ours is killed: `0` is the neighbour's pane now."""
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector()
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")
        await deliver(injector, ticket(ticket_id="T-1"))  # ours is held by its id
        own("kill-window", "-t", f"={pane.session}:0")
        await wait_lost(
            injector,
            "0 is .*:1.0 .%1. now, and is not taken: it (stood|may have stood) beside %0.*start the watcher again, or name it %1",
        )

    run(scenario())
    assert "T-" not in screens(own)


def test_a_window_that_is_renumbered_and_was_never_seen_is_not_taken(own):
    pane = own.open("bash --norc")
    own("set-option", "-t", f"={pane.session}:", "renumber-windows", "on")

    async def scenario():
        injector = pane.injector(pane="0.0")
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")  # after the last listing
        own("kill-window", "-t", f"={pane.session}:0")
        await wait_lost(injector, "may have stood beside %0")
        bash(
            own, "new-window", "-d", "-t", f"={pane.session}:"
        )  # this one came when ours was known to be gone
        own("kill-window", "-t", f"={pane.session}:0")
        return await deliver_once_found(injector, ticket(ticket_id="T-1"))

    assert "%2" in run(scenario()).pane


def test_a_pane_that_moves_up_is_not_taken(own):
    pane = own.open("bash --norc", height=40)
    for _ in range(2):
        bash(own, "split-window", "-t", pane.id)

    def second() -> str:
        return own("display-message", "-p", "-t", f"={pane.session}:0.1", "#{pane_id}").strip()

    async def scenario():
        injector, ours = pane.injector(pane="0.1"), second()
        await injector.check()
        assert injector.pane.pane_id == ours
        own("kill-pane", "-t", ours)
        await wait_lost(injector, f"it stood beside {ours}")
        own("kill-pane", "-t", second())
        await wait_lost(injector, "no pane of session .* is '0.1'", PaneLost)
        bash(own, "split-window", "-t", pane.id)
        return await deliver_once_found(injector, ticket(ticket_id="T-1"))

    assert "%3" in run(scenario()).pane


def test_a_window_that_its_owner_opens_again_is_found(own):
    own("new-session", "-d", "-s", "work", "exec cat")
    bash(own, "new-window", "-d", "-t", "=work:1")
    pane = own.open("cat")
    pane.session = "work"

    async def scenario():
        injector = pane.injector(pane="1.0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-window", "-t", "=work:1")
        await wait_lost(injector, "no pane of session 'work' is '1.0'", PaneLost)
        bash(own, "new-window", "-d", "-t", "=work:1")
        return await deliver_once_found(injector, ticket(ticket_id="T-2"))

    assert "work:1.0 (%3)" in run(scenario()).pane


def test_a_session_that_was_made_anew_at_once_is_found(own):
    """Before anybody looked: a session's name is its alone."""
    own.open("cat")
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector(pane="0.0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-session", "-t", f"={pane.session}")
        bash(own, "new-session", "-d", "-s", pane.session)
        return await deliver_once_found(injector, ticket(ticket_id="T-2"))

    assert "%2" in run(scenario()).pane


def test_an_id_is_not_looked_for_on_another_server(own):
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector(pane="%0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-server")
        with pytest.raises(PaneLost):
            await injector.check()
        bash(own, "new-session", "-d", "-s", pane.session)  # %0 again
        await wait_lost(injector, "tmux was restarted, and gave %0 to another pane")

    run(scenario())
    assert "T-1" not in screens(own)


def test_further_windows_are_said_once(own, caplog):
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector()
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")
        injector._lookout._census.forget()
        for _ in range(3):
            await injector.check()
        return await deliver(injector, ticket(ticket_id="T-1"))

    assert "%0" in run(scenario()).pane
    assert [
        record.getMessage() for record in caplog.records if "several windows" in record.getMessage()
    ] == [
        f"the session has several windows now, so '0' names no pane: ours stays, but is not found again when it is gone; write window.pane pane={pane.session}:0.0 (%0)"
    ]

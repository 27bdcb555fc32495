"""Observes one pane: finds it by name, looks at it, judges it, and runs commands on it.

This is the only place with changing state: the pane's identity, and what was learned from looks
at it. A lost pane's learned state is dropped. The next look finds the pane again by its name: the
same one or a newly created one, never a neighbour (identity.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable
from dataclasses import replace
from re import Pattern
from typing import Protocol

from bridge.errors import PaneLost, PaneNotReady, TmuxError, UsageError
from bridge.settings import TmuxSettings
from bridge.tmux.injection.conditional import Guard
from bridge.tmux.injection.pane_marks import add_mark, mark_of
from bridge.tmux.readiness.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.readiness.screen_history import ScreenHistory
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import has_changed, has_unread
from bridge.tmux.readiness.tty_events import Armed, TtyEvents
from bridge.tmux.readiness.verdict import Verdict, judge
from bridge.tmux.server.client import LOST, Tmux
from bridge.tmux.server.identity import Held, Listing, Pane, pick
from bridge.tmux.server.pane import look_words, observe, read_look
from bridge.tmux.server.pane_list import PaneList

COMPARES = (3, 2)  # tmux: #{e|<:}
WAITS = (3, 2)  # tmux: run-shell -d

log = logging.getLogger("bridge.tmux")


class Lister(Protocol):
    """Lists panes, and checks whether one may be ours: the shared list, or an agent's own view."""

    async def recent(self) -> Listing:
        """Raises PaneLost, TmuxError."""

    async def confirm(self, pane: Pane) -> Listing:
        """Raises PaneLost when the pane is gone, TmuxError."""

    async def take(self, pane: Pane) -> None:
        """The pane will be typed into.

        Raises PaneUnfit when another agent has it, PaneLost, TmuxError.
        """

    def forget(self) -> None:
        """The latest listing is known to be wrong."""

    def held(self) -> set[str]:
        """Ids of tickets that are held for the pane."""


class PaneObserver:
    def __init__(
        self,
        tmux: Tmux,
        session: str,
        pane: str,
        settings: TmuxSettings,
        form: str,
        pane_list: Lister | None = None,
        tty_events: TtyEvents | None = None,
    ) -> None:
        if form not in ("auto", "agent", "shell"):
            raise UsageError(f"--form is {form!r}; it must be one of auto, agent, shell")
        self._tmux = tmux
        self._pane_list: Lister = pane_list or PaneList(tmux)
        self._held: Held | None = None  # the pane that the name meant; kept when it is lost
        self._names = (session, pane)
        self.rules = Rules(
            form,
            settings.quiet / 1000,
            settings.still / 1000,
            _compile(settings.ready_pattern),
            settings.allow_opaque,
        )
        self.pane: Pane | None = None
        self.looked_at = 0.0  # monotonic seconds at which the last look began
        self._history = ScreenHistory()
        self._last: PaneState | None = None  # the last look; None: we have typed since
        self._tty_events = tty_events  # None: no events
        # Done when the program has written something since the last look began.
        self._stirred: Armed = None

    @property
    def label(self) -> str:
        return self.pane.label if self.pane else ":".join(self._names)

    @property
    def still(self) -> float:
        """Seconds for which the last looks have been equal."""
        return self._history.still

    @property
    def is_still(self) -> bool:
        """Has the program written nothing since the last look? False where that is not known."""
        if self._tty_events is None or self._stirred is None or self._last is None:
            return False
        return not self._tty_events.has_stirred(self._stirred)

    def current(self) -> PaneState | None:
        """The last look, if another one would return the same; None: look again.

        The program has written nothing since, no person was at the pane, and the terminal's mode
        is the same. The guard covers the rest: keys, tmux modes, newly attached clients.
        """
        last = self._last if self.is_still else None
        if last is None or last.human_idle is not None or last.unseen_person:
            return None
        if has_changed(last.tty, last.terminal) or has_unread(last.tty):
            return None
        self._see_now(last, time.monotonic())
        return last

    async def observe(self) -> PaneState:
        self.looked_at, self._last = time.monotonic(), None
        try:
            if self.pane is None:
                self.pane = await self._find()
            self._stirred = self._tty_events.arm(self.pane.tty) if self._tty_events else None
            state = await observe(self._tmux, self.pane)
        except PaneLost:
            self._pane_list.forget()  # its listing may be older than a move of the pane
            self._lose()
            raise
        return self._remember(self.pane, state)

    def _remember(self, pane: Pane, state: PaneState) -> PaneState:
        if state.pane_pid != pane.pane_pid:  # respawned: another program, prompt and terminal
            self.pane = replace(pane, pane_pid=state.pane_pid, tty=state.tty)
            self._history, self._stirred = ScreenHistory(), None
        self._see_now(state, self.looked_at)
        self._last = state
        return state

    def _see_now(self, state: PaneState, asked: float) -> None:
        is_shell = sight_of(state, Learned(), self.rules).kind is Kind.SHELL
        self._history.add_look(state, is_shell, asked, time.monotonic())

    async def confirm(self) -> None:
        """Does the pane exist? Cheaper than a look, where many agents share the list.

        Raises PaneLost, TmuxError.
        """
        try:
            if self.pane is None:
                self.pane = await self._find()
            else:
                self._see(await self._pane_list.confirm(self.pane))
        except PaneLost:
            self._lose()
            raise

    async def _find(self) -> Pane:
        listing = await self._pane_list.recent()
        self._see(listing)
        found = pick(listing, *self._names, self._held)
        await self._pane_list.take(found.pane)
        self._held = found
        return found.pane

    def _see(self, listing: Listing) -> None:
        if self._held is None:
            return
        was_unclear, self._held = self._held.unclear, self._held.seen_in(listing)
        if self._held.unclear and not was_unclear:
            text = (
                "the session has several windows now, so %r names no pane: ours stays, "
                "but is not found again when it is gone; write window.pane pane=%s"
            )
            log.warning(text, self._names[1], self._held.pane.label)

    def _lose(self) -> None:
        self.pane = self._last = None
        self._history = ScreenHistory()

    def mark(self, ring: str, mark: str, value: str) -> str:
        """The ring of marks with one more; marks of held tickets stay in it."""
        return add_mark(ring, mark, value, set(map(mark_of, self._pane_list.held())))

    def judge(self, state: PaneState) -> Verdict:
        return judge(state, self._history.learned(), self.rules)

    def sight(self, state: PaneState) -> Sight:
        return sight_of(state, self._history.learned(), self.rules)

    def guard(self, state: PaneState, deadline: int = 0) -> Guard:
        return Guard(
            state.pane_id, self.pane is None or self.pane.per_pane, state.snapshot, deadline
        )

    async def guard_within(self, state: PaneState, left: float) -> Guard:
        """A guard that fails `left` seconds from now, if this tmux can compare numbers."""
        if math.isinf(left) or await self._tmux.version() < COMPARES:
            return self.guard(state)
        # tmux compares whole seconds. A claim of less than 2 s may get up to one second more.
        end = time.time() + left
        return self.guard(state, int(end) if left >= 2 else math.ceil(end))

    def note_ran(self, submitted: float) -> None:
        """Our command, submitted at that monotonic second, was seen to run."""
        self._history.note_ran(submitted)

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        """Run a command that changes something. Raises PaneLost, TmuxError."""
        return await self._changed(self._tmux.run(*argv, stdin=stdin))

    async def run_guarded(self, argv: list[str]) -> bool:
        """Was this guarded sequence done? Not if something changed since the look.

        Raises PaneLost, TmuxError.
        """
        return _is_done(await self._changed(self._tmux.run_guarded(*argv)))

    async def _changed(self, output: Awaitable[str]) -> str:
        try:
            return await output
        except TmuxError as error:
            if LOST.search(str(error)):
                self.pane = None
                raise PaneLost(f"pane {':'.join(self._names)} is gone ({error})") from error
            raise
        finally:
            self._last = None

    async def guarded(self, argv: list[str]) -> None:
        """Run one guarded sequence. Raises PaneNotReady on NO: something changed since the look."""
        self._check(await self.run_guarded(argv))

    async def guarded_look(self, argv: list[str], seconds: float) -> PaneState:
        """The same, and a look `seconds` later.

        Both run in one process, where tmux can wait: a process costs more than the wait.
        """
        pane = self.pane
        if pane is None or await self._tmux.version() < WAITS:
            await self.guarded(argv)
            await asyncio.sleep(seconds)
            return await self.observe()
        self.looked_at, asked, self._stirred = time.monotonic(), time.time(), None
        pause = ["run-shell", "-d", f"{seconds:g}"]
        output = await self.run(*argv, ";", *pause, ";", *await look_words(self._tmux, pane))
        done, _, seen = output.partition("\n")
        self._check(_is_done(done))
        return self._remember(pane, read_look(seen, pane, asked))

    def _check(self, is_done: bool) -> None:
        if not is_done:
            raise PaneNotReady(
                f"something changed in {self.label} at the last moment; nothing was typed"
            )


def _is_done(output: str) -> bool:
    return "OK" in output.split()


def _compile(pattern: str) -> Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(
            f"--ready-pattern is {pattern!r}; it is no regular expression: {error}"
        ) from None

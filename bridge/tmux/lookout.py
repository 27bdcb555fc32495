"""Keeps an eye on one pane: finds it by name, looks, judges, remembers, and speaks to its tmux server.

The one place that holds what changes: the pane's identity and what looks at it have taught. When the pane is
lost what it taught is forgotten, and the next look finds it again by name: the same one, or one that was made
anew, never a neighbour (identity.py).
"""

from __future__ import annotations

import logging
import math
import re
import time
from dataclasses import replace
from typing import Optional, Pattern, Protocol

from bridge.errors import PaneLost, PaneNotReady, TmuxError, UsageError
from bridge.settings import TmuxSettings
from bridge.tmux.census import Census
from bridge.tmux.command import LOST, Tmux
from bridge.tmux.guard import Guard
from bridge.tmux.identity import Held, Listing, Pane, pick
from bridge.tmux.memory import Memory
from bridge.tmux.pane import observe
from bridge.tmux.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.prompt import Verdict, judge
from bridge.tmux.state import PaneState

COMPARES = (3, 2)  # tmux: #{e|<:}

log = logging.getLogger("bridge.tmux")


class Lister(Protocol):
    """Says which panes there are, and whether one may be ours: the census, or one agent's part in it."""

    async def recent(self) -> Listing:
        """Raises PaneLost, TmuxError."""

    async def confirm(self, pane: Pane) -> Listing:
        """Raises PaneLost when the pane is gone, TmuxError."""

    async def take(self, pane: Pane) -> None:
        """The pane is to be typed into. Raises PaneUnfit when it is another agent's, PaneLost, TmuxError."""

    def forget(self) -> None:
        """What was listed is known to be wrong."""


class Lookout:
    def __init__(self, tmux: Tmux, session: str, pane: str, settings: TmuxSettings, form: str, census: Optional[Lister] = None) -> None:
        if form not in ("auto", "agent", "shell"):
            raise UsageError(f"--form is {form!r}; it must be one of auto, agent, shell")
        self._tmux = tmux
        self._census: Lister = census or Census(tmux)
        self._held: Optional[Held] = None  # what the name was found to be; kept when that is lost
        self._names = (session, pane)
        self.rules = Rules(form, settings.quiet / 1000, settings.still / 1000, _compile(settings.ready_pattern), settings.allow_opaque)
        self.pane: Optional[Pane] = None
        self.looked_at = 0.0  # monotonic seconds at which the last look began
        self._memory = Memory()

    @property
    def label(self) -> str:
        return self.pane.label if self.pane else ":".join(self._names)

    @property
    def still(self) -> float:
        """Seconds that the last looks have been equal."""
        return self._memory.still

    async def observe(self) -> PaneState:
        self.looked_at = time.monotonic()
        try:
            if self.pane is None:
                self.pane = await self._find()
            state = await observe(self._tmux, self.pane)
        except PaneLost:
            self._census.forget()  # it may have said where the pane was, not where it is
            self._lose()
            raise
        if state.pane_pid != self.pane.pane_pid:  # respawned: another program, another prompt
            self.pane = replace(self.pane, pane_pid=state.pane_pid, tty=state.tty)
            self._memory = Memory()
        self._memory.see(state, sight_of(state, Learned(), self.rules).kind is Kind.SHELL, self.looked_at, time.monotonic())
        return state

    async def confirm(self) -> None:
        """Is the pane there? Cheaper than a look, where many share the census. Raises PaneLost, TmuxError."""
        try:
            if self.pane is None:
                self.pane = await self._find()
            else:
                self._see(await self._census.confirm(self.pane))
        except PaneLost:
            self._lose()
            raise

    async def _find(self) -> Pane:
        listing = await self._census.recent()
        self._see(listing)
        found = pick(listing, *self._names, self._held)
        await self._census.take(found.pane)
        self._held = found
        return found.pane

    def _see(self, listing: Listing) -> None:
        if self._held is None:
            return
        was_unclear, self._held = self._held.unclear, self._held.seen_in(listing)
        if self._held.unclear and not was_unclear:
            text = "the session has several windows now, so %r names no pane: ours stays, but is not found again when it is gone; write window.pane pane=%s"
            log.warning(text, self._names[1], self._held.pane.label)

    def _lose(self) -> None:
        self.pane = None
        self._memory = Memory()

    def judge(self, state: PaneState) -> Verdict:
        return judge(state, self._memory.learned(), self.rules)

    def sight(self, state: PaneState) -> Sight:
        return sight_of(state, self._memory.learned(), self.rules)

    def guard(self, state: PaneState, deadline: int = 0) -> Guard:
        return Guard(state.pane_id, self.pane is None or self.pane.per_pane, state.snapshot, deadline)

    async def guard_within(self, state: PaneState, left: float) -> Guard:
        """A guard that says no when `left` seconds are over, where tmux can compare."""
        if math.isinf(left) or await self._tmux.version() < COMPARES:
            return self.guard(state)
        end = time.time() + left  # tmux knows whole seconds only: a short claim may end up to one later
        return self.guard(state, int(end) if left >= 2 else math.ceil(end))

    def note_ran(self) -> None:
        """A command of ours was seen to run."""
        self._memory.note_ran(time.monotonic())

    async def run(self, *argv: str, stdin: Optional[bytes] = None) -> str:
        try:
            return await self._tmux.run(*argv, stdin=stdin)
        except TmuxError as error:
            if LOST.search(str(error)):
                self.pane = None
                raise PaneLost(f"pane {':'.join(self._names)} is gone ({error})") from error
            raise

    async def guarded(self, argv: list[str]) -> None:
        """Run one guarded sequence; NO from tmux means that something moved since we looked."""
        if "OK" not in (await self.run(*argv)).split():
            raise PaneNotReady(f"something changed in {self.label} at the last moment; nothing was typed")


def _compile(pattern: str) -> Optional[Pattern[str]]:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(f"--ready-pattern is {pattern!r}; it is no regular expression: {error}") from None

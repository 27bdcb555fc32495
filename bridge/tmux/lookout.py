"""Keeps an eye on one pane: finds it by name, looks, judges, remembers, and speaks to its tmux server.

The one place that holds what changes: the pane's identity and what looks at it have taught. When the pane is
lost both are forgotten, and the next look finds it again by name.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Optional, Pattern

from bridge.errors import PaneLost, PaneNotReady, TmuxError, UsageError
from bridge.settings import TmuxSettings
from bridge.tmux.census import Census
from bridge.tmux.command import LOST, Tmux
from bridge.tmux.guard import Guard
from bridge.tmux.memory import Memory
from bridge.tmux.pane import Pane, observe
from bridge.tmux.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.prompt import Verdict, judge
from bridge.tmux.state import PaneState


class Lookout:
    def __init__(self, tmux: Tmux, session: str, pane: str, settings: TmuxSettings, form: str, census: Optional[Census] = None) -> None:
        if form not in ("auto", "agent", "shell"):
            raise UsageError(f"--form is {form!r}; it must be one of auto, agent, shell")
        self._tmux = tmux
        self._census = census or Census(tmux)
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
                self.pane = await self._census.find(*self._names)
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
                self.pane = await self._census.find(*self._names)
            else:
                await self._census.confirm(self.pane)
        except PaneLost:
            self._lose()
            raise

    def _lose(self) -> None:
        self.pane = None
        self._memory = Memory()

    def judge(self, state: PaneState) -> Verdict:
        return judge(state, self._memory.learned(), self.rules)

    def sight(self, state: PaneState) -> Sight:
        return sight_of(state, self._memory.learned(), self.rules)

    def guard(self, state: PaneState, deadline: int = 0) -> Guard:
        return Guard(state.pane_id, self.pane is None or self.pane.per_pane, state.snapshot, deadline)

    def note_ran(self) -> None:
        """A command of ours was seen to run."""
        self._memory.note_ran(time.monotonic())

    async def version(self) -> tuple[int, int]:
        return await self._tmux.version()

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

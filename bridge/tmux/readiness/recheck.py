"""When to look again at a pane that is not ready?

    settling   when the screen has been still long enough; an earlier look has no use
    busy       when the terminal's flags change (0.06 ms a look); the end of a command changes them
    person     when the last key is old enough, which can be computed
    else       soon after the program writes something (tty_events.py), when tmux has drawn it

Some changes cause no event: a key, copy-mode, disabled input. A poll finds them, and slows down.
With events the poll is only a safety net and may be slower. Without events it is the only source.
"""

from __future__ import annotations

import asyncio

from bridge.settings import TmuxSettings
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import has_changed
from bridge.tmux.readiness.tty_events import Armed, TtyEvents
from bridge.tmux.readiness.verdict import Verdict
from bridge.tmux.server.identity import Pane

_TERMINAL_STEP = 0.02  # seconds between looks at the terminal's flags
_TERMINAL_NET = 0.05  # the same where events wake us: a safety net, 0.1 % of a core
_FULL_LOOK = 1.0  # seconds between tmux calls while only the program can make the pane ready
# Seconds without a write after which tmux has drawn what was written. Doubled after each look
# that finds the pane not ready.
_DRAWN = 0.005
# The maximum of that, and the minimum for a program with a spinner: longer than one frame.
_FRAME = 0.12
_GROWTH = 1.25  # of the poll's pause
_UNANNOUNCED = {"tmux_objection", "person"}  # objections that end without a byte from the program


class Recheck:
    """The pauses of one wait for readiness."""

    def __init__(self, settings: TmuxSettings, tty_events: TtyEvents | None) -> None:
        self._settings = settings
        self._tty_events = tty_events
        self._poll = settings.poll_min / 1000
        self._quiet = _DRAWN

    def arm(self, pane: Pane | None) -> Armed:
        """Call this before the look: a later write then wakes `pause`."""
        return self._tty_events.arm(pane.tty) if self._tty_events and pane else None

    async def pause(
        self, pane: Pane, state: PaneState, verdict: Verdict, armed: Armed, still_left: float
    ) -> None:
        """Return when another look may find the pane ready.

        `still_left`: seconds for which its screen must still be still.
        """
        if verdict.rule == "settling":
            await self._stir(
                pane,
                armed,
                min(self._settings.poll_min / 1000, max(0.0, still_left) + 0.001)
                if armed is None
                else still_left + 0.001,
            )
        elif verdict.rule == "busy":
            await self._terminal(pane, state, armed)
        elif await self._stir(
            pane,
            armed,
            self._next_poll(state, verdict, armed),
            _FRAME if verdict.rule == "working" else 0.0,
        ):
            # The program is active: the next looks come soon, with or without events.
            self._poll = self._settings.poll_min / 1000
        else:
            self._poll = self._poll * _GROWTH

    def _next_poll(self, state: PaneState, verdict: Verdict, armed: Armed) -> float:
        """Seconds until the next look if nothing is written."""
        unannounced = verdict.rule in _UNANNOUNCED or armed is None
        self._poll = min(self._poll, self._settings.poll_max / 1000 if unannounced else _FULL_LOOK)
        if verdict.rule == "person" and state.human_idle is not None:
            # A key's time is in whole seconds, and so is its age. Do not look before the quiet time
            # is over.
            return min(self._poll, max(0.0, self._settings.quiet / 1000 - state.human_idle) + 0.005)
        return self._poll

    async def _terminal(self, pane: Pane, state: PaneState, armed: Armed) -> None:
        """A command runs. Its end changes the terminal's flags, and then the shell writes."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _FULL_LOOK
        while clock() < deadline:
            if await self._stir(pane, armed, _TERMINAL_STEP if armed is None else _TERMINAL_NET):
                armed = self.arm(pane)
            if has_changed(pane.tty, state.terminal):
                return

    async def _stir(self, pane: Pane, armed: Armed, timeout: float, quiet: float = 0.0) -> bool:
        """Was something written, and then nothing for at least `quiet` seconds?

        A program that writes again and again is looked at less and less often.
        """
        if self._tty_events is None or armed is None:
            await asyncio.sleep(timeout)
            return False
        quiet = max(quiet, self._quiet)
        stirred = await self._tty_events.wait_stir(armed, pane.tty, timeout, quiet)
        self._quiet = min(self._quiet * 2, _FRAME) if stirred else _DRAWN
        return stirred

"""What consecutive looks at one process teach: how long its screen has stood still, and its prompts.

Forgotten when the pane is respawned or lost. No clock here: each look brings its time.
"""

from __future__ import annotations

import re
from typing import Optional

from bridge.tmux.program import Learned
from bridge.tmux.state import PaneState

_PROMPTS_LEARNED = 8  # prompts remembered of one shell: it shows its directory in them
_PROMPT_STILL = 0.3  # seconds a prompt must stand before it is learned: readline is raw before it has drawn


class Memory:
    """What consecutive looks at one process teach: how long it has stood still, and its prompts."""

    def __init__(self) -> None:
        self._picture: Optional[tuple[object, ...]] = None
        self._since = 0.0
        self.still = 0.0  # seconds between the first and the last of the equal looks
        self._line: Optional[tuple[object, ...]] = None
        self._line_since = 0.0
        self._line_still = 0.0  # the same of the cursor and its row alone
        self._busy_since: Optional[float] = None
        self._seen: tuple[str, ...] = ()  # text left of the cursor after each of the last commands
        self._prompts: tuple[str, ...] = ()

    def see(self, state: PaneState, is_shell: bool, asked: float, now: float) -> None:
        """One look: when it was asked for, and when its answer came. The screen was seen somewhere in between, and on a
        busy machine these are far apart; so that a stillness is never too long it runs from an answer to a question."""
        if state.picture != self._picture:
            self._picture, self._since = state.picture, now
        self.still = max(0.0, asked - self._since)
        if state.line != self._line:
            self._line, self._line_since = state.line, now
        self._line_still = max(0.0, asked - self._line_since)
        self._learn(state, is_shell, now)

    def _learn(self, state: PaneState, is_shell: bool, now: float) -> None:
        """A command has ended, and nobody was there to have typed ahead: left of the cursor stands the prompt.

        Believed when two commands have ended with the same text, and when that does not look like words:
        what another program typed ahead would look like a prompt, too.
        """
        terminal = state.terminal
        if terminal.known and terminal.canonical and terminal.echo:
            self._busy_since = now if self._busy_since is None else self._busy_since
        elif self._busy_since is not None and self.still >= _PROMPT_STILL:
            alone = not state.unseen_person and (state.human_idle is None or state.human_idle > now - self._busy_since)
            left, self._busy_since = state.left, None
            if is_shell and alone and not state.right.strip() and re.search(r"[^\w\s'\"]\s*$|λ\s*$", left):
                if left in self._seen:
                    self._prompts = tuple(dict.fromkeys([*self._prompts, left]))[-_PROMPTS_LEARNED:]
                self._seen = (*self._seen, left)[-_PROMPTS_LEARNED:]

    def learned(self) -> Learned:
        return Learned(self._prompts, self.still, self._line_still)

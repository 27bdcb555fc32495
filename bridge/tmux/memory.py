"""What consecutive looks at one process teach: how long its screen has stood still, and its prompts.

A prompt is what stands left of the cursor when a command has ended and nobody has typed. It is learned

    at once     after a command of ours that was seen to run: the shell must be at its prompt again
    in the end  when two commands of others have ended with the same text

and never from a question or a continuation (prompts.py), or while a person might have typed ahead. Prompts are
forgotten when another process reads the keys, all of it when the pane is respawned or lost. No clock here: each
look brings its time.
"""

from __future__ import annotations

from bridge.tmux.program import Learned
from bridge.tmux.prompts import is_learnable
from bridge.tmux.state import PaneState

_PROMPTS_LEARNED = 8  # prompts remembered of one shell: it shows its directory in them
_PROMPT_STILL = (
    0.3  # seconds a prompt must stand before it is learned: readline is raw before it has drawn
)


class Memory:
    """For one pane."""

    def __init__(self) -> None:
        self._picture: tuple[object, ...] | None = None
        self._since = 0.0
        self.still = 0.0  # seconds between the first and the last of the equal looks
        self._line: tuple[object, ...] | None = None
        self._line_since = 0.0
        self._line_still = 0.0  # the same of the cursor and its row alone
        self._busy_since: float | None = None
        self._ours_ran_at: float | None = (
            None  # when a command of ours was entered that was seen to run
        )
        self._process = ""
        self._seen: tuple[str, ...] = ()  # text left of the cursor after each of the last commands
        self._prompts: tuple[str, ...] = ()

    def see(self, state: PaneState, is_shell: bool, asked: float, now: float) -> None:
        """One look: when it was asked for, and when its answer came. The screen was seen somewhere in between, and on a
        busy machine these are far apart; so that a stillness is never too long it runs from an answer to a question."""
        if state.picture != self._picture:
            self._picture, self._since = state.picture, now
        self.still = max(0.0, asked - self._since)
        if is_shell and state.process != self._process:  # another shell, another prompt
            self._process, self._seen, self._prompts = state.process, (), ()
            self._busy_since = self._ours_ran_at = None
        if state.line != self._line:
            self._line, self._line_since = state.line, now
        self._line_still = max(0.0, asked - self._line_since)
        self._learn(state, is_shell, now)

    def note_ran(self, submitted: float) -> None:
        """A command of ours, entered then, was seen to run: what the shell shows next is its prompt, unless a person
        has typed since. The word that it ran may come late, and the person was quicker."""
        self._ours_ran_at = submitted

    def _learn(self, state: PaneState, is_shell: bool, now: float) -> None:
        terminal = state.terminal
        if terminal.known and terminal.canonical and terminal.echo:
            self._busy_since = now if self._busy_since is None else self._busy_since
            return
        if self.still < _PROMPT_STILL or not is_shell:
            return
        started = [moment for moment in (self._busy_since, self._ours_ran_at) if moment is not None]
        if not started:
            return
        is_alone = not state.unseen_person and (
            state.human_idle is None or state.human_idle > now - min(started)
        )
        is_ours, self._busy_since, self._ours_ran_at = self._ours_ran_at is not None, None, None
        left = state.left
        if not is_alone or state.right.strip() or not is_learnable(left):
            return
        if is_ours or left in self._seen:
            self._prompts = tuple(dict.fromkeys([*self._prompts, left]))[-_PROMPTS_LEARNED:]
        self._seen = (*self._seen, left)[-_PROMPTS_LEARNED:]

    def learned(self) -> Learned:
        return Learned(self._prompts, self.still, self._line_still)

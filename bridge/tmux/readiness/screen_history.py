"""What is learned from consecutive looks at one process: its prompts, and for how long it is still.

A prompt is the text left of the cursor when a command has ended and no person has typed. It is
learned

    immediately   after a command of ours that was seen to run: the shell is then at its prompt
    later         when two commands that are not ours have ended with the same text

Questions and continuation prompts are never learned (prompts.py). Nothing is learned while a person
may have typed ahead. Prompts are dropped when another process reads the keys, and everything when
the pane is respawned or lost. This module has no clock: each look carries its time.
"""

from __future__ import annotations

from bridge.tmux.readiness.program import Learned
from bridge.tmux.readiness.prompts import is_learnable
from bridge.tmux.readiness.snapshot import PaneState

_PROMPTS_LEARNED = 8  # prompts of one shell: they differ, because they contain its directory
# Seconds for which a prompt must be still before it is learned: readline enters raw mode before it
# has drawn the prompt.
_PROMPT_STILL = 0.3


class ScreenHistory:
    """Of one pane. `add_look` takes each look, and `learned` returns what a check may use."""

    def __init__(self) -> None:
        self._picture: tuple[object, ...] | None = None
        self._picture_since = 0.0
        self.still = 0.0  # seconds between the first and the last of the equal looks
        self._line: tuple[object, ...] | None = None
        self._line_since = 0.0
        self._line_still = 0.0  # the same for the cursor and its row only
        self._busy_since: float | None = None
        # When our last command was submitted, if it was seen to run.
        self._our_command_at: float | None = None
        self._shell = ""  # its process (PaneState.process)
        # The text left of the cursor after each of the last commands.
        self._last_texts: tuple[str, ...] = ()
        self._prompts: tuple[str, ...] = ()

    def add_look(self, state: PaneState, is_shell: bool, asked: float, now: float) -> None:
        """Add one look: when it was requested, and when its answer came.

        The screen was read at some moment in between. On a busy machine the two times are far
        apart. So stillness is measured from one answer to a later request, and is never too long.
        """
        if state.picture != self._picture:
            self._picture, self._picture_since = state.picture, now
        self.still = max(0.0, asked - self._picture_since)
        if is_shell and state.process != self._shell:  # another shell, another prompt
            self._shell, self._last_texts, self._prompts = state.process, (), ()
            self._busy_since = self._our_command_at = None
        if state.line != self._line:
            self._line, self._line_since = state.line, now
        self._line_still = max(0.0, asked - self._line_since)
        self._learn(state, is_shell, now)

    def note_ran(self, submitted: float) -> None:
        """Our command, submitted at that time, was seen to run.

        What the shell shows next is its prompt, unless a person has typed since. The report that
        it ran may arrive late, after the person's keys.
        """
        self._our_command_at = submitted

    def _learn(self, state: PaneState, is_shell: bool, now: float) -> None:
        terminal = state.terminal
        if terminal.known and terminal.canonical and terminal.echo:
            self._busy_since = now if self._busy_since is None else self._busy_since
            return
        if self.still < _PROMPT_STILL or not is_shell:
            return
        started = [
            moment for moment in (self._busy_since, self._our_command_at) if moment is not None
        ]
        if not started:
            return
        is_alone = not state.unseen_person and (
            state.human_idle is None or state.human_idle > now - min(started)
        )
        is_ours = self._our_command_at is not None
        self._busy_since = self._our_command_at = None
        left = state.left
        if not is_alone or state.right.strip() or not is_learnable(left):
            return
        if is_ours or left in self._last_texts:
            self._prompts = tuple(dict.fromkeys([*self._prompts, left]))[-_PROMPTS_LEARNED:]
        self._last_texts = (*self._last_texts, left)[-_PROMPTS_LEARNED:]

    def learned(self) -> Learned:
        return Learned(self._prompts, self.still, self._line_still)

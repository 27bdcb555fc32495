"""Check and type in one step, inside the tmux server.

Between our look at a pane and our typing, a person may press a key or open copy-mode, or the
program may die. tmux runs a command queue to its end without returning to its event loop, so

    if-shell -F '<nothing changed>' 'paste ; mark ; print OK' 'print NO'

cannot be interrupted by any of these. NO is no error: look again later. Such a sequence, perhaps
with its buffer set before it, is for `Tmux.run_guarded`: its output proves whether it was done.

A person's key sets session_activity to the present second, whether or not the program has shown
the key. We type only after a longer time without keys, so a new key always changes this field.

The same guard prevents a paste into a dead pane, which kills the whole server before tmux 3.4
(tmux issue 3830).

The command string contains only ids, numbers and marks, so nothing in it needs quoting. The body is
in a buffer. If it comes through stdin, an earlier call has loaded it: in the same call, a writer
that dies would leave half of the body, pasted.

The claim's deadline is in the condition, too (tmux 3.2 or later). A machine may sleep between our
look and the paste, and another watcher may type the ticket meanwhile. tmux reads the wall clock at
that moment, through strftime(3)'s %s in an option of ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bridge.tmux.injection.pane_marks import option_names

NOW = "@bridge_now"
_FIELDS = [
    "pid",
    "pane_id",
    "pane_pid",
    "pane_dead",
    "pane_in_mode",
    "pane_input_off",
    "pane_synchronized",
    "cursor_x",
    "cursor_y",
    "cursor_flag",
    "alternate_on",
    "pane_width",
    "pane_height",
    "session_activity",
]
DONE, NOT_DONE = "display-message -p OK", "display-message -p NO"
# The fields, the two marks, and the command. It comes last because its name may hold any character.
FIELD_COUNT = len(_FIELDS) + 3


def snapshot_format(pane_id: str, per_pane: bool) -> str:
    """The tmux format of the pane's state. PaneState.snapshot is its value at one look."""
    pasted, sent = option_names(pane_id, per_pane)
    return "/".join("#{%s}" % name for name in [*_FIELDS, pasted, sent, "pane_current_command"])


@dataclass(frozen=True)
class Guard:
    """Builds the guarded sequences for one pane, for the state that one look has returned."""

    pane_id: str
    per_pane: bool  # tmux 3.0 or later
    snapshot: str
    deadline: int = 0  # the claim's end, in seconds since 1970; 0: none, or tmux cannot compare

    def _condition(self) -> str:
        # The three characters that end a format's argument.
        escaped = re.sub(r"([#,}])", r"#\1", self.snapshot)
        same = "#{==:%s,%s}" % (snapshot_format(self.pane_id, self.per_pane), escaped)
        return "#{&&:%s,#{e|<:#{T:%s},%d}}" % (same, NOW, self.deadline) if self.deadline else same

    def _set(self, which: int, ring: str) -> str:
        return f'{" ".join(self._option(which))} "{ring}"'

    def _option(self, which: int) -> list[str]:
        where = ["-p", "-t", self.pane_id] if self.per_pane else ["-g"]
        return ["set-option", *where, option_names(self.pane_id, self.per_pane)[which]]

    def _sequence(self, steps: list[str], otherwise: list[str]) -> list[str]:
        yes, no = " ; ".join([*steps, DONE]), " ; ".join([*otherwise, NOT_DONE])
        clock = ["set-option", "-g", NOW, "%s", ";"] if self.deadline else []
        return [*clock, "if-shell", "-F", "-t", self.pane_id, self._condition(), yes, no]

    def paste(self, buffer: str, pasted: str) -> list[str]:
        """Paste and set the mark. Enter comes later, when the text has been seen on the screen.

        -p adds paste brackets if the program asked for them, -r keeps LF as LF.
        """
        steps = [f"paste-buffer -d -p -r -b {buffer} -t {self.pane_id}", self._set(0, pasted)]
        return self._sequence(steps, [f"delete-buffer -b {buffer}"])

    def reprint(self) -> list[str]:
        """^R: the kernel prints its line buffer again (typed_ahead.py)."""
        return self._sequence([f"send-keys -t {self.pane_id} C-r"], [])

    def enter(self, sent: str) -> list[str]:
        # The NAMED key: with extended keys on, tmux >= 3.5 sends C-m as an escape sequence.
        return self._sequence([f"send-keys -t {self.pane_id} Enter", self._set(1, sent)], [])

    def note(self, sent: str) -> list[str]:
        """Set the mark, whatever has changed meanwhile."""
        return [*self._option(1), sent]

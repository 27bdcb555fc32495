"""Test and type in one step, inside the tmux server.

Between our look at a pane and our typing a person may press a key, open copy-mode, or the program
may die. A tmux command queue runs to its end without going back to its event loop, so

    if-shell -F '<nothing changed>' 'paste ; mark ; Enter ; say OK' 'say NO'

cannot be interrupted by any of these. A person's key moves session_activity to the present second, whether the program has
shown it or not, and whoever is typed for has not touched a key for longer. NO is no error: look again later. The same guard keeps us from
pasting into a dead pane, which kills the whole server before tmux 3.4 (tmux issue 3830).

Nothing but ids, numbers and marks enters the command string, so nothing in it needs quoting; the
body is in a buffer, loaded by an earlier call (in the same call a writer that dies would leave half
of it, pasted).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Sequence

from bridge.tmux.marks import option_names

_FIELDS = (
    "pid pane_id pane_pid pane_dead pane_in_mode pane_input_off pane_synchronized cursor_x cursor_y cursor_flag alternate_on pane_width pane_height session_activity"
).split()
DONE, NOT_DONE = "display-message -p OK", "display-message -p NO"
FIELD_COUNT = len(_FIELDS) + 3  # and the two marks, and the command, last: its name may hold anything


def snapshot_format(pane_id: str, per_pane: bool) -> str:
    """The format whose value is the pane's state; SNAPSHOT is what tmux prints for it."""
    pasted, sent = option_names(pane_id, per_pane)
    return "/".join("#{%s}" % name for name in [*_FIELDS, pasted, sent, "pane_current_command"])


def is_guarded(argv: Sequence[str]) -> bool:
    """Is it one of our sequences, perhaps with its buffer set before it? Its output says what became of it."""
    return len(argv) >= 7 and tuple(argv[-7:-5]) == ("if-shell", "-F") and argv[-2].endswith(DONE) and argv[-1].endswith(NOT_DONE)


@dataclass(frozen=True)
class Guard:
    """Builds the guarded sequences for one pane as it was seen."""

    pane_id: str
    per_pane: bool  # tmux 3.0 or later
    snapshot: str

    def _condition(self) -> str:
        escaped = re.sub(r"([#,}])", r"#\1", self.snapshot)  # the three characters that end a format's argument
        return "#{==:%s,%s}" % (snapshot_format(self.pane_id, self.per_pane), escaped)

    def _set(self, which: int, ring: str) -> str:
        return f'{" ".join(self._option(which))} "{ring}"'

    def _option(self, which: int) -> list[str]:
        where = ["-p", "-t", self.pane_id] if self.per_pane else ["-g"]
        return ["set-option", *where, option_names(self.pane_id, self.per_pane)[which]]

    def _sequence(self, steps: list[str], otherwise: list[str]) -> list[str]:
        yes, no = " ; ".join([*steps, DONE]), " ; ".join([*otherwise, NOT_DONE])
        return ["if-shell", "-F", "-t", self.pane_id, self._condition(), yes, no]

    def paste(self, buffer: str, pasted: str) -> list[str]:
        """Paste and remember; Enter comes later, when the text has been seen on the screen.

        -p brackets if the program asked for it, -r keeps LF what it is.
        """
        steps = [f"paste-buffer -d -p -r -b {buffer} -t {self.pane_id}", self._set(0, pasted)]
        return self._sequence(steps, [f"delete-buffer -b {buffer}"])

    def paste_and_enter(self, buffer: str, pasted: str, sent: str) -> list[str]:
        """For a line editor that we know: everything at once."""
        steps = [f"paste-buffer -d -p -r -b {buffer} -t {self.pane_id}", self._set(0, pasted), *self._enter(sent)]
        return self._sequence(steps, [f"delete-buffer -b {buffer}"])

    def enter(self, sent: str) -> list[str]:
        return self._sequence(self._enter(sent), [])

    def note(self, sent: str) -> list[str]:
        """Remember, whatever has changed meanwhile."""
        return [*self._option(1), sent]

    def _enter(self, sent: str) -> list[str]:
        # The NAMED key: with extended keys on, tmux >= 3.5 sends C-m as an escape sequence.
        return [f"send-keys -t {self.pane_id} Enter", self._set(1, sent)]

"""Test and type in one step, inside the tmux server.

Between our look at a pane and our typing a person may press a key, open copy-mode, or the program
may die. A tmux command queue runs to its end without going back to its event loop, so

    if-shell -F '<nothing changed>' 'paste ; mark ; say OK' 'say NO'

cannot be interrupted by any of these. A person's key moves session_activity to the present second, whether the program has
shown it or not, and whoever is typed for has not touched a key for longer. NO is no error: look again later. The same guard keeps us from
pasting into a dead pane, which kills the whole server before tmux 3.4 (tmux issue 3830).

Nothing but ids, numbers and marks enters the command string, so nothing in it needs quoting; the
body is in a buffer, loaded by an earlier call (in the same call a writer that dies would leave half
of it, pasted).

The claim's deadline stands in the condition, too (tmux 3.2 or later): a machine that slept between our look and
the paste wakes up in the middle of it, and another watcher may have typed the ticket meanwhile. tmux reads the wall
clock then, through strftime(3)'s %s in an option of ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.tmux.marks import option_names

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
FIELD_COUNT = (
    len(_FIELDS) + 3
)  # and the two marks, and the command, last: its name may hold anything


def snapshot_format(pane_id: str, per_pane: bool) -> str:
    """The format whose value is the pane's state; SNAPSHOT is what tmux prints for it."""
    pasted, sent = option_names(pane_id, per_pane)
    return "/".join("#{%s}" % name for name in [*_FIELDS, pasted, sent, "pane_current_command"])


def is_guarded(argv: Sequence[str]) -> bool:
    """Is it one of our sequences, perhaps with its buffer set before it? Its output says what became of it."""
    return (
        len(argv) >= 7
        and tuple(argv[-7:-5]) == ("if-shell", "-F")
        and argv[-2].endswith(DONE)
        and argv[-1].endswith(NOT_DONE)
    )


@dataclass(frozen=True)
class Guard:
    """Builds the guarded sequences for one pane as it was seen."""

    pane_id: str
    per_pane: bool  # tmux 3.0 or later
    snapshot: str
    deadline: int = 0  # seconds since 1970 at which the claim ends; 0: none, or tmux cannot tell

    def _condition(self) -> str:
        escaped = re.sub(
            r"([#,}])", r"#\1", self.snapshot
        )  # the three characters that end a format's argument
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
        """Paste and remember; Enter comes later, when the text has been seen on the screen.

        -p brackets if the program asked for it, -r keeps LF what it is.
        """
        steps = [f"paste-buffer -d -p -r -b {buffer} -t {self.pane_id}", self._set(0, pasted)]
        return self._sequence(steps, [f"delete-buffer -b {buffer}"])

    def reprint(self) -> list[str]:
        """^R: the kernel shows what stands in its line buffer (typed_ahead.py)."""
        return self._sequence([f"send-keys -t {self.pane_id} C-r"], [])

    def enter(self, sent: str) -> list[str]:
        # The NAMED key: with extended keys on, tmux >= 3.5 sends C-m as an escape sequence.
        return self._sequence([f"send-keys -t {self.pane_id} Enter", self._set(1, sent)], [])

    def note(self, sent: str) -> list[str]:
        """Remember, whatever has changed meanwhile."""
        return [*self._option(1), sent]

"""A person's hands and eyes at one pane: keys through a terminal of their own, and the screen.

The person presses Enter only if exactly their line stands behind the prompt. Otherwise they delete
the part of it that they see, key by key. A pane that died, or a mode of tmux, may have discarded
some of their keys.
"""

from __future__ import annotations

import random
import re
import threading
import time

from panes import Person

from soak.places import SHELL_PROMPT, Place
from soak.scene import Scene

KILL_LINE = "\x15"
BACKSPACE = "\x7f"
INTERRUPT, CLEAR = "\x03", "\x0c"
LEFT, RIGHT, UP = "\x1b[D", "\x1b[C", "\x1b[A"
START, END = "\x01", "\x05"
WIDTH = 100  # columns of every pane
LOOKS = 0.15  # seconds between two looks at the screen
READ = 5.0  # seconds a person waits for the screen to show their line
STARTS = 30.0  # seconds that an agent may take to start; all processes share two cores
# Seconds without a word of theirs until a person takes it as deleted. A slow program may show its
# input late.
GONE = 1.0
STEADY = 0.2  # seconds between two looks that must agree
OWN = (
    6  # least number of characters at the end of the input by which a person recognizes their text
)
ANCHOR = 24  # characters before their own words, by which a person finds the place again


class Hands:
    """The hands and eyes of one person at `place`."""

    def __init__(
        self, scene: Scene, place: Place, chance: random.Random, stopping: threading.Event
    ) -> None:
        self.unentered = ""  # text that was typed, and neither entered nor deleted
        self._scene, self._place, self._random, self._stopping = scene, place, chance, stopping
        self._before = ""  # the text of the input before the person's words
        self._terminal: Person | None = None
        self._terminal_of = ""  # its process id

    # keys

    def press(self, keys: str) -> None:
        server = self._scene.tmux("display-message", "-p", "#{pid}")
        if not server:
            return  # no tmux server runs: the keys go nowhere
        if self._terminal is None or self._terminal_of != server:
            self.leave()
            self._terminal = Person(self._scene.handle(self._place))
            self._terminal_of = server
        self._terminal.press(keys)
        self._scene.note(f"the person at {self._place.name} pressed {keys!r}")

    def leave(self) -> None:
        if self._terminal is not None:
            self._terminal.leave()
            self._terminal = None

    def stand(self, most: float = 1.5) -> None:
        self._stopping.wait(self._random.uniform(0.0, most))

    def type(self, line: str) -> bool:
        """Type a line in two bursts; return whether the input holds exactly this line.

        If it does not, delete the line. Type nothing while a rest of the last line stands: behind
        its `❯ ` the new line would look as if it stood alone.
        """
        self.take_back()
        if self.unentered:
            return False
        self.unentered = line
        cut = self._random.randrange(OWN, len(line) - OWN + 1)
        self.press(line[:cut])
        self.stand(0.3)
        self.press(line[cut:])
        if self.wait(lambda: self.stands(line)):
            return True
        self.take_back()
        return False

    def type_behind(self, line: str, more: str) -> bool:
        """Type more behind a line that is in the input."""
        self.unentered = line + more
        self.press(more)
        return self.wait(lambda: self.stands(line + more))

    def move(self, key: str) -> None:
        """Move the cursor to the line's start or end, in any line editor."""
        is_vi = self._place.editor == "vi" and not self._place.is_agent
        self.press({START: LEFT, END: RIGHT}[key] * len(self.unentered) if is_vi else key)

    def take_back(self) -> None:
        """Delete the unentered text, and wait until it is gone.

        The terminal may pass keys on late, so a person who left at once could lose some of them.
        """
        if not self.unentered:
            return
        if self._place.is_agent:
            is_gone = self._delete_what_is_seen()
        else:
            is_gone = self._delete_the_line()
        if is_gone:
            self.unentered = ""

    def _delete_the_line(self) -> bool:
        """Delete a shell's line: no ticket ever stands in it unentered."""
        if self._place.editor != "none":
            self.move(END)
        self.press(BACKSPACE * len(self.unentered))
        if not self.wait(self.is_empty):
            self._bring_a_clean_prompt()
        return True

    def _bring_a_clean_prompt(self) -> None:
        """Bring a new prompt, because keys typed ahead garble the prompt and the row above.

        Press one Enter at a time: a slow shell that reads two draws both prompts in one row.
        """
        self.press(KILL_LINE + "\r")
        if not self.wait(self.is_empty):
            self.press("\r")
            self.wait(self.is_empty)

    def _delete_what_is_seen(self) -> bool:
        """Delete the text in an agent's input, where a ticket may stand before it."""
        self.press(END)
        self._before = ""
        gone = time.monotonic() + GONE
        while time.monotonic() < gone:
            if self.is_empty() or self._has_died():
                return True
            own = self._steady_own_end()
            if own:
                self.press(BACKSPACE * own)
                self.wait(lambda before=own: self._steady_own_end() != before)
                gone = time.monotonic() + GONE
        return False

    def _has_died(self) -> bool:
        """True if the agent above a shell has ended: the text ended with it.

        The shell's screen still shows the agent's last picture.
        """
        return self._place.has_shell_below and not self._scene.inner_pid(self._place)

    def clear(self) -> None:
        """Clear a shell's line that contains nothing to keep."""
        self.press(KILL_LINE)
        while not self.wait(self.is_empty):
            self._bring_a_clean_prompt()

    def start_agent(self) -> None:
        """Clear the shell's line, and start the agent again after it ended."""
        until = time.monotonic() + STARTS
        self.unentered = ""
        while not self._scene.inner_pid(self._place):
            assert time.monotonic() < until, f"the agent in {self._place.name} does not start"
            self.press(INTERRUPT)
            self.press(CLEAR)
            if self.wait(lambda: self.row() == SHELL_PROMPT.strip()):
                self.press("sh agent\r")
                self.wait(lambda: self._scene.inner_pid(self._place))
        with self._scene.lock:
            self._scene.note_inner(self._place)
        while not self.wait(self.is_empty) and self._scene.inner_pid(self._place):
            assert time.monotonic() < until, f"the agent in {self._place.name} shows no input"

    # eyes

    def wait(self, condition) -> bool:
        deadline = time.monotonic() + READ
        while not condition():
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOKS)
        return True

    def stands(self, line: str) -> bool:
        """True if the input holds exactly the line, with the cursor at its end."""
        drawn = self._drawn(line)
        return self.rows()[-len(drawn) :] == drawn

    def _drawn(self, line: str) -> list[str]:
        """Return the rows of the line behind the prompt."""
        room = WIDTH - 4 if self._place.is_boxed else WIDTH
        rows = []
        for part in (self._place.prompt + line).split("\n"):
            rows += [part[start : start + room] for start in range(0, max(1, len(part)), room)]
        return [row.strip() if self._place.is_agent else row.rstrip() for row in rows]

    def is_empty(self) -> bool:
        """True if the input is empty. A row of a draft may look like an empty input."""
        rows = self.rows()
        mark = re.match(r"[a-z]+-[a-z]+-\d+", self.unentered)
        # The mark may wrap, so join the rows.
        return rows[-1] == (self._place.prompt + self._place.placeholder).rstrip() and not (
            mark and mark[0] in "".join(rows[-8:])
        )

    def _steady_own_end(self) -> int:
        """`_own_end` of two looks that agree, because one look may show half a redraw."""
        before, now = -1, self._own_end()
        while now != before:
            time.sleep(STEADY)
            before, now = now, self._own_end()
        return now

    def _own_end(self) -> int:
        """Count the characters at the end of the input that the person typed, without blanks.

        They are a part of the unentered text, and may have several rows.
        """
        rows = self.rows()
        prompt, own = self._place.prompt, _solid(self.unentered)
        alone = _solid(rows[-1][len(prompt) :]) if rows[-1].startswith(prompt) else ""
        if alone and alone in own:
            return len(alone)
        seen = _solid("".join(rows[-8:]))
        _, has_anchor, rest = seen.rpartition(self._before) if self._before else ("", "", "")
        # The person has deleted a part of it, and remembers where it began.
        if has_anchor and own.startswith(rest):
            return len(rest)
        length = max(
            (
                length
                for length in range(OWN, len(own) + 1)
                if seen[-length:] in own and length <= len(seen)
            ),
            default=0,
        )
        self._before = seen[:-length][-ANCHOR:] if length and own.startswith(seen[-length:]) else ""
        return length

    def row(self) -> str:
        """Return the cursor's row."""
        return self.rows()[-1]

    def rows(self) -> list[str]:
        """Return the rows down to the cursor's row, without the frame that an agent draws."""
        cursor, *rows = self._scene.tmux(
            "display-message",
            "-p",
            "-t",
            self._place.id,
            "#{cursor_y}",
            ";",
            "capture-pane",
            "-p",
            "-t",
            self._place.id,
        ).split("\n")
        # For a pane that is gone, tmux prints a blank.
        rows = rows[: int(cursor) + 1] if cursor.isdigit() and int(cursor) < len(rows) else [""]
        return [row.strip("│").strip() if self._place.is_agent else row.rstrip() for row in rows]


def _solid(text: str) -> str:
    return "".join(text.split())

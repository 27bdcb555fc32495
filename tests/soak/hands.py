"""A person's eyes and hands at one pane: keys through a terminal of their own, and the screen, read back.

They read before they press Enter: only when their line, all of it and nothing else, stands behind the prompt. Otherwise
they take back what they see of it, key by key: a pane that died, or a mode, may have eaten some of their keys.
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
STARTS = 30.0  # seconds that an agent may take to come up: two cores, shared by everything
GONE = 1.0  # seconds without a word of theirs, until they believe that it is gone: a slow program may not have shown it yet
STEADY = 0.2  # seconds between two looks that agree
OWN = 6  # characters at the end of the input by which a person knows that they are theirs
ANCHOR = 24  # characters before their own words, by which they find the place again


class Hands:
    """Of one person, who stands at `place`."""

    def __init__(
        self, scene: Scene, place: Place, chance: random.Random, stopping: threading.Event
    ) -> None:
        self.unentered = ""  # what they typed and have neither entered nor taken back
        self._scene, self._place, self._random, self._stopping = scene, place, chance, stopping
        self._before = ""  # what the input shows before their words
        self._terminal: Person | None = None
        self._terminal_of = 0

    # keys

    def press(self, keys: str) -> None:
        server = int(self._scene.tmux("display-message", "-p", "#{pid}"))
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
        """Type, in two bursts; does the line stand there alone now? If not, it is taken back. They begin no other while a rest of
        the last one stands: behind its `❯ ` the new one would look as if it stood alone."""
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
        """Type more behind the line that stands there."""
        self.unentered = line + more
        self.press(more)
        return self.wait(lambda: self.stands(line + more))

    def move(self, key: str) -> None:
        """To the line's start or end, whichever editor has it."""
        is_vi = self._place.editor == "vi" and not self._place.is_agent
        self.press({START: LEFT, END: RIGHT}[key] * len(self.unentered) if is_vi else key)

    def take_back(self) -> None:
        """And see it gone, before they leave: their terminal passes keys on in its own time."""
        if not self.unentered:
            return
        if self._place.is_agent:
            is_gone = self._delete_what_is_seen()
        else:
            is_gone = self._delete_the_line()
        if is_gone:
            self.unentered = ""

    def _delete_the_line(self) -> bool:
        """Of a shell: no ticket ever stands in its line."""
        if self._place.editor != "none":
            self.move(END)
        self.press(BACKSPACE * len(self.unentered))
        if not self.wait(self.is_empty):
            self._bring_a_clean_prompt()
        return True

    def _bring_a_clean_prompt(self) -> None:
        """Keys typed ahead of a prompt garble it and the row above. One Enter at a time: of two that a slow shell reads at once
        the prompts stand in one row."""
        self.press(KILL_LINE + "\r")
        if not self.wait(self.is_empty):
            self.press("\r")
            self.wait(self.is_empty)

    def _delete_what_is_seen(self) -> bool:
        """Of an agent: a ticket may stand before it."""
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
        """Of an agent that they started from a shell: their words died with it, and the shell below has its picture."""
        return self._place.has_shell_below and not self._scene.inner_pid(self._place)

    def clear(self) -> None:
        """A shell's line of which they know that none of it is worth keeping."""
        self.press(KILL_LINE)
        while not self.wait(self.is_empty):
            self._bring_a_clean_prompt()

    def start_agent(self) -> None:
        """The agent has ended; tidy the shell's line, and start it again."""
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
        """The line, and it alone, with the cursor at its end?"""
        drawn = self._drawn(line)
        return self.rows()[-len(drawn) :] == drawn

    def _drawn(self, line: str) -> list[str]:
        """The rows that it takes behind the prompt."""
        room = WIDTH - 4 if self._place.is_boxed else WIDTH
        rows = []
        for part in (self._place.prompt + line).split("\n"):
            rows += [part[start : start + room] for start in range(0, max(1, len(part)), room)]
        return [row.strip() if self._place.is_agent else row.rstrip() for row in rows]

    def is_empty(self) -> bool:
        """Is nothing in the input? A row of a draft may look like an empty one."""
        rows = self.rows()
        mark = re.match(r"[a-z]+-[a-z]+-\d+", self.unentered)
        return rows[-1] == (self._place.prompt + self._place.placeholder).rstrip() and not (
            mark and mark[0] in "".join(rows[-8:])
        )  # it may be wrapped

    def _steady_own_end(self) -> int:
        """As two looks agree on: one of them may have seen half a redraw."""
        before, now = -1, self._own_end()
        while now != before:
            time.sleep(STEADY)
            before, now = now, self._own_end()
        return now

    def _own_end(self) -> int:
        """Characters at the end of the input that are theirs, blanks not counted: a part of what they typed, in some rows."""
        rows = self.rows()
        prompt, own = self._place.prompt, _solid(self.unentered)
        alone = _solid(rows[-1][len(prompt) :]) if rows[-1].startswith(prompt) else ""
        if alone and alone in own:
            return len(alone)
        seen = _solid("".join(rows[-8:]))
        _, has_anchor, rest = seen.rpartition(self._before) if self._before else ("", "", "")
        if has_anchor and own.startswith(
            rest
        ):  # they have deleted some of it, and remember where it began
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
        """The cursor's row."""
        return self.rows()[-1]

    def rows(self) -> list[str]:
        """The rows down to the cursor's, without the frame that the agent draws around them."""
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
        rows = (
            rows[: int(cursor) + 1] if cursor.isdigit() and int(cursor) < len(rows) else [""]
        )  # of a pane that is gone tmux prints a blank
        return [row.strip("│").strip() if self._place.is_agent else row.rstrip() for row in rows]


def _solid(text: str) -> str:
    return "".join(text.split())

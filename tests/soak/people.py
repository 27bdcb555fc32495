"""The person at each pane, who types what a person types, when a person likes.

Their keys come through a terminal of their own. They read before they press Enter: only when their line, all of it
and nothing else, stands behind the prompt; otherwise they take back what they see of it, key by key, and go away: a
pane that died, or a mode, may have eaten some of their keys. So whatever else reaches the program, or is missing
there, is somebody else's doing.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time

from soak.scene import Place, Scene

from panes import Person  # noqa: E402  (soak.scene has shown the way to it)

KILL_LINE = "\x15"
BACKSPACE = "\x7f"
READ = 5.0  # seconds a person waits for the screen to show their line
GONE = 1.0  # seconds without a word of theirs, until they believe that it is gone: a slow program may not have shown it yet
STEADY = 0.2  # seconds between two looks that agree
OWN = 6  # characters at the end of the input by which a person knows that they are theirs


class Human(threading.Thread):
    """One person, one pane. `lines`: what they have entered, with the pane's process of that moment."""

    def __init__(self, scene: Scene, place: Place, seed: object, stopping: threading.Event) -> None:
        super().__init__(name=f"human at {place.name}", daemon=True)
        self.lines: list[tuple[int, str, float]] = []
        self.counts: dict[str, int] = {}
        self.failure: BaseException | None = None
        self._scene, self._place, self._stopping = scene, place, stopping
        self._random = random.Random(f"human {place.name} {seed}")
        self._number = 0
        self._terminal: Person | None = None
        self._terminal_of = 0
        self._unentered = ""  # what they have typed, and neither entered nor taken back

    def run(self) -> None:
        episodes = {self._write_a_line: 3, self._change_mind: 4, self._copy_mode: 2, self._clock_mode: 1, self._input_off: 1, self._synchronize: 1, self._zoom: 1}
        try:
            while not self._stopping.wait(self._random.uniform(0.3, 3.0)):
                episode = self._random.choices(list(episodes), list(episodes.values()))[0]
                if self._in_this_life(episode):
                    self.counts[episode.__name__] = self.counts.get(episode.__name__, 0) + 1
            while not self._in_this_life(lambda life: None):
                pass
            self._leave()
        except BaseException as error:
            self.failure = error

    def _in_this_life(self, episode) -> bool:
        """Does it end before the pane's program does?"""
        with self._scene.lock:
            life = self._place.lives[-1]
        try:
            self._take_back()
            self._scene.note(f"the person at {self._place.name}: {episode.__name__}")
            episode(life.pid)
            return True
        except (AssertionError, OSError, subprocess.SubprocessError):
            if self._place.lives[-1] is life and life.doomed == float("inf"):
                raise  # nothing died: that is no excuse
            return False

    # what people do

    def _write_a_line(self, life: int) -> None:
        self._number += 1
        mark = f"human-{self._place.name}-{self._number}"
        line = mark if self._place.name == "agent" else f"sh record {mark}"
        if self._type(line):
            with self._scene.lock:  # a program that dies under the Enter may or may not have had it
                if self._place.lives[-1].pid != life:
                    return  # it has died since they read the line
                self._press("\r")
                self._unentered = ""
                self.lines.append((life, mark, time.time()))
            self._see_it_taken(line)

    def _see_it_taken(self, line: str) -> None:
        """Some agents swallow an Enter: press it again, as long as the very line stands there. It is entered when it leaves."""
        deadline = time.monotonic() + READ
        pressed = time.monotonic()
        while self._row() == self._place.prompt + line and time.monotonic() < deadline:
            self.lines[-1] = (*self.lines[-1][:2], time.time())
            if time.monotonic() - pressed > 1.0:
                self._press("\r")
                pressed = time.monotonic()
            time.sleep(0.05)

    def _change_mind(self, life: int) -> None:
        """Half a line stands for a while, and goes away again."""
        self._number += 1
        if self._type(f"half-{self._place.name}-{self._number}$(>pwned-half);rm"):
            self._stopping.wait(self._random.uniform(0.0, 3.0))
            self._take_back()

    def _copy_mode(self, life: int) -> None:
        self._tmux("copy-mode", "-t", self._place.id)
        self._stand()
        self._tmux("copy-mode", "-q", "-t", self._place.id)

    def _clock_mode(self, life: int) -> None:
        self._tmux("clock-mode", "-t", self._place.id)
        self._stand()
        self._tmux("copy-mode", "-q", "-t", self._place.id)

    def _input_off(self, life: int) -> None:
        self._tmux("select-pane", "-d", "-t", self._place.id)
        self._stand()
        self._tmux("select-pane", "-e", "-t", self._place.id)

    def _synchronize(self, life: int) -> None:
        self._tmux("set-option", "-w", "-t", self._place.id, "synchronize-panes", "on")
        self._stand()
        self._tmux("set-option", "-w", "-t", self._place.id, "synchronize-panes", "off")

    def _zoom(self, life: int) -> None:
        """The window's layout changes, and every program redraws."""
        self._tmux("resize-pane", "-Z", "-t", self._place.id)
        self._stand()
        self._tmux("resize-pane", "-Z", "-t", self._place.id)

    # how they do it

    def _stand(self) -> None:
        self._stopping.wait(self._random.uniform(0.0, 1.5))

    def _tmux(self, *words: str) -> str:
        return self._scene.tmux(*words)

    def _press(self, keys: str) -> None:
        server = int(self._tmux("display-message", "-p", "#{pid}"))
        if self._terminal is None or self._terminal_of != server:
            self._leave()
            self._terminal = Person(self._scene.handle(self._place))
            self._terminal_of = server
        self._terminal.press(keys)
        self._scene.note(f"the person at {self._place.name} pressed {keys!r}")

    def _leave(self) -> None:
        if self._terminal is not None:
            self._terminal.leave()
            self._terminal = None

    def _type(self, line: str) -> bool:
        """Type, in two bursts; does the line stand there alone now? If not, it is taken back."""
        self._unentered = line
        cut = self._random.randrange(OWN, len(line) - OWN + 1)
        self._press(line[:cut])
        self._stopping.wait(self._random.uniform(0.0, 0.3))
        self._press(line[cut:])
        if self._wait(lambda: self._row() == self._place.prompt + line):
            return True
        self._take_back()
        return False

    def _take_back(self) -> None:
        """And see it gone, before they leave: their terminal passes keys on in its own time."""
        if not self._unentered:
            return
        if self._place.name == "agent":
            self._delete_what_is_seen()
        else:
            self._delete_the_line()
        self._unentered = ""

    def _delete_the_line(self) -> None:
        """Of a shell: no ticket ever stands in its line."""
        self._press(BACKSPACE * len(self._unentered))
        if not self._wait(lambda: self._row() == self._empty):
            self._press(KILL_LINE + "\r")  # keys typed ahead of a prompt take it away with them: an empty line brings another

    def _delete_what_is_seen(self) -> None:
        """Of an agent: a ticket may stand before it."""
        gone = time.monotonic() + GONE
        while time.monotonic() < gone:
            if self._row() == self._empty:
                return
            own = self._steady_own_end()
            if own:
                self._press(BACKSPACE * own)
                self._wait(lambda before=own: self._steady_own_end() != before)
                gone = time.monotonic() + GONE

    def _steady_own_end(self) -> int:
        """As two looks agree on: one of them may have seen half a redraw."""
        before, now = -1, self._own_end()
        while now != before:
            time.sleep(STEADY)
            before, now = now, self._own_end()
        return now

    def _own_end(self) -> int:
        """Characters at the end of the input that are theirs: a part of what they typed, which may wrap."""
        *_, above, row = ["", *self._rows()]
        alone = row[len(self._place.prompt) :] if row.startswith(self._place.prompt) else ""
        if alone and alone in self._unentered:
            return len(alone)
        parts = (self._unentered[start:end] for start in range(len(self._unentered)) for end in range(start + OWN, len(self._unentered) + 1))
        return max((len(part) for part in parts if (above + row).endswith(part)), default=0)

    def _wait(self, condition) -> bool:
        deadline = time.monotonic() + READ
        while not condition():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        return True

    @property
    def _empty(self) -> str:
        return (self._place.prompt + self._place.placeholder).rstrip()

    def _row(self) -> str:
        """The cursor's row."""
        return self._rows()[-1]

    def _rows(self) -> list[str]:
        """The rows down to the cursor's, without the frame that the agent draws around them."""
        cursor, *rows = self._tmux("display-message", "-p", "-t", self._place.id, "#{cursor_y}", ";", "capture-pane", "-p", "-t", self._place.id).split("\n")
        rows = rows[: int(cursor) + 1] if cursor.isdigit() and int(cursor) < len(rows) else [""]  # of a pane that is gone tmux prints a blank
        return [row.strip("│").strip() if self._place.name == "agent" else row.rstrip() for row in rows]

"""The person at each pane, who types what a person types, when a person likes.

Their keys come through a terminal of their own. They read before they press Enter: only when their line, all of it
and nothing else, stands behind the prompt; otherwise they take back what they typed, key by key, and go away. So
whatever else reaches the program is somebody else's doing.
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

    def run(self) -> None:
        episodes = {self._write_a_line: 3, self._change_mind: 4, self._copy_mode: 2, self._clock_mode: 1, self._input_off: 1, self._synchronize: 1, self._zoom: 1}
        try:
            while not self._stopping.wait(self._random.uniform(0.3, 3.0)):
                episode = self._random.choices(list(episodes), list(episodes.values()))[0]
                try:
                    with self._scene.lock:
                        life = self._place.lives[-1]
                    episode(life.pid)
                    self.counts[episode.__name__] = self.counts.get(episode.__name__, 0) + 1
                except (AssertionError, OSError, subprocess.SubprocessError):
                    if self._place.lives[-1] is life and life.doomed == float("inf"):
                        raise  # nothing died: that is no excuse
            self._leave()
        except BaseException as error:
            self.failure = error

    # what people do

    def _write_a_line(self, life: int) -> None:
        self._number += 1
        mark = f"human-{self._place.name}-{self._number}"
        line = mark if self._place.name == "agent" else f"sh record {mark}"
        if self._type(line):
            with self._scene.lock:  # a program that dies under the Enter may or may not have had it
                self._press("\r")
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
        half = f"half-{self._place.name}-{self._number} $(touch pwned-half); rm"
        if self._type(half):
            self._stopping.wait(self._random.uniform(0.0, 3.0))
            self._take_back(half)

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

    def _leave(self) -> None:
        if self._terminal is not None:
            self._terminal.leave()
            self._terminal = None

    def _type(self, line: str) -> bool:
        """Type, in a few bursts; does the line stand there alone now? If not, it is taken back."""
        cut = self._random.randrange(1, len(line))
        self._press(line[:cut])
        self._stopping.wait(self._random.uniform(0.0, 0.3))
        self._press(line[cut:])
        deadline = time.monotonic() + READ
        while time.monotonic() < deadline:
            if self._row() == self._place.prompt + line:
                return True
            time.sleep(0.05)
        self._take_back(line)
        return False

    def _take_back(self, line: str) -> None:
        """And see it gone, before they leave: their terminal passes keys on in its own time."""
        self._press(BACKSPACE * len(line))
        deadline = time.monotonic() + READ
        empty = (self._place.prompt + self._place.placeholder).rstrip()
        while self._row() != empty and time.monotonic() < deadline:
            time.sleep(0.05)
        if self._row() != empty and self._place.name != "agent":
            self._press(KILL_LINE + "\r")  # keys typed ahead of a prompt take it away with them: an empty line brings another

    def _row(self) -> str:
        """The cursor's row, without the frame that the agent draws around it."""
        cursor, *rows = self._tmux("display-message", "-p", "-t", self._place.id, "#{cursor_y}", ";", "capture-pane", "-p", "-t", self._place.id).split("\n")
        row = rows[int(cursor)] if cursor.isdigit() and int(cursor) < len(rows) else ""  # of a pane that is gone tmux prints a blank
        return row.strip("│").strip() if self._place.name == "agent" else row.rstrip()

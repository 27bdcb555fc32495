"""The person at each pane, simulated: lines, drafts, editor commands and modes at random times.

    a line                  typed, read, entered
    a draft                 wraps, has empty rows or a row that looks like a prompt;
                            the cursor moves in it; it is finished or deleted later
    history, vi commands    in a shell's line editor
    modes                   of tmux, entered and left

Any other text that reaches the program, or is missing there, comes from bridge. If an agent was
started from a shell, the person starts it again after it ends.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time

from soak.hands import END, LEFT, READ, START, UP, Hands
from soak.places import Place
from soak.scene import Scene

ESCAPE = "\x1b"
# Seconds after an Escape in which tmux and readline read the next key as a part of its sequence.
ESCAPES = 0.8
# The person never enters it. If bridge presses Enter behind it, the account finds the file.
HARM = "$(>pwned-half);rm "


class Human(threading.Thread):
    """One person at one pane. `lines` holds (pid of the pane, mark, time) of each entered line."""

    def __init__(self, scene: Scene, place: Place, seed: object, stopping: threading.Event) -> None:
        super().__init__(name=f"human at {place.name}", daemon=True)
        self.lines: list[tuple[int, str, float]] = []
        self.counts: dict[str, int] = {}
        self.failure: BaseException | None = None
        self._scene, self._place, self._stopping = scene, place, stopping
        self._random = random.Random(f"human {place.name} {seed}")
        self._hands = Hands(scene, place, self._random, stopping)
        self._number = 0

    def run(self) -> None:
        try:
            while not self._stopping.wait(self._random.uniform(0.3, 4.0) * self._scene.pace):
                episodes = self._episodes()
                episode = self._random.choices(list(episodes), list(episodes.values()))[0]
                if self._in_this_life(episode):
                    self.counts[episode.__name__] = self.counts.get(episode.__name__, 0) + 1
            while not self._in_this_life(self._pass_by):
                pass
            self._hands.leave()
        except BaseException as error:
            self.failure = error

    def _episodes(self) -> dict:
        """Return the possible next episodes and their weights."""
        episodes = {
            self._write_a_line: 3, self._draft: 5, self._change_mind: 2,
            self._copy_mode: 2, self._clock_mode: 1, self._input_off: 1, self._synchronize: 1,
            self._zoom: 1,
        }  # fmt: skip
        if not self._place.is_agent and self._place.editor != "none":
            episodes[self._recall] = 1
        if not self._place.is_agent and self._place.editor == "vi":
            episodes[self._command_mode] = 3
        return episodes

    def _in_this_life(self, episode) -> bool:
        """Run an episode; return False if the pane's program ended during it."""
        with self._scene.lock:
            life, ends = self._place.lives[-1], len(self._place.ends)
        try:
            if self._place.has_shell_below and not self._scene.inner_pid(self._place):
                self._hands.start_agent()
            self._hands.take_back()
            self._scene.note(
                f"the person at {self._place.name}: {getattr(episode, '__name__', '')}"
            )
            episode(life.pid)
            return True
        except (AssertionError, OSError, subprocess.SubprocessError):
            if self._place.lives[-1] is life and len(self._place.ends) == ends:
                raise  # no program ended, so the error is real
            return False

    # lines

    def _new_mark(self, word: str) -> str:
        self._number += 1
        return f"{word}-{self._place.name}-{self._number}"

    def _write_a_line(self, life: int) -> None:
        mark = self._new_mark("human")
        line = mark if self._place.is_agent else f"sh record {mark}"
        if self._hands.type(line):
            self._enter(life, line, mark)

    def _enter(self, life: int, line: str, mark: str) -> None:
        """Enter a line that was seen whole. A program that ends now may or may not read it."""
        with self._scene.lock:
            if self._place.lives[-1].pid != life or (
                self._place.has_shell_below and not self._scene.inner_pid(self._place)
            ):
                return  # the program ended after the person saw the line
            self._hands.press("\r")
            self._hands.unentered = ""
            self.lines.append((life, mark, time.time()))
        self._see_it_taken(line)

    def _pass_by(self, life: int) -> None:
        """Press Enter twice at a shell's empty prompt before the person leaves.

        In zsh, a row above the prompt that was deleted with blanks looks like a wrapped row. Then
        the pane gets nothing until another prompt comes (see README). The row of the first prompt
        may also be such a row, so one Enter is not enough.
        """
        for _ in range(0 if self._place.is_agent else 2):
            if self._hands.wait(self._hands.is_empty):
                self._hands.press("\r")
                self._hands.wait(self._hands.is_empty)

    def _see_it_taken(self, line: str) -> None:
        """Wait until the line leaves the input, which is when it counts as entered.

        Some agents swallow an Enter, so press it again while exactly the line stands there.
        """
        deadline = time.monotonic() + READ
        pressed = time.monotonic()
        while self._hands.stands(line) and time.monotonic() < deadline:
            self.lines[-1] = (*self.lines[-1][:2], time.time())
            if time.monotonic() - pressed > 1.0:
                self._hands.press("\r")
                pressed = time.monotonic()
            time.sleep(0.05)

    def _change_mind(self, life: int) -> None:
        """Type half a line, wait, and delete it."""
        if self._hands.type(f"{self._new_mark('half')}{HARM}"):
            self._hands.stand(3.0)
            self._hands.take_back()

    def _draft(self, life: int) -> None:
        """Type a longer line, move the cursor in it, pause, and finish or delete it."""
        is_finished = self._random.random() < 0.5
        line = self._agents_draft() if self._place.is_agent else self._shells_draft(is_finished)
        if not self._hands.type(line):
            return
        if self._place.is_agent or self._place.editor != "none":
            moves = [
                lambda: self._hands.move(START),
                lambda: self._hands.press(LEFT * 7),
                lambda: None,
            ]
            if self._place.is_agent:
                moves.append(lambda: self._hands.press(UP))
            self._random.choice(moves)()
            self._hands.stand(4.0)
            self._hands.move(END)
        else:
            self._hands.stand(4.0)
        if (
            is_finished
            and self._hands.wait(lambda: self._hands.stands(line))
            and self._hands.type_behind(line, "done")
        ):
            line += "done"
            self._enter(life, line, line if self._place.is_agent else line.partition("record ")[2])
        else:
            self._hands.take_back()

    def _agents_draft(self) -> str:
        mark = self._new_mark("half")
        # Without a box around it, an empty row ends an agent's input.
        blank = "\n" if self._place.is_boxed else ""
        return mark + self._random.choice(
            [
                " wraps" * 30 + " to ",
                f"\n{blank}{self._place.prompt}",
                f"\n\n{'next row ' if not blank else ''}> ",
                f" has\n{'wide ' * 30}\nrows, ",
                f"\nthe last row is empty{blank}\n"
                if blank
                else "\n| a row that begins as a frame does ",
            ]
        )

    def _shells_draft(self, is_finished: bool) -> str:
        """Return a draft; a finished one will run, so its only effect is a line in the log."""
        length = self._random.choice((70, 110, 150, 230))
        if is_finished:
            return f"sh record {self._new_mark('human')}-{'w' * length}-"
        start = f"{self._new_mark('half')}{HARM}{'w ' * (length // 2)}"
        return start + self._random.choice(("% ", "dev$ ", "❯ ", ""))

    def _recall(self, life: int) -> None:
        """Recall the previous line, look at it, and clear it."""
        self._hands.press(UP)
        self._hands.stand(3.0)
        self._hands.move(END)
        self._hands.clear()

    def _command_mode(self, life: int) -> None:
        """Enter vi's command mode, in which a paste is read as commands, and leave it."""
        self._hands.press(ESCAPE)
        self._stopping.wait(ESCAPES + self._random.uniform(0.0, 3.0))
        self._hands.press(ESCAPE)
        time.sleep(ESCAPES)
        self._hands.press("cc")
        if not self._hands.wait(self._hands.is_empty):
            self._hands.clear()

    # modes

    def _tmux(self, *words: str) -> str:
        return self._scene.tmux(*words)

    def _copy_mode(self, life: int) -> None:
        self._tmux("copy-mode", "-t", self._place.id)
        self._hands.stand()
        self._tmux("copy-mode", "-q", "-t", self._place.id)

    def _clock_mode(self, life: int) -> None:
        self._tmux("clock-mode", "-t", self._place.id)
        self._hands.stand()
        self._tmux("copy-mode", "-q", "-t", self._place.id)

    def _input_off(self, life: int) -> None:
        self._tmux("select-pane", "-d", "-t", self._place.id)
        self._hands.stand()
        self._tmux("select-pane", "-e", "-t", self._place.id)

    def _synchronize(self, life: int) -> None:
        self._tmux("set-option", "-w", "-t", self._place.id, "synchronize-panes", "on")
        self._hands.stand()
        self._tmux("set-option", "-w", "-t", self._place.id, "synchronize-panes", "off")

    def _zoom(self, life: int) -> None:
        """Zoom and unzoom: the window's layout changes, and every program redraws."""
        self._tmux("resize-pane", "-Z", "-t", self._place.id)
        self._hands.stand()
        self._tmux("resize-pane", "-Z", "-t", self._place.id)

"""A scripted full-screen agent: a composer at the bottom, a transcript above it.

Flags choose how it misbehaves. Left, Right, Up, Home (C-a) and End (C-e) move the caret in
the draft. SIGUSR1 makes it sleep for 2 s. It appends every message that it takes to --log,
exactly as typed, followed by 0x1e. It contains no code for bridge.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shutil
import signal
import sys
import termios
import time
import tty
import unicodedata

flags = argparse.ArgumentParser()
flags.add_argument("--log")
flags.add_argument("--trace", help="a file that gets every key, with its time")
flags.add_argument("--no-bracket", action="store_true", help="does not ask for bracketed paste")
flags.add_argument("--main-screen", action="store_true", help="stays on the normal screen")
flags.add_argument("--box", action="store_true", help="draws a frame around the input")
flags.add_argument("--glyph", default="❯")
flags.add_argument(
    "--each-row", action="store_true", help="begins every row of a draft with the glyph"
)
flags.add_argument("--placeholder", default="")
flags.add_argument("--hidden", action="store_true", help="hides the cursor and leaves it elsewhere")
flags.add_argument("--slow", type=float, default=0.0, help="seconds before a key shows")
flags.add_argument("--busy", type=float, default=0.0, help="seconds of work after each message")
flags.add_argument("--busy-at-start", type=float, default=0.0)
flags.add_argument("--spinner", default="✻ Thinking… (esc to interrupt)")
flags.add_argument("--still-spinner", action="store_true", help="the spinner does not turn")
flags.add_argument(
    "--deaf", type=float, default=0.0, help="seconds after a paste for which it reads nothing"
)
flags.add_argument(
    "--stale", action="store_true", help="Enters that it reads in one go all submit the same text"
)
flags.add_argument("--swallow", type=int, default=0, help="Enters that each draft swallows")
flags.add_argument(
    "--blank",
    type=float,
    default=0.0,
    help="seconds that a swallowed Enter leaves the screen blank",
)
flags.add_argument(
    "--burst",
    type=float,
    default=0.0,
    help="an Enter within these seconds after a key is part of the text",
)
flags.add_argument("--fold", type=int, default=0, help="a paste of more lines shows as a mark")
flags.add_argument(
    "--dialog", action="store_true", help="a permission dialog is open; any Enter answers it"
)
flags.add_argument(
    "--dialog-on", default="", help="a draft that contains this opens the dialog at once"
)
flags.add_argument(
    "--dialog-keeps-draft",
    action="store_true",
    help="the dialog stands above the composer, and the cursor stays in the draft",
)
flags.add_argument(
    "--ask-on-enter", action="store_true", help="the first Enter is not taken: it opens the dialog"
)
flags.add_argument("--question", default="", help="a last line of the transcript")
flags.add_argument(
    "-i",
    action="store_true",
    help="has no effect here; Python has a flag of this name, which stands before the script",
)
options = flags.parse_args()


def columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


BUSY, IDLE, DIALOG = "busy", "idle", "dialog"
MOVES = "\x01\x05\x02\x06\x10"  # start, end, left, right, end of the row above
ARROWS = {
    **{start + key: move for start in ("\x1b[", "\x1bO") for key, move in zip("HFDCA", MOVES)},
    "\x1b[1~": "\x01",
    "\x1b[4~": "\x05",
}
SPIN = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Agent:
    def __init__(self) -> None:
        self.transcript = ["BRIDGE-TEST-AGENT"] + ([options.question] if options.question else [])
        self.draft, self.shown = "", ""
        # The number of characters after the caret. A fold never contains the caret.
        self.behind, self.shown_behind = 0, 0
        # `fold` is the range of the draft that a mark replaces on the screen.
        self.paste_start, self.fold = 0, (0, 0)
        self.swallow = options.swallow
        self.state = DIALOG if options.dialog else BUSY if options.busy_at_start else IDLE
        self.busy_until = time.monotonic() + options.busy_at_start
        self.last_key = 0.0
        self.pasting = self.submitted = False
        self.redraw_at = 0.0
        self.frame = 0

    def size(self):
        return shutil.get_terminal_size()

    def input_rows(self, shown: str, width: int) -> list[str]:
        text = options.glyph + " " + shown
        inner = width - (4 if options.box else 0)
        rows = []
        again = options.glyph + " " if options.each_row else ""
        for line in text.replace("\t", "    ").split("\n"):
            row = again if rows else ""
            for char in line:
                if columns(row + char) > inner:
                    rows.append(row)
                    row = again
                row += char
            rows.append(row)
        return rows

    def draw(self) -> None:
        width, height = self.size()
        rows = self.input_rows(self.shown, width)
        before = self.input_rows(self.shown[: len(self.shown) - self.shown_behind], width)
        cursor_row, cursor_column = len(before) - 1, columns(before[-1])
        if cursor_column == width and not options.box:
            if cursor_row + 1 == len(rows):
                rows.append("")
            cursor_row, cursor_column = cursor_row + 1, 0
        if not self.shown and options.placeholder:
            # Every real agent draws its placeholder faint.
            rows[-1] = rows[-1] + "\x1b[2m" + options.placeholder + "\x1b[22m"
        bottom = list(rows)
        offset = 0
        if options.box:
            inner = width - 4
            bottom = (
                ["╭" + "─" * (width - 2) + "╮"]
                + [
                    "│ " + row + " " * (inner - columns(re.sub("\x1b[^m]*m", "", row))) + " │"
                    for row in rows
                ]
                + ["╰" + "─" * (width - 2) + "╯"]
            )
            offset, cursor_column = 1, cursor_column + 2
        if self.state == BUSY:
            spin = (
                options.spinner
                if options.still_spinner
                else SPIN[self.frame % len(SPIN)] + " " + options.spinner
            )
            bottom = [spin, ""] + bottom
            offset += 2
        menu = ["Do you want to run rm -rf build?", "❯ 1. Yes", "  2. No, and tell me what to do"]
        if self.state == DIALOG and options.dialog_keeps_draft:
            bottom = [*menu, ""] + bottom
            offset += len(menu) + 1
        elif self.state == DIALOG:
            bottom = menu
        above = [line for entry in self.transcript for line in entry.split("\n")]
        above = [line.expandtabs(4)[: width // 2] for line in above][
            -(height - len(bottom) - 1) :
        ] + [""]
        screen = above + bottom
        out = "\x1b[?25l\x1b[H" + "\r\n".join(row + "\x1b[K" for row in screen[-height:]) + "\x1b[J"
        if self.state == DIALOG and not options.dialog_keeps_draft:
            y, x = len(above) + 1, 2
        else:
            # A draft that is taller than the screen scrolls.
            scrolled = max(0, len(screen) - height)
            y, x = len(above) + offset + cursor_row - scrolled, cursor_column
        if not options.hidden:
            out += f"\x1b[{y + 1};{x + 1}H\x1b[?25h"
        os.write(1, out.encode())

    def submit(self) -> None:
        if self.state == DIALOG:
            self.take("DIALOG-ANSWERED")
            self.state = IDLE
            return
        if not self.draft.strip():
            return
        if options.ask_on_enter:
            self.state = DIALOG
            return
        if self.swallow:
            self.swallow -= 1
            if options.blank:
                os.write(1, b"\x1b[H\x1b[2J")
                time.sleep(options.blank)
            return
        self.swallow = options.swallow
        self.take(self.draft)
        self.transcript += ["> " + self.draft, ""]
        self.submitted = True
        if not options.stale:
            self.clear()
        if options.busy:
            self.state, self.busy_until = BUSY, time.monotonic() + options.busy

    def clear(self) -> None:
        self.draft, self.fold, self.behind, self.submitted = "", (0, 0), 0, False

    def take(self, text: str) -> None:
        with open(options.log, "ab") as file:
            file.write(text.encode("utf-8", "surrogateescape") + b"\x1e")

    def key(self, char: str, now: float) -> None:
        if char == "\r" and not self.pasting and now - self.last_key >= options.burst:
            self.submit()
        elif char in "\r\n":
            self.insert("\n")
        elif char in "\x7f\x08":
            self.draft = self.draft[: self.caret][:-1] + self.draft[self.caret :]
        elif char == "\x15":
            self.draft, self.behind = "", 0
        elif char in MOVES and not self.pasting:
            self.move(char)
        elif char == "\x03":
            self.take("INTERRUPTED")
        else:
            self.insert(char)
        self.last_key = now

    @property
    def caret(self) -> int:
        return len(self.draft) - self.behind

    def insert(self, text: str) -> None:
        self.draft = self.draft[: self.caret] + text + self.draft[self.caret :]

    def move(self, key: str) -> None:
        above = self.draft.rfind("\n", 0, self.caret)
        places = {
            "\x01": 0,
            "\x05": len(self.draft),
            "\x02": self.caret - 1,
            "\x06": self.caret + 1,
            "\x10": max(0, above),
        }
        self.behind = len(self.draft) - min(len(self.draft), max(0, places[key]))

    def feed(self, text: str) -> None:
        now = time.monotonic()
        if options.trace:
            with open(options.trace, "a") as file:
                file.write(f"{time.time():.3f} {text!r}\n")
        for part in re.split(r"(\x1b\[20[01]~|\x1b[\[O][ACDHF]|\x1b\[[14]~)", text):
            if part in ARROWS and not self.pasting:
                self.move(ARROWS[part])
            elif part == "\x1b[200~":
                self.pasting, self.paste_start = True, self.caret
            elif part == "\x1b[201~":
                self.pasting = False
                if options.fold and self.draft.count("\n", self.paste_start) >= options.fold:
                    self.fold = (self.paste_start, self.caret)
            else:
                for char in part:
                    self.key(char, now)
        if options.dialog_on and options.dialog_on in self.draft and self.state == IDLE:
            self.state = DIALOG
        if self.submitted:
            self.clear()
        self.redraw_at = now + options.slow  # with 0 it draws before it reads again

    def sync(self) -> None:
        start, end = self.fold
        if len(self.draft) < end:
            start, end = self.fold = (0, 0)  # a part of the fold was deleted
        mark = f"[Pasted text #1 +{self.draft.count(chr(10), start, end)} lines]" if end else ""
        self.shown = self.draft[:start] + mark + self.draft[end:]
        self.shown_behind = min(self.behind, len(self.draft) - end)

    def run(self) -> None:
        held = b""
        self.draw()
        while True:
            ready = select.select([0], [], [], 0.08)[0]
            now = time.monotonic()
            if ready:
                data = os.read(0, 65536)
                if not data:
                    return
                held += data
                text = held.decode("utf-8", "surrogateescape")
                # Hold an incomplete escape sequence until its rest arrives.
                cut = re.search(r"\x1b([\[O]([14]|2(0([01])?)?)?)?$", text)
                held = text[cut.start() :].encode("utf-8", "surrogateescape") if cut else b""
                self.feed(text[: cut.start()] if cut else text)
                if options.deaf and "\x1b[201~" in text:
                    self.sync()
                    self.draw()
                    time.sleep(options.deaf)
            now = time.monotonic()
            if self.state == BUSY and now >= self.busy_until:
                self.state = IDLE
                self.redraw_at = now
            if now >= self.redraw_at:
                self.sync()
            if self.state == BUSY and not options.still_spinner:
                self.frame += 1
            if ready or self.state == BUSY or self.redraw_at:
                self.draw()
                if now >= self.redraw_at:
                    self.redraw_at = 0.0


# While it sleeps, its screen does not change and it reads no keys.
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(2))
saved = termios.tcgetattr(0)
try:
    tty.setraw(0)
    os.write(
        1,
        (b"" if options.main_screen else b"\x1b[?1049h")
        + b"\x1b[2J"
        + (b"" if options.no_bracket else b"\x1b[?2004h"),
    )
    Agent().run()
finally:
    os.write(1, b"\x1b[?2004l\x1b[?25h" + (b"" if options.main_screen else b"\x1b[?1049l"))
    termios.tcsetattr(0, termios.TCSADRAIN, saved)
    sys.exit(0)

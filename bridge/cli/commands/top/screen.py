"""The terminal: paints lines and reads keys. The only file that uses curses.

Rule 1: the terminal is always restored, also after an error (`with Screen`).
Rule 2: the size comes from the kernel. curses would use $LINES and $COLUMNS, which do not
change with a resize.
Rule 3: without colours, or with NO_COLOR, styles are bold and reverse.
"""

from __future__ import annotations

import fcntl
import locale
import os
import select
import sys
import termios
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bridge.cli.commands.top.line import Charset, Span
from bridge.errors import UsageError

curses: ModuleType | None
try:
    import curses
except ImportError:  # a Python that was built without it
    curses = None

NAMED_KEYS = {
    "KEY_UP": "up",
    "KEY_DOWN": "down",
    "KEY_LEFT": "left",
    "KEY_RIGHT": "right",
    "KEY_PPAGE": "pageup",
    "KEY_NPAGE": "pagedown",
    "KEY_HOME": "home",
    "KEY_END": "end",
    "KEY_ENTER": "enter",
    "KEY_BACKSPACE": "backspace",
}
LETTERS = {
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\t": "tab",
    "\x7f": "backspace",
    "\x08": "backspace",
}
COLOURS = {"good": "COLOR_GREEN", "warn": "COLOR_YELLOW", "bad": "COLOR_RED", "chart": "COLOR_CYAN"}
FALLBACK_SIZE = (80, 24)  # columns and rows of a terminal that reports no size


def why_unusable() -> str:
    """Why the live screen cannot be shown here; "" when it can."""
    if curses is None:
        return "this Python has no curses"
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return "standard input or output is not a terminal"
    try:
        curses.setupterm(os.environ.get("TERM") or "unknown", sys.stdout.fileno())
    except curses.error:
        return f"this machine has no terminal type {os.environ.get('TERM', '')!r} ($TERM)"
    return (
        ""
        if curses.tigetstr("cup")
        else f"the terminal {os.environ.get('TERM')!r} cannot move its cursor"
    )


class Screen:
    """A curses screen, for the length of a `with`."""

    def __init__(self, escape_delay: int) -> None:
        self._curses: Any = curses
        self._escape_delay = escape_delay
        self._styles: dict[str, int] = {}
        self.charset = Charset(is_unicode="utf" in locale.nl_langinfo(locale.CODESET).lower())

    def __enter__(self) -> Screen:
        if self._curses is None:
            raise UsageError("this Python has no curses; try `top --once`")
        if hasattr(self._curses, "set_escdelay"):
            self._curses.set_escdelay(self._escape_delay)
        self._window = self._curses.initscr()
        try:
            self._prepare()
        except BaseException:
            self._curses.endwin()
            raise
        return self

    def _prepare(self) -> None:
        self._curses.noecho()
        self._curses.cbreak()
        self._window.keypad(True)
        self._window.nodelay(True)
        try:
            self._curses.curs_set(0)
        except self._curses.error:
            pass  # this terminal cannot hide its cursor
        self._styles = self._make_styles()
        self.resize()

    def __exit__(self, *_: object) -> None:
        try:
            # On a terminal without a second screen, the shell continues from here.
            self._window.move(self.size[1] - 1, 0)
            self._window.clrtoeol()
            self._window.refresh()
        except self._curses.error:
            pass  # the terminal was made smaller in this moment
        self._curses.endwin()

    def _make_styles(self) -> dict[str, int]:
        c = self._curses
        styles = {
            "plain": c.A_NORMAL,
            "dim": c.A_DIM,
            "bold": c.A_BOLD,
            "good": c.A_NORMAL,
            "warn": c.A_BOLD,
            "bad": c.A_BOLD | c.A_UNDERLINE,
        }
        styles.update({"head": c.A_REVERSE, "chosen": c.A_REVERSE | c.A_BOLD, "chart": c.A_NORMAL})
        if not os.environ.get("NO_COLOR"):
            try:
                c.start_color()
                c.use_default_colors()
                for number, (style, name) in enumerate(COLOURS.items(), 1):
                    c.init_pair(number, getattr(c, name), -1)
                    styles[style] = c.color_pair(number) | (
                        c.A_BOLD if style == "bad" else c.A_NORMAL
                    )
            except c.error:
                pass  # the terminal has no colours
        return styles

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows now."""
        rows, columns = self._window.getmaxyx()
        return columns, rows

    def resize(self) -> None:
        """Take the terminal's size; the next paint sends everything again."""
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, rows = 0, 0
        self._curses.resizeterm(rows or FALLBACK_SIZE[1], columns or FALLBACK_SIZE[0])
        self._window.clear()

    def paint(self, lines: Sequence[tuple[Span, ...]]) -> None:
        """Paint the lines. curses sends only the cells that change."""
        self._window.erase()
        for row, line in enumerate(lines):
            column: int | None = 0
            for span in line:
                try:
                    # Each span begins where curses ended the last one: curses may count the
                    # cells of a character in another way than we do.
                    self._window.addstr(
                        row,
                        self._window.getyx()[1] if column is None else column,
                        span.text,
                        self._styles[span.style],
                    )
                except self._curses.error:
                    # curses cannot write the last cell of the screen. Or the terminal was
                    # made smaller, and a resize follows.
                    break
                column = None
        self._window.refresh()

    def keys(self) -> list[str]:
        """The keys that were pressed. Raises EOFError when the terminal is gone."""
        found: list[str] = []
        read_any = False
        while True:
            try:
                key = self._window.get_wch()
            except self._curses.error:
                break
            read_any = True
            name = self._name(key)
            if name:
                found.append(name)
        if not read_any and _is_gone(sys.stdin.fileno()):
            raise EOFError
        return found

    def _name(self, key: object) -> str:
        if isinstance(key, str):
            return LETTERS.get(key, key if key.isprintable() else "")
        return next(
            (
                name
                for constant, name in NAMED_KEYS.items()
                if getattr(self._curses, constant) == key
            ),
            "",
        )


def _is_gone(descriptor: int) -> bool:
    """Whether the other end was closed: the terminal is readable, but holds no byte."""
    try:
        ready = select.select([descriptor], [], [], 0)[0]
        return (
            bool(ready)
            and int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4), sys.byteorder)
            == 0
        )
    except OSError:
        return True

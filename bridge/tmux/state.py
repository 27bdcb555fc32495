"""What one look at a pane saw: values, no judgement.

`Terminal` is the kernel's view (termios(3), proc(5)), `PaneState` is tmux's view
of the pane, its screen and the people at it. Both are frozen, so that two looks
can be compared with `==`, and `prompt.judge` can be tested from tables.

The cursor splits its row at a DISPLAY column, not at a character: a wide character
takes two columns, a combining one none.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import Optional


@dataclass(frozen=True)
class Terminal:
    """Who reads the pane's terminal, and in which mode (termios(3), c_lflag)."""

    known: bool = False  # False: the tty could not be opened; the flags below say nothing
    canonical: bool = False  # ICANON: the kernel edits lines; no line editor is at work
    echo: bool = False  # ECHO
    signals: bool = True  # ISIG: off in full-screen programs, on in most line editors
    own: Optional[bool] = None  # is the pane's own process in the foreground? None: cannot be told here
    argv: tuple[str, ...] = ()  # command line of the foreground process; empty: cannot be told here
    group: tuple[str, ...] = ()  # names of its descendants in the same process group, which read the same keys


@dataclass(frozen=True)
class PaneState:
    """One look. `snapshot` is what tmux printed for guard.SNAPSHOT, kept verbatim to be compared with."""

    snapshot: str
    server_pid: int
    pane_id: str
    pane_pid: int
    dead: bool = False
    in_mode: bool = False
    input_off: bool = False
    synchronized: bool = False
    cursor_x: int = 0
    cursor_y: int = 0
    cursor_shown: bool = True
    alternate: bool = False
    width: int = 80
    height: int = 24
    command: str = ""
    pasted: str = ""  # marks, see marks.py
    sent: str = ""
    rows: tuple[str, ...] = ()
    tty: str = ""  # of the process that is in the pane now
    human_idle: Optional[float] = None  # seconds since a person's last key here; None: nobody looks at this pane
    unseen_person: bool = False  # somebody has it in front of them whose keys tmux does not tell (tmux -CC)
    terminal: Terminal = field(default_factory=Terminal)

    @property
    def cursor_row(self) -> str:
        return self.rows[self.cursor_y] if self.cursor_y < len(self.rows) else ""

    @property
    def left(self) -> str:
        """The cursor's row up to the cursor, blanks included."""
        return split_at_column(self.cursor_row, self.cursor_x)[0]

    @property
    def right(self) -> str:
        """The cursor's row from the cursor on."""
        return split_at_column(self.cursor_row, self.cursor_x)[1]

    @property
    def line(self) -> tuple[object, ...]:
        """What a person who types changes first: the cursor, and its row."""
        return (self.cursor_row, self.cursor_x, self.cursor_y, self.pane_pid)

    @property
    def near(self) -> tuple[str, ...]:
        """The rows around the cursor, where a program shows its dialogs and spinners."""
        return self.rows[max(0, self.cursor_y - NEAR_ROWS) : self.cursor_y + NEAR_ROWS + 1]

    @property
    def picture(self) -> tuple[object, ...]:
        """All that a person would see, and the terminal's mode, which changes before the screen does; equal pictures mean that nothing moved."""
        mode = (self.terminal.canonical, self.terminal.echo, self.terminal.signals)
        return (self.rows, self.cursor_x, self.cursor_y, self.cursor_shown, self.pane_pid, self.command, mode)


NEAR_ROWS = 6  # composers are boxes of 3 rows, with a status line or two under them


def char_width(char: str) -> int:
    """Columns that a terminal gives this character: 0, 1 or 2 (UAX #11, as tmux's wcwidth)."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def text_width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(char_width, text))


def split_at_column(row: str, column: int) -> tuple[str, str]:
    """Cut `row` where the cursor stands; a row that tmux trimmed is padded with the blanks that it had."""
    used = 0
    for index, char in enumerate(row):
        width = char_width(char)
        if used + width > column and width:
            return row[:index], row[index:]
        used += width
    return row + " " * (column - used), ""

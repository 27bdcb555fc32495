"""What one look at a pane returned: values, no judgement.

`Terminal` is the kernel's view (termios(3), proc(5)). `PaneState` is tmux's view of the pane, its
screen and the people at it. Both are frozen, so that two looks can be compared with `==`, and
`prompt.judge` can be tested from tables.

The cursor splits its row at a DISPLAY column, not at a character (cells.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.tmux.readiness.cells import split_at_column


@dataclass(frozen=True)
class ForegroundProcess:
    """One process of the foreground process group (proc(5); ps(1) where there is no /proc)."""

    argv: tuple[str, ...] = ()  # its command line; empty: it cannot be read
    executable: str = ""  # target of /proc/PID/exe; "": it cannot be read
    pid: int = 0
    parent: int = 0
    started: str = ""  # digits: clock ticks since boot (stat, field 22), or ps's date and time
    # Is the terminal its standard input, or did it open the terminal to read? None: not known.
    reads: bool | None = None


@dataclass(frozen=True)
class Terminal:
    """Which process reads the pane's terminal, and in which mode (termios(3), c_lflag).

    `group` is the whole foreground process group, its leader first. Every key goes to the whole
    group. One process reads: the leader, the known agent that a launcher started, or the child of
    a shell that waits for it. `argv`, `own` and `process` describe that process.
    """

    known: bool = False  # False: the tty could not be opened; the flags below mean nothing
    canonical: bool = False  # ICANON: the kernel edits lines; no line editor is at work
    echo: bool = False  # ECHO
    signals: bool = True  # ISIG: off in full-screen programs, on in most line editors
    own: bool | None = None  # is it the pane's own process that reads? None: not known
    argv: tuple[str, ...] = ()  # command line of the process that reads; empty: not known
    group: tuple[ForegroundProcess, ...] = ()
    process: str = ""  # "PID-STARTTIME" of the process that reads, [0-9-] only; "": not known
    below: str = ""  # a shell or REPL that gets the terminal when that process ends; "": none
    unread: bool = False  # there are keys that no process has read, so no screen shows them

    @property
    def reader(self) -> ForegroundProcess:
        """The process that reads."""
        pid = self.process.partition("-")[0]
        return next(
            (one for one in self.group if str(one.pid) == pid), ForegroundProcess(self.argv)
        )


@dataclass(frozen=True)
class PaneState:
    """One look. `snapshot` is what tmux printed for guard.snapshot_format.

    It is kept byte for byte, because the guard compares it.
    """

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
    pasted: str = ""  # marks, see pane_marks.py
    sent: str = ""
    rows: tuple[str, ...] = ()
    solid: tuple[str, ...] = ()  # the same rows without faint text (cells.py); (): not known
    wrapped: frozenset[int] | None = None  # rows that tmux broke at the edge; None: not known
    carets: tuple[tuple[int, int], ...] = ()  # (column, row) of cursors that the program draws
    title: str = ""  # of the pane, as the program set it
    # Has the program asked for bracketed paste? None: tmux does not report it (before 3.7).
    brackets: bool | None = None
    # The agent's status in its own session file: "idle", "busy", "waiting", or "" for unknown
    # (claude_registry.py).
    session: str = ""
    tty: str = ""  # of the process that is in the pane now
    # Seconds since a person's last key here. None: no person has this pane on a screen.
    human_idle: float | None = None
    # A person has this pane on a screen through a client that hides the keys (tmux -CC).
    unseen_person: bool = False
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
    def process(self) -> str:
        """The process that reads here, with its start; otherwise the pane's pid. [0-9.] only."""
        return (self.terminal.process or str(self.pane_pid)).replace("-", ".")

    @property
    def ink(self) -> tuple[str, ...]:
        """The rows without placeholders and suggestions, if the attributes are known."""
        return self.solid or self.rows

    @property
    def line(self) -> tuple[object, ...]:
        """What changes first when a person types: the cursor, and its row."""
        return (self.cursor_row, self.cursor_x, self.cursor_y, self.pane_pid)

    @property
    def near(self) -> tuple[str, ...]:
        """The rows around the cursor, where a program shows its dialogs and spinners."""
        return self.rows[max(0, self.cursor_y - NEAR_ROWS) : self.cursor_y + NEAR_ROWS + 1]

    @property
    def picture(self) -> tuple[object, ...]:
        """All that a person would see, and the terminal's mode. Equal pictures: nothing has moved.

        The mode is in it because it changes before the screen does.
        """
        mode = (self.terminal.canonical, self.terminal.echo, self.terminal.signals)
        return (
            self.rows,
            self.cursor_x,
            self.cursor_y,
            self.cursor_shown,
            self.pane_pid,
            self.command,
            mode,
        )


NEAR_ROWS = 6  # composers are boxes of 3 rows, with a status line or two under them

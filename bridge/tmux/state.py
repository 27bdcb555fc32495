"""What one look at a pane saw: values, no judgement.

`Terminal` is the kernel's view (termios(3), proc(5)), `PaneState` is tmux's view
of the pane, its screen and the people at it. Both are frozen, so that two looks
can be compared with `==`, and `prompt.judge` can be tested from tables.

The cursor splits its row at a DISPLAY column, not at a character (cells.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.tmux.cells import split_at_column


@dataclass(frozen=True)
class Process:
    """One process of the foreground process group (proc(5); ps(1) where there is no /proc)."""

    argv: tuple[str, ...] = ()  # its command line; empty: it cannot be read
    executable: str = ""  # path that /proc/PID/exe links to; "" where that cannot be told
    pid: int = 0
    parent: int = 0
    started: str = ""  # clock ticks since boot (stat, field 22), or the time of day from ps; digits
    reads: bool | None = (
        None  # the terminal is its standard input, or it opened it to read; None: not known
    )


@dataclass(frozen=True)
class Terminal:
    """Who reads the pane's terminal, and in which mode (termios(3), c_lflag).

    `group` is the whole foreground process group, its leader first. All of it gets the same keys. The
    process that reads is the leader, or the known agent that a launcher started, or the child of a shell
    that only carries it; `argv`, `own` and `process` are of that one.
    """

    known: bool = False  # False: the tty could not be opened; the flags below say nothing
    canonical: bool = False  # ICANON: the kernel edits lines; no line editor is at work
    echo: bool = False  # ECHO
    signals: bool = True  # ISIG: off in full-screen programs, on in most line editors
    own: bool | None = None  # is it the pane's own process that reads? None: cannot be told here
    argv: tuple[str, ...] = ()  # command line of the process that reads; empty: cannot be told here
    group: tuple[Process, ...] = ()
    process: str = (
        ""  # "PID-STARTTIME" of the process that reads, [0-9-] only; "" where it cannot be told
    )
    below: str = (
        ""  # a shell or REPL that gets the terminal when that process ends; "" when there is none
    )
    unread: bool = False  # keys have come that nothing has read yet: what they are, no screen shows

    @property
    def reader(self) -> Process:
        """The process that reads."""
        pid = self.process.partition("-")[0]
        return next((one for one in self.group if str(one.pid) == pid), Process(self.argv))


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
    solid: tuple[
        str, ...
    ] = ()  # the same rows without faint text (cells.py); () where it cannot be told
    wrapped: frozenset[int] | None = (
        None  # rows that tmux itself broke at the edge; None where it cannot be told
    )
    carets: tuple[
        tuple[int, int], ...
    ] = ()  # (column, row) of each cursor that the program draws itself
    title: str = ""  # of the pane, as the program set it
    brackets: bool | None = (
        None  # has the program asked for bracketed paste? None: tmux cannot tell (before 3.7)
    )
    session: str = (
        ""  # what the agent says of itself: "idle", "busy", "waiting", or "" (claude_registry.py)
    )
    tty: str = ""  # of the process that is in the pane now
    human_idle: float | None = (
        None  # seconds since a person's last key here; None: nobody looks at this pane
    )
    unseen_person: bool = (
        False  # somebody has it in front of them whose keys tmux does not tell (tmux -CC)
    )
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
        """Who reads here: the foreground process with its start, else the pane's own process. [0-9.] only."""
        return (self.terminal.process or str(self.pane_pid)).replace("-", ".")

    @property
    def ink(self) -> tuple[str, ...]:
        """The rows without placeholders and suggestions, where the screen's attributes are known."""
        return self.solid or self.rows

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

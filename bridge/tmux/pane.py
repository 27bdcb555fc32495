"""Finds a pane by name, holds its identity, looks at it.

tmux's own target parsing is never used: `-t dev` finds dev-lucy when it is the only prefix match,
and `display-message -t` falls back to another pane without an error. So all panes are
listed and compared here, exactly, and from then on only the pane's id is used. An id is unique within one
server's life, so the server's pid and start time belong to the identity: after a restart %0 is
another pane.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Callable, Iterable, Optional

from bridge.errors import PaneLost, TmuxError
from bridge.tmux.cells import read_rows
from bridge.tmux.claude_registry import claude_status
from bridge.tmux.command import LOST, Tmux
from bridge.tmux.guard import FIELD_COUNT, snapshot_format
from bridge.tmux.state import PaneState
from bridge.tmux.terminal import read_terminal

# Free text last: a session's name may hold blanks.
_LIST = "#{pid} #{start_time} #{pane_id} #{pane_pid} #{pane_tty} #{window_index} #{window_active} #{pane_index} #{session_name}"
PANE_NAME = re.compile(r"%\d+|\d+\.\d+|\d+")  # what a person may write for one
KEEPS_BLANKS = (3, 1)  # capture-pane -N
_CANDIDATES_SHOWN = 8  # in an error: enough to spot the right one, short enough for one line


@dataclass(frozen=True)
class Pane:
    """One pane's identity."""

    socket: str
    server_pid: int
    start_time: int
    pane_id: str
    pane_pid: int
    tty: str
    session: str
    window_index: int
    pane_index: int
    per_pane: bool = True  # tmux 3.0 or later: panes have options of their own
    warning: str = ""  # what a person should know about how the name was understood

    @property
    def label(self) -> str:
        """For logs: the name and the id, `dev-lucy:0.1 (%3)`."""
        return f"{self.session}:{self.window_index}.{self.pane_index} ({self.pane_id})"


@dataclass(frozen=True)
class _Row:
    server_pid: int
    start_time: int
    pane_id: str
    pane_pid: int
    tty: str
    window_index: int
    window_active: bool
    pane_index: int
    session: str

    @property
    def name(self) -> str:
        return f"{self.session}:{self.window_index}.{self.pane_index} ({self.pane_id})"


@dataclass(frozen=True)
class Listing:
    """All panes of one server, as they were at one moment."""

    socket: str
    per_pane: bool
    rows: tuple[_Row, ...]
# Who is there: a terminal shows one pane; a control client (iTerm2's `tmux -CC`) all of its session's, in windows of its own.
_CLIENTS = "#{client_activity} #{client_control_mode} .#{client_flags} #{?client_control_mode,#{W:#{P:#{pane_id} }},#{pane_id}}"


async def list_panes(tmux: Tmux) -> Listing:
    """Raises PaneLost when there is no server, TmuxError."""
    try:
        output = await tmux.run("list-panes", "-a", "-F", _LIST, ";", "display-message", "-p", "#{socket_path}")
    except TmuxError as error:
        raise _lost(error, f"the server `{tmux.server}`") from error
    *lines, socket = output.rstrip("\n").split("\n")
    per_pane = await tmux.version() >= (3, 0)
    return Listing(socket, per_pane, tuple(_row(line) for line in lines if line.count(" ") >= 8))


def pick(listing: Listing, session: str, pane: str) -> Pane:
    """The one pane that `session` and `pane` name: pane is "N", "window.pane" or "%N"; "%N" needs no session.

    Raises PaneLost, with the panes that there are, when none or several fit.
    """
    found, warning = choose(listing.rows, session, pane)
    return Pane(
        listing.socket, found.server_pid, found.start_time, found.pane_id, found.pane_pid, found.tty,
        found.session, found.window_index, found.pane_index, listing.per_pane, warning,
    )  # fmt: skip


async def resolve(tmux: Tmux, session: str, pane: str) -> Pane:
    """Look, and pick."""
    return pick(await list_panes(tmux), session, pane)


def _row(line: str) -> _Row:
    pid, start, pane_id, pane_pid, tty, window, active, index, session = line.split(" ", 8)
    return _Row(int(pid), int(start or 0), pane_id, int(pane_pid or 0), tty, int(window), active == "1", int(index), session)


def choose(rows: Iterable[_Row], session: str, pane: str) -> tuple[_Row, str]:
    """The row that is meant, and a warning where "N" had to be read as a pane of the active window."""
    # A pane of grouped or linked sessions is listed once for each of them.
    is_anywhere = not session and re.fullmatch(r"%\d+", pane) is not None
    inside = list({row.pane_id: row for row in rows if row.session == session or is_anywhere}.values())
    if not inside and not is_anywhere:
        raise PaneLost(f"no tmux session is named exactly {session!r}; there is {_listed(sorted({row.session for row in rows}))}")
    warning = ""
    if re.fullmatch(r"%\d+", pane):
        found = [row for row in inside if row.pane_id == pane]
    elif re.fullmatch(r"\d+\.\d+", pane):
        found = [row for row in inside if f"{row.window_index}.{row.pane_index}" == pane]
    elif re.fullmatch(r"\d+", pane):
        several = len({row.window_index for row in inside}) > 1
        found = [row for row in inside if row.pane_index == int(pane) and (row.window_active or not several)]
        if several and found:
            warning = f"session {session!r} has several windows: {pane!r} is read as pane {pane} of the active one; name it {found[0].window_index}.{pane} to be exact"
    else:
        raise PaneLost(f"pane {pane!r} is no pane's name; write an index (0), window.pane (0.1) or an id (%3)")
    if len(found) != 1:
        where = "any session" if is_anywhere else f"session {session!r}"
        raise PaneLost(f"{'no pane' if not found else 'more than one pane'} of {where} is {pane!r}; there is {_listed([row.name for row in inside])}")
    return found[0], warning


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _CANDIDATES_SHOWN} more" if len(names) > _CANDIDATES_SHOWN else ""
    return (", ".join(names[:_CANDIDATES_SHOWN]) or "none") + more


def _lost(error: TmuxError, what: str) -> Exception:
    """PaneLost where tmux says that the server or the target is gone; else the error itself."""
    return PaneLost(f"{what} is gone ({error})") if LOST.search(str(error)) else error


async def observe(tmux: Tmux, pane: Pane, now: Callable[[], float] = time.time) -> PaneState:
    """Look at the pane: one tmux call, one termios read. Raises PaneLost when it, or its server, is gone."""
    asked = now()  # a key that is pressed while tmux answers may be missing in the answer: count from before
    # A row that a line editor has filled with blanks up to the edge goes on in the next one.
    keep_blanks = ("-N",) if await tmux.version() >= KEEPS_BLANKS else ()
    try:
        output = await tmux.run(
            *("display-message", "-p", "-t", pane.pane_id, snapshot_format(pane.pane_id, pane.per_pane), ";"),
            *("list-clients", "-F", _CLIENTS, ";"),
            # A respawned pane has another terminal.
            *("display-message", "-p", "-t", pane.pane_id, ".#{pane_tty} #{bracket_paste_flag}|#{pane_title}", ";"),
            *("capture-pane", "-p", "-e", *keep_blanks, "-t", pane.pane_id),
        )
    except TmuxError as error:
        raise _lost(error, f"pane {pane.label}") from error
    snapshot, *lines = output.split("\n")
    end_of_clients = next(index for index, line in enumerate(lines) if line.startswith("."))
    tty, _, said = lines[end_of_clients][1:].partition(" ")
    brackets, _, title = said.partition("|")
    screen = read_rows(lines[end_of_clients + 1 : -1])
    state = _read_snapshot(snapshot, pane)
    terminal = read_terminal(tty, int(str(state["pane_pid"])))
    return PaneState(
        **state,  # type: ignore[arg-type]
        rows=tuple(row.text for row in screen),
        solid=tuple(row.solid for row in screen),
        carets=tuple((column, index) for index, row in enumerate(screen) for column in row.carets),
        title=title,
        brackets=brackets == "1" if brackets else None,
        human_idle=human_idle(lines[:end_of_clients], pane.pane_id, asked),
        unseen_person=has_unseen_person(lines[:end_of_clients], pane.pane_id),
        tty=tty,
        terminal=terminal,
        session=claude_status(terminal.process) if any("claude" in word for word in terminal.argv[:2]) else "",
    )


def _read_snapshot(snapshot: str, pane: Pane) -> dict[str, object]:
    parts = snapshot.split("/", FIELD_COUNT - 1)
    # display-message never fails: for a pane that is gone it prints another one's state.
    if len(parts) != FIELD_COUNT or parts[1] != pane.pane_id:
        raise PaneLost(f"pane {pane.label} is gone")
    if int(parts[0]) != pane.server_pid:
        raise PaneLost(f"pane {pane.label} is gone: its tmux server was restarted")
    number = [int(part) if part.isdigit() else 0 for part in parts]
    return dict(
        snapshot=snapshot,
        server_pid=number[0],
        pane_id=parts[1],
        pane_pid=number[2],
        dead=bool(number[3]),
        in_mode=bool(number[4]),
        input_off=bool(number[5]),
        synchronized=bool(number[6]),
        cursor_x=number[7],
        cursor_y=number[8],
        cursor_shown=bool(number[9]),
        alternate=bool(number[10]),
        width=number[11],
        height=number[12],
        pasted=parts[14],
        sent=parts[15],
        command=parts[16],
    )


def human_idle(clients: Iterable[str], pane_id: str, now: float) -> Optional[float]:
    """Seconds since a person's last key in this pane; None when nobody has it in front of them.

    client_activity moves on a person's keys only, never on ours. It counts whole seconds, so
    the key may have come up to one second later than it says.
    """
    idle: Optional[float] = None
    for client in clients:
        activity, control, _, panes = client.split(" ", 3)
        if pane_id in panes.split() and control != "1":
            since = max(0.0, now - int(activity) - 1)
            idle = since if idle is None else min(idle, since)
    return idle


def has_unseen_person(clients: Iterable[str], pane_id: str) -> bool:
    """May a person be typing here whose keys tmux does not tell?

    A control client's keys come as send-keys, which move neither client_activity nor session_activity. One that
    is shown no output is no person's, but a watcher's (gate.py).
    """
    for client in clients:
        _, control, flags, panes = client.split(" ", 3)
        if pane_id in panes.split() and control == "1" and "no-output" not in flags[1:].split(","):
            return True
    return False

"""Lists panes, and looks at one.

tmux's own target parsing is never used. `-t dev` finds dev-lucy when that is the only prefix match,
and `display-message -t` takes another pane without an error. So this module lists all panes and
compares the names exactly. From then on only the pane's id is used.

An id is unique within one server's life: after a restart %0 is another pane. So the server's pid
and start time belong to a pane's identity. identity.py decides which pane a name means.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Callable

from bridge.errors import PaneLost, TmuxError
from bridge.tmux.injection.conditional import FIELD_COUNT, snapshot_format
from bridge.tmux.readiness.cells import read_rows, wrapped_rows
from bridge.tmux.readiness.claude_registry import claude_status
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.terminal import read_terminal
from bridge.tmux.server.client import LOST, Tmux
from bridge.tmux.server.identity import Listing, Pane, PaneRow, pick

KEEPS_BLANKS = (3, 1)  # tmux: capture-pane -N
# Free text comes last: a session's name may hold blanks.
_LIST = (
    "#{pid} #{start_time} #{pane_id} #{pane_pid} #{pane_tty} "
    "#{session_id} #{window_index} #{pane_index} #{session_name}"
)
# The clients, with the panes that each one shows. A terminal shows one pane. A control client
# (iTerm2's `tmux -CC`) shows all panes of its session, in windows of its own.
_CLIENTS = (
    "#{client_activity} #{client_control_mode} .#{client_flags} "
    "#{?client_control_mode,#{W:#{P:#{pane_id} }},#{pane_id}}"
)


async def list_panes(tmux: Tmux) -> Listing:
    """All panes of the server. Raises PaneLost when there is no server, TmuxError."""
    try:
        output = await tmux.query(
            "list-panes", "-a", "-F", _LIST, ";", "display-message", "-p", "#{socket_path}"
        )
    except TmuxError as error:
        raise _lost(error, f"the server `{tmux.server}`") from error
    *lines, socket = output.rstrip("\n").split("\n")
    per_pane = await tmux.version() >= (3, 0)
    return Listing(socket, per_pane, tuple(_row(line) for line in lines if line.count(" ") >= 8))


async def resolve(tmux: Tmux, session: str, pane: str) -> Pane:
    """List the panes, and pick the one that the name means."""
    return pick(await list_panes(tmux), session, pane).pane


def _row(line: str) -> PaneRow:
    pid, start, pane_id, pane_pid, tty, session_id, window, index, session = line.split(" ", 8)
    return PaneRow(
        int(pid),
        int(start or 0),
        pane_id,
        int(pane_pid or 0),
        tty,
        session_id,
        int(window),
        int(index),
        session,
    )


def _lost(error: TmuxError, what: str) -> Exception:
    """PaneLost where tmux reports that the server or the target is gone; else the error itself."""
    return PaneLost(f"{what} is gone ({error})") if LOST.search(str(error)) else error


async def observe(tmux: Tmux, pane: Pane, now: Callable[[], float] = time.time) -> PaneState:
    """Look at the pane: one tmux call, one termios read.

    Raises PaneLost when the pane or its server is gone.
    """
    # The time before the call: a key that is pressed while tmux answers may be missing in the
    # answer.
    asked = now()
    try:
        output = await tmux.query(*await look_words(tmux, pane))
    except TmuxError as error:
        raise _lost(error, f"pane {pane.label}") from error
    return read_look(output, pane, asked)


async def look_words(tmux: Tmux, pane: Pane) -> list[str]:
    """The commands of a look. They only read."""
    # Keep blanks: a row that a line editor has filled with them up to the edge continues in the
    # next row.
    keep_blanks = ["-N"] if await tmux.version() >= KEEPS_BLANKS else []
    target = ["-t", pane.pane_id]
    return [
        *["display-message", "-p", *target, snapshot_format(pane.pane_id, pane.per_pane), ";"],
        *["list-clients", "-F", _CLIENTS, ";"],
        # A respawned pane has another terminal.
        *[
            "display-message",
            "-p",
            *target,
            ".#{pane_tty} #{bracket_paste_flag}|#{pane_title}",
            ";",
        ],
        *["capture-pane", "-p", "-e", *keep_blanks, *target, ";"],
        *["capture-pane", "-p", "-J", *target],
    ]


def read_look(output: str, pane: Pane, asked: float) -> PaneState:
    """Parse what those commands printed, and read the terminal. Raises PaneLost.

    `asked`: the clock before the commands ran.
    """
    snapshot, *lines = output.split("\n")
    end_of_clients = next(index for index, line in enumerate(lines) if line.startswith("."))
    tty, _, rest = lines[end_of_clients][1:].partition(" ")
    brackets, _, title = rest.partition("|")
    state = _read_snapshot(snapshot, pane)
    first, height = end_of_clients + 1, int(str(state["height"]))
    screen, joined = read_rows(lines[first : first + height]), lines[first + height : -1]
    terminal = read_terminal(tty, int(str(state["pane_pid"])))
    return PaneState(
        **state,  # type: ignore[arg-type]
        rows=tuple(row.text for row in screen),
        wrapped=wrapped_rows([row.text for row in screen], joined),
        solid=tuple(row.solid for row in screen),
        carets=tuple((column, index) for index, row in enumerate(screen) for column in row.carets),
        title=title,
        brackets=brackets == "1" if brackets else None,
        human_idle=human_idle(lines[:end_of_clients], pane.pane_id, asked),
        unseen_person=has_unseen_person(lines[:end_of_clients], pane.pane_id),
        tty=tty,
        terminal=terminal,
        session=claude_status(terminal.process)
        if any("claude" in word for word in terminal.argv[:2])
        else "",
    )


def _read_snapshot(snapshot: str, pane: Pane) -> dict[str, object]:
    parts = snapshot.split("/", FIELD_COUNT - 1)
    # display-message never fails: if the pane is gone, it prints the state of another one.
    if len(parts) != FIELD_COUNT or parts[1] != pane.pane_id:
        raise PaneLost(f"pane {pane.label} is gone")
    if int(parts[0]) != pane.server_pid:
        raise PaneLost(f"pane {pane.label} is gone: its tmux server was restarted")
    number = [int(part) if part.isdigit() else 0 for part in parts]
    return {
        "snapshot": snapshot,
        "server_pid": number[0],
        "pane_id": parts[1],
        "pane_pid": number[2],
        "dead": bool(number[3]),
        "in_mode": bool(number[4]),
        "input_off": bool(number[5]),
        "synchronized": bool(number[6]),
        "cursor_x": number[7],
        "cursor_y": number[8],
        "cursor_shown": bool(number[9]),
        "alternate": bool(number[10]),
        "width": number[11],
        "height": number[12],
        "pasted": parts[14],
        "sent": parts[15],
        "command": parts[16],
    }


def human_idle(clients: Iterable[str], pane_id: str, now: float) -> float | None:
    """Seconds since a person's last key in this pane; None when no client shows the pane.

    client_activity moves on a person's keys only, never on ours. It counts whole seconds, so
    the key may have been pressed up to one second later than that.
    """
    idle: float | None = None
    for client in clients:
        activity, control, _, panes = client.split(" ", 3)
        if pane_id in panes.split() and control != "1":
            since = max(0.0, now - int(activity) - 1)
            idle = since if idle is None else min(idle, since)
    return idle


def has_unseen_person(clients: Iterable[str], pane_id: str) -> bool:
    """May a person be typing here, with keys that tmux does not report?

    A control client's keys arrive as send-keys, which move neither client_activity nor
    session_activity. A control client without output belongs to a watcher, not to a person
    (attachment.py).
    """
    for client in clients:
        _, control, flags, panes = client.split(" ", 3)
        if pane_id in panes.split() and control == "1" and "no-output" not in flags[1:].split(","):
            return True
    return False

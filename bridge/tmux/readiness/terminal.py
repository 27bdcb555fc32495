"""Which process reads a pane's terminal, and how? From termios(3) and proc(5).

This is the strongest evidence of readiness and costs no tmux call. A line editor turns ICANON and
ECHO off while it waits for a line. A running command leaves both on. A password prompt turns only
ECHO off. tcgetpgrp(3) works only for one's own terminal, so the foreground group comes from
/proc/<pid>/stat.

    pane's process ─► its session ─► the foreground group ─► the process that reads

Where there is no /proc (macOS) ps(1) gives the same, without executables and file descriptors
(ps.py). BRIDGE_TEST_NO_PROC=1 switches /proc off, for tests. It is read once.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios

from bridge.tmux.readiness import ps
from bridge.tmux.readiness.program_names import executes, is_carrier, names_of
from bridge.tmux.readiness.snapshot import ForegroundProcess, Terminal

# Some kernels do not list the children of a process.
HAS_PROC = os.path.exists(
    f"/proc/{os.getpid()}/task/{os.getpid()}/children"
) and not os.environ.get("BRIDGE_TEST_NO_PROC")
VISITED_MAX = 256  # processes of a session; beyond them the group may be unknown
GROUP_MAX = 64  # processes of the foreground group; no shell at its prompt has as many
TASKS_MAX = (
    64  # threads of a process to search for children: Go and Node start them from any thread
)
FDS_MAX = 64  # file descriptors of one process to check: a terminal is opened early
READ_MAX = 4096  # bytes of a file that are read; in a command line, names and flags come first
UNKNOWN = "a program that cannot be identified here"


def read_terminal(tty: str, pane_pid: int) -> Terminal:
    """Read the flags of `tty` and its foreground group. What cannot be read stays unknown."""
    flags = _flags(tty)
    known, canonical, echo, signals = flags or (False, False, False, True)
    group, ancestry = _foreground(tty, pane_pid)
    unread = has_unread(tty)
    if not group:
        return Terminal(known, canonical, echo, signals, below=UNKNOWN, unread=unread)
    reader = _reader(group)
    below = next(
        (
            names_of(one).shown
            for one in _above(reader, group + ancestry, pane_pid)
            if executes(one)
        ),
        "",
    )
    own, process = reader.pid == pane_pid, f"{reader.pid}-{reader.started}"
    return Terminal(
        known, canonical, echo, signals, own, reader.argv, group, process, below, unread
    )


def has_changed(tty: str, seen: Terminal) -> bool:
    """Is another process in the foreground than in `seen`, or another mode on? For polling."""
    flags = _flags(tty)
    if (flags or (False, False, False, True)) != (
        seen.known,
        seen.canonical,
        seen.echo,
        seen.signals,
    ):
        return True
    if not HAS_PROC or not seen.process:
        return False  # not known without a look
    stat = _stat(seen.reader.pid)
    if (
        stat is None
        or stat.group != stat.foreground
        or f"{stat.pid}-{stat.started}" != seen.process
    ):
        return True
    is_gone = any(_stat(process.pid) is None for process in seen.group)  # git in fish's prompt
    return is_gone or _argv(stat.pid) != seen.argv


def process_name(pid: int) -> str:
    """The process as "PID.START", which differs from a later one with the same pid.

    The start is 0 where it cannot be read.
    """
    stat = _stat(pid) if HAS_PROC else None
    started = stat.started if stat else ps.started(pid) if not HAS_PROC else ""
    return f"{pid}.{started or 0}"


def is_alive(process: str) -> bool:
    """Does that process still run? `process` is "PID.START".

    Without a known start, a successor with the same pid counts as the process.
    """
    pid, _, started = process.partition(".")
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    stat = _stat(int(pid)) if HAS_PROC else None
    if stat is not None and stat.state in ("Z", "X"):
        return False
    now = stat.started if stat else "" if HAS_PROC else ps.started(int(pid))
    return started in ("", "0", now) or now == ""


def has_unread(tty: str) -> bool:
    """Are there typed bytes that the program has not read yet (ioctl_tty(2), FIONREAD)?

    False where that cannot be read.
    """
    count = array.array("i", [0])
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return count[0] > 0


def _flags(tty: str) -> tuple[bool, bool, bool, bool] | None:
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        flags = termios.tcgetattr(descriptor)[3]
    except termios.error:
        return None
    finally:
        os.close(descriptor)
    return (
        True,
        bool(flags & termios.ICANON),
        bool(flags & termios.ECHO),
        bool(flags & termios.ISIG),
    )


# The process that reads


def _reader(group: tuple[ForegroundProcess, ...]) -> ForegroundProcess:
    """The known agent, also below a launcher (npx, uv); else the leader, or a carrier's child."""
    for process in group:
        if process.reads is not False and names_of(process).agent:
            return process
    reader = group[0]
    while is_carrier(reader):
        child = next((one for one in group if one.parent == reader.pid), None)
        if child is None:
            break
        reader = child
    return reader


def _above(
    reader: ForegroundProcess, known: tuple[ForegroundProcess, ...], pane_pid: int
) -> list[ForegroundProcess]:
    """Its ancestors, and the pane's own process. One of them gets the terminal next."""
    by_pid = {process.pid: process for process in known}
    found: dict[int, ForegroundProcess] = {}
    parent = reader.parent
    while parent in by_pid and parent not in found and reader.pid != pane_pid:
        found[parent] = by_pid[parent]
        parent = by_pid[parent].parent
    if pane_pid in by_pid and pane_pid != reader.pid:
        found.setdefault(pane_pid, by_pid[pane_pid])
    return list(found.values())


# The foreground group


def _foreground(
    tty: str, pane_pid: int
) -> tuple[tuple[ForegroundProcess, ...], tuple[ForegroundProcess, ...]]:
    """(the foreground group with its leader first, the other processes from which it descends)."""
    if not HAS_PROC:
        return ps.read_foreground(tty, pane_pid)
    own = _stat(pane_pid)
    if own is None or own.foreground <= 0:
        return (), ()
    visited = _session(own)
    members = [
        stat for stat in visited.values() if stat.group == own.foreground and stat.state != "Z"
    ][:GROUP_MAX]
    members.sort(key=lambda stat: stat.pid != own.foreground)
    alone = len(members) == 1
    group = tuple(_process(stat, None if alone else _reads(stat, tty)) for stat in members)
    return group, tuple(
        _process(stat, None) for stat in _ancestors(members, visited) if stat not in members
    )


class Stat:
    """The fields of proc(5) stat for one process."""

    __slots__ = ("pid", "state", "parent", "group", "session", "foreground", "started")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        """`fields` begins with the third one of proc(5)."""
        self.pid, self.state = pid, fields[0].decode()
        self.parent, self.group, self.session = int(fields[1]), int(fields[2]), int(fields[3])
        self.foreground, self.started = int(fields[5]), fields[19].decode()


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)  # costs a third of open(), and there are many files
    try:
        return os.read(descriptor, READ_MAX)
    finally:
        os.close(descriptor)


def _stat(pid: int) -> Stat | None:
    try:
        return Stat(pid, _read(f"/proc/{pid}/stat").rpartition(b")")[2].split())
    except (OSError, ValueError, IndexError):
        return None  # it ended while we looked


def _session(own: Stat) -> dict[int, Stat]:
    """The pane's process and its descendants in the same session; others cannot read this terminal.

    The search also starts at the leader of the group: if its parent has ended, it is no descendant
    any more.
    """
    waiting = [own.pid] + ([own.foreground] if own.foreground != own.pid else [])
    found: dict[int, Stat] = {}
    while waiting and len(found) < VISITED_MAX:
        pid = waiting.pop(0)
        stat = own if pid == own.pid else _stat(pid)
        if pid not in found and stat is not None and stat.session == own.session:
            found[pid] = stat
            waiting += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task")[:TASKS_MAX]:
            children += [int(word) for word in _read(f"/proc/{pid}/task/{task}/children").split()]
    except (OSError, ValueError):
        pass  # it ended while we looked
    return children


def _ancestors(members: list[Stat], visited: dict[int, Stat]) -> list[Stat]:
    found: dict[int, Stat] = {}
    for stat in members:
        while stat.parent in visited and stat.parent not in found:
            stat = found[stat.parent] = visited[stat.parent]
    return list(found.values())


def _process(stat: Stat, reads: bool | None) -> ForegroundProcess:
    try:
        executable = os.readlink(f"/proc/{stat.pid}/exe")
    except OSError:
        executable = ""  # another user's
    return ForegroundProcess(
        _argv(stat.pid), executable, stat.pid, stat.parent, stat.started, reads
    )


def _argv(pid: int) -> tuple[str, ...]:
    try:
        raw = _read(f"/proc/{pid}/cmdline")
    except OSError:
        return ()
    return (
        tuple(part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0"))
        if raw
        else ()
    )


def _reads(stat: Stat, tty: str) -> bool | None:
    """Is the terminal its standard input, or did it open it to read, as pickers and pagers do?

    A descriptor with the same number as in its parent is inherited, and is no evidence. A forked
    zsh keeps the descriptor from which its parent reads keys, and gitstatusd holds one that it
    never reads.
    """
    names = (tty, "/dev/tty")
    try:
        numbers = sorted(map(int, os.listdir(f"/proc/{stat.pid}/fd")))[:FDS_MAX]
    except (OSError, ValueError):
        return None  # another user's, or it has ended
    if _link(stat.pid, 0) in names:
        return True
    for number in numbers:
        link = _link(stat.pid, number) if number > 2 else ""
        if link in names and link != _link(stat.parent, number) and _is_readable(stat.pid, number):
            return True
    return False


def _link(pid: int, number: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""


def _is_readable(pid: int, number: int) -> bool:
    """The second line of proc(5) fdinfo has the flags of open(2), in octal."""
    try:
        flags = _read(f"/proc/{pid}/fdinfo/{number}").partition(b"flags:")[2].split()[0]
        return int(flags, 8) & os.O_ACCMODE != os.O_WRONLY
    except (OSError, ValueError, IndexError):
        return True

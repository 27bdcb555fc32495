"""Who reads a pane's terminal, and how: termios(3) and proc(5).

This is the strongest sign of readiness and costs no tmux call (0.06 ms): a line editor turns
ICANON and ECHO off while it waits for a line; a running command leaves both on; a password prompt
turns ECHO alone off. tcgetpgrp(3) answers only for one's own terminal, so the foreground group comes from
/proc/<pid>/stat; where there is no /proc (macOS) it stays unknown and tmux's name of the command serves.
"""

from __future__ import annotations

import os
import termios
from typing import Optional

from bridge.tmux.profiles import SHELLS, script_of
from bridge.tmux.state import Terminal

GROUP_MAX = 32  # processes looked at: a program that has more is no pager
ARGV_MAX = 4096  # bytes of a command line that are read: names and flags come first


def read_terminal(tty: str, pane_pid: int) -> Terminal:
    """Read the flags of `tty` and its foreground process; what cannot be read stays unknown."""
    own, argv, group = _foreground(pane_pid)
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return Terminal(known=False, own=own, argv=argv, group=group)
    try:
        flags = termios.tcgetattr(descriptor)[3]
    except termios.error:
        return Terminal(known=False, own=own, argv=argv, group=group)
    finally:
        os.close(descriptor)
    return Terminal(True, bool(flags & termios.ICANON), bool(flags & termios.ECHO), bool(flags & termios.ISIG), own, argv, group)


def _foreground(pane_pid: int) -> tuple[Optional[bool], tuple[str, ...], tuple[str, ...]]:
    """(is it the pane's own process?, its command line, names of the others in its group)."""
    group, foreground = _groups(pane_pid)
    if foreground <= 0:
        return None, (), ()
    argv, below = _argv(foreground), [argv for argv in map(_argv, _descendants(foreground)) if argv]
    names = tuple(_name(argv) for argv in below)
    if argv and _name(argv) in SHELLS and script_of(argv):
        # `sh -c 'claude; exec bash'`: the shell leads the group, the program that reads is its child.
        return False, below[0] if below else argv, names[1:]
    return group == foreground, argv, names


def _name(argv: tuple[str, ...]) -> str:
    return os.path.basename(argv[0]).lstrip("-")


def _groups(pid: int) -> tuple[int, int]:
    """(process group, foreground group of its terminal): fields 5 and 8 of proc(5) stat; zeros when unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            after_name = file.read().rpartition(b")")[2].split()
        return int(after_name[2]), int(after_name[5])
    except (OSError, ValueError, IndexError):
        return 0, 0


def _descendants(leader: int) -> list[int]:
    """Children and theirs, eldest first, as far as they share the leader's process group; proc(5), task/*/children."""
    found: list[int] = []
    waiting = [leader]
    while waiting and len(found) < GROUP_MAX:
        children = [child for child in _children(waiting.pop(0)) if _groups(child)[0] == leader]
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task")[:GROUP_MAX]:
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                children += [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        pass  # it ended while we looked, or this kernel does not tell
    return children


def _argv(pid: int) -> tuple[str, ...]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(ARGV_MAX)
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0")) if raw else ()

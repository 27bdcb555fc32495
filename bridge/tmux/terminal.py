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

ARGV_MAX = 4096  # bytes of a command line that are read: names and flags come first


def read_terminal(tty: str, pane_pid: int) -> Terminal:
    """Read the flags of `tty` and its foreground process; what cannot be read stays unknown."""
    own, argv = _foreground(pane_pid)
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return Terminal(known=False, own=own, argv=argv)
    try:
        flags = termios.tcgetattr(descriptor)[3]
    except termios.error:
        return Terminal(known=False, own=own, argv=argv)
    finally:
        os.close(descriptor)
    return Terminal(True, bool(flags & termios.ICANON), bool(flags & termios.ECHO), bool(flags & termios.ISIG), own, argv)


def _foreground(pane_pid: int) -> tuple[Optional[bool], tuple[str, ...]]:
    """(is it the pane's own process?, command line of the foreground process)."""
    group, foreground = _groups(pane_pid)
    if foreground <= 0:
        return None, ()
    argv = _argv(foreground)
    if argv and os.path.basename(argv[0]).lstrip("-") in SHELLS and script_of(argv):
        # `sh -c 'claude; exec bash'`: the shell leads the group, the program that reads is its child.
        child = _child(foreground)
        return False, _argv(child) if child else argv
    return group == foreground, argv


def _groups(pid: int) -> tuple[int, int]:
    """(process group, foreground group of its terminal): fields 5 and 8 of proc(5) stat; zeros when unknown."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            after_name = file.read().rpartition(b")")[2].split()
        return int(after_name[2]), int(after_name[5])
    except (OSError, ValueError, IndexError):
        return 0, 0


def _child(leader: int) -> int:
    """The leader's first child in the same process group; 0 when there is none or it cannot be told."""
    try:
        with open(f"/proc/{leader}/task/{leader}/children", "rb") as file:
            children = [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return 0
    return next((child for child in children if _groups(child)[0] == leader), 0)


def _argv(pid: int) -> tuple[str, ...]:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            raw = file.read(ARGV_MAX)
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0")) if raw else ()

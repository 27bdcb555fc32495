"""Standard input, output and error: always open, and left without a complaint.

A program may be started with one of them closed (`>&-`, cron, a service manager).
Python then has None in its place, and the next file or socket that is opened gets
the free descriptor: a stray print would go into it.

    stdin closed   reads as empty
    stdout closed  is a pipe that nothing reads: the first word is a BrokenPipeError, as behind `| true`
    stderr closed  goes nowhere

So there is one way in which stdout fails, and one place (`main`) that handles it.
"""

from __future__ import annotations

import os
import sys

IN, OUT, ERR = 0, 1, 2  # stdin(3): the descriptors' numbers


def open_streams() -> None:
    """Put something in the place of each stream that is closed; in this order, the lowest free descriptor comes first."""
    if sys.stdin is None:
        place(os.open(os.devnull, os.O_RDONLY), IN)
        sys.stdin = open(IN, encoding="utf-8", closefd=False)
    if sys.stdout is None:
        unread, written = os.pipe()
        os.close(unread)
        place(written, OUT)
        sys.stdout = open(OUT, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        place(os.open(os.devnull, os.O_WRONLY), ERR)
        sys.stderr = open(ERR, "w", encoding="utf-8", closefd=False)


def place(descriptor: int, number: int) -> None:
    """Give an open file the number of a standard stream. A child does not get it: what it inherits stays closed."""
    if descriptor != number:
        os.dup2(descriptor, number, inheritable=False)
        os.close(descriptor)


def leave_stdout() -> None:
    """Where stdout takes nothing more (its reader has gone, its disk is full), what is held for it goes nowhere:
    the interpreter flushes at its end, and would complain."""
    try:
        sys.stdout.flush()
        return
    except OSError:
        pass
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, OUT)
    os.close(devnull)

"""Standard input, output and error: always open, and left without a complaint.

A program may be started with one of them closed (`>&-`, cron, a service manager).
Python then has None in its place, and the next file or socket that is opened gets
the free descriptor: a stray print would go into it.

    stdin closed   reads as empty
    stdout closed  is a pipe that nothing reads: a write is a BrokenPipeError, as for `| true`
    stderr closed  goes nowhere

So there is one way in which stdout fails, and one place (`main`) that handles it.
"""

from __future__ import annotations

import os
import sys

IN, OUT, ERR = 0, 1, 2  # stdin(3): the descriptors' numbers


def open_streams() -> None:
    """Put something in the place of each stream that is closed, lowest descriptor first."""
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
    """Give an open file the number of a standard stream.

    A child does not inherit it: for a child the stream stays closed.
    """
    if descriptor != number:
        os.dup2(descriptor, number, inheritable=False)
        os.close(descriptor)


def leave_stdout() -> None:
    """If stdout takes nothing more (no reader, a full disk), drop what is held for it.

    The interpreter flushes stdout at its end, and would complain.
    """
    try:
        sys.stdout.flush()
        return
    except OSError:
        pass
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, OUT)
    os.close(devnull)

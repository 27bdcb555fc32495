"""Standard input, output and error: always open, and closed without an error message.

A program may be started with one of them closed (`>&-`, cron, a service manager).
Python then holds None in its place. The next file or socket that is opened gets the free
file descriptor, so a stray print would go into it.

    stdin closed   reads as empty
    stdout closed  is a pipe without a reader: a write is a BrokenPipeError, as for `| true`
    stderr closed  is /dev/null

So stdout fails in one way, and one place (`main`) handles it.
"""

from __future__ import annotations

import os
import sys

IN, OUT, ERR = 0, 1, 2  # stdin(3): the descriptors' numbers


def open_streams() -> None:
    """Replace each closed stream, lowest descriptor first."""
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
    """If stdout cannot be written (no reader, a full disk), drop its buffered output.

    The interpreter flushes stdout when it exits, and would print an error.
    """
    try:
        sys.stdout.flush()
        return
    except OSError:
        pass
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, OUT)
    os.close(devnull)

"""Paste buffers of our own: how they are named, and who sweeps up after a crash.

`bridge-<pid>-<n>`: a name for each injector, for as long as it lives. A watcher that is killed between load and
paste leaves one behind, with a ticket's text in it; the next watcher that finds its pane removes it.
"""

from __future__ import annotations

import itertools
import os
import re

from bridge.errors import TmuxError
from bridge.tmux.command import Tmux

_NUMBERS = itertools.count()
_ARGUMENT = re.compile(
    r"[ -~]{0,3999}[ -:<-\[\]-~]"
)  # printable ASCII, the last one no semicolon and no backslash
_OURS = re.compile(r"bridge-(\d+)-\d+")


def is_argument(text: str) -> bool:
    """May it be given to set-buffer as an argument, whole? tmux takes a semicolon at the end for its own, and 16 KiB at most."""
    return _ARGUMENT.fullmatch(text) is not None


def new_name() -> str:
    return f"bridge-{os.getpid()}-{next(_NUMBERS)}"


async def sweep(tmux: Tmux) -> None:
    """Delete the buffers of processes that are gone. Raises TmuxError only where nothing works at all."""
    for name in (await tmux.run("list-buffers", "-F", "#{buffer_name}")).split("\n"):
        match = _OURS.fullmatch(name)
        if match and not _is_alive(int(match[1])):
            try:
                await tmux.run("delete-buffer", "-b", name)
            except TmuxError:
                continue  # another watcher was quicker


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True  # somebody's; not ours to judge
    return True

"""Our paste buffers: their names, and their removal after a crash.

`bridge-<pid>-<n>`: one name for each injector, for its whole life. A watcher that is killed between
load and paste leaves a buffer with a ticket's text in it. The next watcher that finds its pane
removes that buffer.
"""

from __future__ import annotations

import itertools
import os
import re

from bridge.errors import TmuxError
from bridge.tmux.server.client import Tmux

_NUMBERS = itertools.count()
# Printable ASCII that does not end in a semicolon or a backslash.
_ARGUMENT = re.compile(r"[ -~]{0,3999}[ -:<-\[\]-~]")
_OURS = re.compile(r"bridge-(\d+)-\d+")


def is_argument(text: str) -> bool:
    """May it be given to set-buffer as one argument?

    tmux takes a semicolon at the end as a command separator, and at most 16 KiB in all.
    """
    return _ARGUMENT.fullmatch(text) is not None


def new_name() -> str:
    return f"bridge-{os.getpid()}-{next(_NUMBERS)}"


async def sweep(tmux: Tmux) -> None:
    """Delete the buffers of processes that have ended. Raises TmuxError when tmux itself fails."""
    for name in (await tmux.query("list-buffers", "-F", "#{buffer_name}")).split("\n"):
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
        return True  # another user's process, or no pid of this machine
    return True

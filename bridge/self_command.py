"""How this very program is started again, from any folder and by any shell.

    own_command ──► [/abs/python3, -I, /abs/bridge]   a process that we start
        └► own_words ──► the same as text             what a person or an agent is told
             └► show_template ──► "… show {id}"       what is typed into a pane

Rule 1: never `-m`. Python then looks for the package in the current folder first,
and a pane's folder may hold a `bridge.py` of another author, which would run.
Rule 2: always `-I` (isolated mode): no PYTHONPATH, no PYTHONHOME, no PYTHONSTARTUP
and no user site of the pane reach us, and the pane's folder is never searched.
Rule 3: what is typed stands in single quotes where it needs quotes: bash, zsh, fish
and dash read those alike. A path that holds ', \\ or an unprintable character has
no quoting that all four read alike (fish ends '...' at \\'); it is refused.
"""

from __future__ import annotations

import os
import re
import shlex
import sys

import bridge
from bridge.errors import UsageError

SHOW = " show {id}"  # how the command that a shell gets ends, before its flags
WHY_NOT = (
    "cannot be quoted so that bash, zsh, fish and dash read it alike; "
    "set --shell-command to another command that ends in 'show {id}', for example through a link"
)
FALLBACK = "python3"  # where Python cannot tell its own path (sys.executable is empty)
PLAIN = re.compile(r"[A-Za-z0-9:/._-]+")  # what no shell reads as anything but itself


def own_command() -> list[str]:
    """The interpreter that runs us, isolated, and the package's folder or the archive."""
    python = os.path.abspath(sys.executable) if sys.executable else FALLBACK
    return [python, "-I", own_path()]


def own_path() -> str:
    """The absolute path of the archive that we run from, or else of the package's folder."""
    archive = getattr(bridge.__spec__.loader, "archive", None) if bridge.__spec__ else None
    return os.path.abspath(archive or next(iter(bridge.__path__)))


def own_words() -> str:
    """The command as it is told: a POSIX shell, which an agent uses, reads it whatever the path."""
    return shlex.join(own_command())


def show_template(chosen: str, flags: str = "") -> str:
    """The command that a shell gets: the chosen one, or this program's own `show` with `flags`.

    Raises UsageError when this program's path cannot be typed safely.
    """
    if chosen:
        return chosen
    for word in own_command():
        if not quoted(word):
            raise UsageError(f"the path {word!r} of this program {WHY_NOT}")
    return " ".join(map(quoted, own_command())) + SHOW + flags


def quoted(word: str) -> str:
    """The word as bash, zsh, fish and dash alike read it; "" where no quoting does that."""
    if PLAIN.fullmatch(word):
        return word
    is_alike = word.isprintable() and not any(part in word for part in ("'", "\\", "{id}"))
    return f"'{word}'" if word and is_alike else ""

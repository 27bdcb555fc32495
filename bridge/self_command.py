"""The command that starts this same program again, from any folder and in any shell.

    own_command ──► [/abs/python3, -I, /abs/bridge]   for a process that bridge starts
        └► own_words ──► the same as text             for a text that a person or agent reads
             └► show_template ──► "… show {id}"       for the text that is typed into a pane

Rule 1: never `-m`. Python would look for the package in the current folder first.
A pane's folder may hold a `bridge.py` of another author, which would run.
Rule 2: always `-I` (isolated mode). The pane's PYTHONPATH, PYTHONHOME, PYTHONSTARTUP
and user site have no effect then, and the pane's folder is never searched.
Rule 3: a word that needs quotes is typed in single quotes. bash, zsh, fish and dash
read those in the same way. A path that holds ', \\ or an unprintable character is
refused: no quoting of it means the same in all four (fish ends '...' at \\').
"""

from __future__ import annotations

import os
import re
import shlex
import sys

import bridge
from bridge.errors import UsageError

SHOW = " show {id}"  # the end of the command that a shell gets, before its flags
WHY_NOT = (
    "cannot be quoted so that bash, zsh, fish and dash read it alike; "
    "set --shell-command to another command that ends in 'show {id}', for example through a link"
)
FALLBACK = "python3"  # if Python does not know its own path (sys.executable is empty)
PLAIN = re.compile(r"[A-Za-z0-9:/._-]+")  # characters without a meaning to any shell


def own_command() -> list[str]:
    """This interpreter, isolated, and the package's folder or the archive."""
    python = os.path.abspath(sys.executable) if sys.executable else FALLBACK
    return [python, "-I", own_path()]


def own_path() -> str:
    """The absolute path of the archive that holds this program, or of the package's folder."""
    archive = getattr(bridge.__spec__.loader, "archive", None) if bridge.__spec__ else None
    return os.path.abspath(archive or next(iter(bridge.__path__)))


def own_words() -> str:
    """The command as text, quoted for a POSIX shell, which agents use. Any path works there."""
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
    """The word, quoted for bash, zsh, fish and dash; "" if no quoting works in all four."""
    if PLAIN.fullmatch(word):
        return word
    is_alike = word.isprintable() and not any(part in word for part in ("'", "\\", "{id}"))
    return f"'{word}'" if word and is_alike else ""

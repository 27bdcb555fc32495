"""The tmux program, what its version lacks, and whether a server answers.

The gaps were measured from 2.7 to 3.7, or read from tmux's CHANGES. bridge guards against all
of them from 2.2 on. They are still reported, since other tools that type into panes may not
have such guards.
"""

from __future__ import annotations

import asyncio
import re

from bridge.doctor.finding import Finding, Grade, Setup, fail, ok, warn
from bridge.errors import TmuxError

# (the version with the fix, the grade before it, what is wrong before it)
LACKS = (
    ((2, 2), Grade.FAIL, "a pane of a restarted server cannot be told from the one before"),
    ((2, 7), Grade.WARN, "bridge was never tried"),
    (
        (3, 0),
        Grade.WARN,
        "panes have no options of their own, so what was typed is noted in global ones",
    ),
    ((3, 2), Grade.WARN, "a paste into copy-mode is lost"),
    ((3, 4), Grade.OK, "a paste into a dead pane kills the whole server"),
)
_PANE = re.compile(r"(\S*) (\$\d+)")  # version of the server, session


def program(setup: Setup) -> Finding:
    try:
        version_text = asyncio.run(setup.tmux.version_text()).strip()
        version = asyncio.run(setup.tmux.version())
    except TmuxError as error:
        return fail(
            str(error),
            "install tmux, 3.4 or later if you can (apt install tmux, brew install tmux); "
            "watch --print and --exec work without it",
        )
    return judge_version(version_text, version)


def judge_version(version_text: str, version: tuple[int, int]) -> Finding:
    """What this version lacks, from the table. The worst gap decides the grade."""
    missing = [
        (grade, f"before {major}.{minor} {what}")
        for (major, minor), grade, what in LACKS
        if version < (major, minor)
    ]
    if not missing:
        return ok(version_text)
    text = f"{version_text}; {'; '.join(what for _, what in missing)}"
    grades = [grade for grade, _ in missing]
    if Grade.FAIL in grades:
        return fail(text, "install tmux 3.4 or later")
    if Grade.WARN in grades:
        return warn(text, "it works, bridge guards against these; tmux 3.4 or later is better")
    return ok(f"{text}, which bridge guards against")


def server(setup: Setup) -> Finding:
    try:
        lines = asyncio.run(
            setup.tmux.query("list-panes", "-a", "-F", "#{version} #{session_id}")
        ).splitlines()
        client = asyncio.run(setup.tmux.version_text()).strip().rpartition(" ")[2]
    except TmuxError as error:
        return no_server(setup, str(error))
    rows = [match for match in map(_PANE.fullmatch, lines) if match]
    if not rows or len(rows) != len(lines):
        return fail(
            f"{setup.tmux.server} answers what no tmux would: {lines[:1]}",
            "check which tmux is first in your PATH: type -a tmux",
        )
    sessions = count(len({row[2] for row in rows}), "session")
    text = f"{setup.tmux.server}: {sessions}, {count(len(rows), 'pane')}"
    running = rows[0][1]
    if running and running != client:
        return warn(
            f"{text}; it still runs {running}, the program is {client}",
            "end its sessions and start it again when you can: tmux was updated under it",
        )
    return ok(text)


def no_server(setup: Setup, complaint: str) -> Finding:
    if re.search("protocol version|server version", complaint):
        return fail(
            complaint,
            "tmux was updated under a running server: end its sessions with the old program, "
            "and start it again",
        )
    if re.search("no server running|error connecting|No such file", complaint):
        return warn(
            f"{setup.tmux.server}: no server runs",
            "start one (tmux new -s NAME), or name the right one with -L NAME or -S PATH",
        )
    return fail(complaint, "try the same by hand: " + setup.tmux.server + " list-panes -a")


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

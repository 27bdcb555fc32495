"""The foreground group of a terminal from ps(1), where there is no /proc: macOS, and tests.

The columns are common to macOS' ps and procps. Each has its own -o, because POSIX lets a header
extend to the end of its argument. One call takes some ms. So it is made once for each look, and
never while waiting for the end of a command.

ps reports neither executables nor file descriptors, and a command line can only be split at its
blanks.
"""

from __future__ import annotations

import os
import re
import subprocess

from bridge.tmux.readiness.snapshot import ForegroundProcess

PS_TIMEOUT = 2.0  # seconds; a ps that hangs must not block every pane
COLUMNS = ("pid", "ppid", "pgid", "tpgid", "stat", "lstart", "command")
_OPTIONS = tuple(word for column in COLUMNS for word in ("-o", f"{column}="))
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LSTART = r"\w+\s+(\w+)\s+(\d+)\s+([\d:]+)\s+(\d+)"  # Sat Nov 28 09:03:40 2026, in the C locale
_ROW = re.compile(rf"\s*(\d+)\s+(\d+)\s+(\d+)\s+(-?\d+)\s+(\S+)\s+{_LSTART} ?(.*)")


def read_foreground(
    tty: str, pane_pid: int
) -> tuple[tuple[ForegroundProcess, ...], tuple[ForegroundProcess, ...]]:
    """(the foreground group with its leader first, the other processes of this terminal)."""
    return parse(_run(*_OPTIONS, "-t", tty), pane_pid)


def _run(*options: str) -> str:
    """The output of ps; "" where it cannot run, or finds nothing."""
    try:
        done = subprocess.run(
            ["ps", "-ww", *options],
            capture_output=True,
            timeout=PS_TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def started(pid: int) -> str:
    """When that process started, as in Process.started; "" where there is no such process."""
    found = _rows(_run(*_OPTIONS, "-p", str(pid)))
    return _process(found[0]).started if found else ""


def parse(
    table: str, pane_pid: int
) -> tuple[tuple[ForegroundProcess, ...], tuple[ForegroundProcess, ...]]:
    """The same, from the rows that ps printed."""
    rows = _rows(table)
    foreground = next((int(row[4]) for row in rows if int(row[1]) == pane_pid), 0)
    members = [row for row in rows if int(row[3]) == foreground]
    members.sort(key=lambda row: int(row[1]) != foreground)
    others = [row for row in rows if int(row[3]) != foreground]
    return tuple(map(_process, members)), tuple(map(_process, others))


def _rows(table: str) -> list[re.Match[str]]:
    return [
        row for row in map(_ROW.match, table.splitlines()) if row and not row[5].startswith("Z")
    ]


def _process(row: re.Match[str]) -> ForegroundProcess:
    month = _MONTHS.index(row[6]) + 1 if row[6] in _MONTHS else 0
    started = f"{row[9]}{month:02}{int(row[7]):02}{row[8].replace(':', '')}"
    return ForegroundProcess(tuple(row[10].split()), "", int(row[1]), int(row[2]), started)

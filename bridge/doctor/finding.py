"""What a check is given, and what it says."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable

from bridge.settings import ClientSettings, DoctorSettings, TmuxSettings, WatcherSettings
from bridge.tmux.command import Tmux


class Grade(enum.Enum):
    OK = "ok"
    WARN = "warn"  # works, but not as well as it could, or may surprise somebody
    FAIL = "fail"  # something that bridge needs is not there


@dataclass(frozen=True)
class Finding:
    """One line: how it is; and one more where it is not well: how to mend it."""

    grade: Grade
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Setup:
    """What the person's other commands would use; what the checks look at."""

    doctor: DoctorSettings
    client: ClientSettings
    watcher: WatcherSettings
    panes: TmuxSettings
    tmux: Tmux
    db: str
    db_is_named: bool  # by --db or BRIDGE_DB: then it should be there


@dataclass(frozen=True)
class Check:
    name: str
    examine: Callable[[Setup], Finding]
    needs: str = ""  # another check, without which this one has nothing to look at


def ok(text: str) -> Finding:
    return Finding(Grade.OK, text)


def warn(text: str, mend: str) -> Finding:
    return Finding(Grade.WARN, text, mend)


def fail(text: str, mend: str) -> Finding:
    return Finding(Grade.FAIL, text, mend)


def size(size_bytes: int) -> str:
    """1536 -> "1.5 KiB", as people read sizes."""
    value = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"

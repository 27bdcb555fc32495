"""The input of a check, and its result."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Callable

from bridge.settings import ClientSettings, DoctorSettings, TmuxSettings, WatcherSettings
from bridge.tmux.server.client import Tmux


class Grade(enum.Enum):
    OK = "ok"
    WARN = "warn"  # works, but not as well as it could, or with a surprise
    FAIL = "fail"  # something that bridge needs is missing


@dataclass(frozen=True)
class Finding:
    """One line with the state. If it is not good, one more line: how to fix it."""

    grade: Grade
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Setup:
    """What the checks examine: the same values that the other commands would use."""

    doctor: DoctorSettings
    client: ClientSettings
    watcher: WatcherSettings
    panes: TmuxSettings
    tmux: Tmux
    db: str
    db_is_named: bool  # by --db or BRIDGE_DB: then it should exist


@dataclass(frozen=True)
class Check:
    name: str
    examine: Callable[[Setup], Finding]
    needs: str = ""  # another check that must not fail, or this one is left out


def ok(text: str) -> Finding:
    return Finding(Grade.OK, text)


def warn(text: str, mend: str) -> Finding:
    return Finding(Grade.WARN, text, mend)


def fail(text: str, mend: str) -> Finding:
    return Finding(Grade.FAIL, text, mend)


def size(size_bytes: int) -> str:
    """1536 -> "1.5 KiB"."""
    value = float(size_bytes)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"

"""Times for display: the RFC 3339 instants of the wire on the local clock, and spans.

12:04:11              today
2026-11-21 12:04:11   another day
3 m 20 s              a span
"""

from __future__ import annotations

import time

from bridge.timestamp import parse_rfc3339

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def read_at(text: str) -> float | None:
    """Seconds since the epoch; None when `text` is not an instant."""
    wall_ms = parse_rfc3339(text)
    return None if wall_ms is None else wall_ms / 1000


def local(at: str, now: float, milliseconds: bool = False) -> str:
    """An instant on the local clock, with its date unless it is today.

    A text that is not an instant is returned as it is.
    """
    seconds = read_at(at)
    if seconds is None:
        return at
    try:
        return clock(seconds, now, milliseconds)
    except (OverflowError, ValueError, OSError):  # a year that the C library does not support
        return at


def clock(seconds: float, now: float, milliseconds: bool = False) -> str:
    """The same for seconds since the epoch."""
    whole = int(seconds // 1)
    there, here = time.localtime(whole), time.localtime(now)
    day = "" if there[:3] == here[:3] else time.strftime("%Y-%m-%d ", there)
    return (
        day
        + time.strftime("%H:%M:%S", there)
        + (f".{min(999, round((seconds - whole) * 1000)):03d}" if milliseconds else "")
    )


def span(seconds: float) -> str:
    """The two greatest units: 3 m 20 s. Below ten seconds with a decimal, below one in ms."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    left = int(seconds)
    words: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or words:
            words.append(f"{count} {unit}")
        if len(words) == 2:
            break
    return " ".join(word for word in words if not word.startswith("0 ")) or "0 s"


def short_span(seconds: float) -> str:
    """The greatest unit alone, for a column: 3m."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def since(at: str, now: float) -> str:
    """`since 12:04:11 (3 m 20 s)`; "" when the instant is not known."""
    seconds = read_at(at)
    return "" if seconds is None else f"since {local(at, now)} ({span(now - seconds)})"

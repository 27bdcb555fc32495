"""Milliseconds since the epoch to RFC 3339, and back.

The text is UTC with milliseconds and a Z: the wire's `...At` fields.
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache


@lru_cache(maxsize=4)  # consecutive tickets share their second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(wall_ms: int) -> str:
    """1700000000123 -> "2023-11-14T22:13:20.123Z"."""
    seconds, rest = divmod(wall_ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


def parse_rfc3339(text: str) -> int | None:
    """ "2023-11-14T22:13:20.123Z" -> 1700000000123; None if the text is no instant."""
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        return round(moment.timestamp() * 1000) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None

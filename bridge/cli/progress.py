"""What the benchmarks share: how far is it, and where and when was it?"""

from __future__ import annotations

import os
import platform
import time
from typing import TextIO

from bridge import __version__


class ProgressLine:
    """One line that is written over on a terminal and wiped away in the end; elsewhere a plain line when something new begins."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal:
            self._write("\r\x1b[K")

    def tell(self, what: str, how_far: str = "") -> None:
        """`how_far` changes often, and is for a terminal only."""
        text = f"{what} {how_far}".rstrip() if self._is_terminal else what
        if text != self._shown:
            self._shown = text
            self._write(f"\r\x1b[K{text}" if self._is_terminal else text + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def machine() -> str:
    """What a figure depends on."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, bridge {__version__}"


def here_and_now() -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}"

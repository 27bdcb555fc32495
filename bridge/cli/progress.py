"""Shared by the benchmarks: the progress line, and on which machine and when they ran."""

from __future__ import annotations

import os
import platform
import time
from typing import TextIO

from bridge import __version__


class ProgressLine:
    """In a terminal, one line that is overwritten, and erased at the end.

    Elsewhere, a plain line for each new step.
    """

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
        """`how_far` changes often, and is shown in a terminal only."""
        text = f"{what} {how_far}".rstrip() if self._is_terminal else what
        if text != self._shown:
            self._shown = text
            self._write(f"\r\x1b[K{text}" if self._is_terminal else text + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def machine() -> str:
    """The properties of the machine that a figure depends on."""
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, bridge {__version__}"
    )


def here_and_now() -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M')}, {machine()}"

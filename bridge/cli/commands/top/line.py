"""Lines of the screen: spans of text, each in a style, cut to the width of the screen.

A style is the meaning of a text. screen.py turns it into a colour, or into bold and reverse
without colours. A meaning never has a style alone: without colours, the words still hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bridge.cli.cells import ELLIPSIS, cut, fit, text_width
from bridge.cli.safe_text import one_line

STYLES = ("plain", "dim", "bold", "good", "warn", "bad", "head", "chosen", "chart")


class Span(NamedTuple):
    text: str
    style: str = "plain"


Lines = list[tuple[Span, ...]]


@dataclass(frozen=True)
class Charset:
    """The characters that the terminal can show."""

    is_unicode: bool = True

    @property
    def ellipsis(self) -> str:
        return ELLIPSIS if self.is_unicode else "~"

    def mark(self, unicode: str, ascii: str) -> str:
        return unicode if self.is_unicode else ascii

    def safe(self, text: str) -> str:
        """Any text as one line that this terminal can show."""
        shown = one_line(text)
        return (
            shown if self.is_unicode else shown.encode("ascii", "backslashreplace").decode("ascii")
        )

    def cut(self, text: str, width: int) -> str:
        return cut(text, width, self.ellipsis)

    def fit(self, text: str, width: int, is_right: bool = False) -> str:
        return fit(text, width, self.ellipsis, is_right)


def line_of(width: int, charset: Charset, *spans: tuple[str, str]) -> tuple[Span, ...]:
    """A line of these spans, cut to the width."""
    placed, left = [], width
    for text, style in spans:
        kept = charset.cut(text, left)
        if kept:
            placed.append(Span(kept, style))
            left -= text_width(kept)
        if kept != text:
            break
    return tuple(placed)


def first_that_fits(width: int, *variants: str) -> str:
    """The first of the variants that fits; else the last one, which must then be cut."""
    return next((text for text in variants if text_width(text) <= width), variants[-1])


@dataclass(frozen=True)
class Paper:
    """What a picture is drawn on."""

    width: int
    height: int
    charset: Charset
    now: float  # wall clock, seconds

    def line(self, *spans: tuple[str, str]) -> tuple[Span, ...]:
        return line_of(self.width, self.charset, *spans)


def text_of(line: tuple[Span, ...]) -> str:
    return "".join(span.text for span in line)

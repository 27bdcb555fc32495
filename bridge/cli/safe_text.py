"""Output that is safe: nothing in a ticket's text can act on the terminal that shows it.

A ticket may hold anything. ESC sequences change a terminal's title, or make the terminal
type an answer into the shell (DSR, xterm's ctlseqs). Bidi controls display another text than
the one that is there (CVE-2021-42574). All of these characters are made visible:

    ESC  ->  ␛  (U+2400 + code, Control Pictures)      DEL -> ␡
    C1, bidi, zero width, line and paragraph separators, tags  ->  \\u{202e}
    a lone surrogate -> \\u{d800}

`visible` keeps newlines and tabs, for a body. `one_line` makes them visible too.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from bridge.cli.cells import fit, text_width

_CONTROLS = re.compile("[\x00-\x1f\x7f]")
# Cc above ASCII; Cf that reorders or hides (bidi, zero width, tags, BOM, soft hyphen); Zl, Zp;
# surrogates; interlinear marks.
_HIDDEN = re.compile(
    "[\x80-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34"}


def one_line(text: str) -> str:
    """`text` with each control and hidden character made visible, newlines too."""
    shown = _CONTROLS.sub(
        lambda found: "\u2421" if found.group() == "\x7f" else chr(0x2400 + ord(found.group())),
        text,
    )
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found.group()):x}}}", shown)


def visible(text: str) -> str:
    """The same for a text of several lines: LF and TAB are kept, and CRLF becomes LF."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(one_line, line.split("\t"))) for line in lines)


def payload_text(payload: object) -> str:
    """A string as it is, any other payload as indented JSON. Not yet made visible."""
    return (
        payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False)
    )


def evidence_words(evidence: object) -> list[str]:
    """A watcher's evidence in words. Mostly an object, but any JSON value may come.

    Not yet made visible.
    """
    if isinstance(evidence, dict):
        return [f"{name}={payload_text(value)}" for name, value in evidence.items()]
    return [] if evidence is None else [payload_text(evidence)]


def excerpt(payload: object, length: int) -> str:
    """The beginning of a payload for a list: one line."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return one_line(text if len(text) <= length else text[: length - 1] + "\u2026")


class Page:
    """Standard output of one command. Coloured in a terminal, unless NO_COLOR (no-color.org)."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._is_coloured = (
            self._out.isatty()
            and not os.environ.get("NO_COLOR")
            and os.environ.get("TERM") != "dumb"
        )

    def line(self, text: str = "") -> None:
        """Print a text that was made visible already."""
        encoding = self._out.encoding or "ascii"
        # A terminal of another encoding gets \u escapes instead of a traceback.
        self._out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._out.flush()

    def json(self, value: object, is_compact: bool = False) -> None:
        self.line(json.dumps(value) if is_compact else json.dumps(value, indent=2))

    def complain(self, text: str) -> None:
        """One line on standard error."""
        print(f"bridge: {text}", file=sys.stderr)

    def paint(self, text: str, colour: str) -> str:
        return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if self._is_coloured else text

    def table(self, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest entry, in terminal cells. The last one is not padded."""
        cells = [[one_line("" if cell is None else str(cell)) for cell in row] for row in rows]
        widths = [
            max([len(head), *(text_width(row[index]) for row in cells)])
            for index, head in enumerate(heads)
        ]
        self.line(
            self.paint(
                "  ".join(head.ljust(width) for head, width in zip(heads, widths)).rstrip(), "dim"
            )
        )
        for row in cells:
            self.line("  ".join(fit(cell, width) for cell, width in zip(row, widths)).rstrip())

"""No byte of a ticket's body may act as a key, a paste bracket or an escape sequence.

A terminal's input has no quoting. ESC [ 2 0 1 ~ ends a bracketed paste, and the program executes
what follows. The kernel acts on 0x03 even inside a paste. So the dangerous characters are replaced
or removed:

    CR LF, CR, U+0085, U+2028, U+2029 -> LF          one newline, harmless inside a bracket
    other C0 but LF and TAB, DEL, C1  -> dropped     ECMA-48 5.2, 5.3
    bidi controls, U+FEFF             -> dropped     a person reads what arrives (CVE-2021-42574)

The result is idempotent. It is at most `cap_bytes` of UTF-8, and has no blank line at its end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEWLINES = re.compile("\r\n|[\r\x85\u2028\u2029]")
_DROPPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True)
class Sanitised:
    text: str
    was_cut: bool  # it was longer than `cap_bytes`; `text` is only its beginning
    was_changed: bool  # characters were dropped or replaced
    size_bytes: int  # before cutting


def sanitise(text: str | bytes, cap_bytes: int) -> Sanitised:
    """Make `text` safe to paste. Keep at most `cap_bytes` of it, cut between two characters."""
    given = (
        text.decode("utf-8", "replace")
        if isinstance(text, bytes)
        else text.encode("utf-8", "replace").decode("utf-8")
    )
    clean = _DROPPED.sub("", _NEWLINES.sub("\n", given)).rstrip()
    raw = clean.encode("utf-8")
    was_cut = len(raw) > cap_bytes
    if was_cut:
        clean = raw[:cap_bytes].decode("utf-8", "ignore").rstrip()
    return Sanitised(clean, was_cut, clean != text, len(raw))


def one_line(text: str, cap_bytes: int) -> str:
    """The same for a name in a header: newlines, tabs and runs of blanks become one blank."""
    return " ".join(sanitise(text.replace("\n", " ").replace("\r", " "), cap_bytes).text.split())

"""No byte of a ticket's body may act as a key, a paste bracket or an escape sequence.

A terminal's input has no quoting: ESC [ 2 0 1 ~ ends a bracketed paste and what follows
is executed; 0x03 is acted on by the kernel even inside one. So the dangerous characters do
not travel at all:

    CR LF, CR, U+0085, U+2028, U+2029 -> LF          one newline, which a bracket keeps inert
    other C0 but LF and TAB, DEL, C1  -> dropped     ECMA-48 5.2, 5.3
    bidi controls, U+FEFF             -> dropped     what a person reads is what arrives (CVE-2021-42574)

The result is idempotent, at most `cap_bytes` of UTF-8, and ends in no blank line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NEWLINES = re.compile("\r\n|[\r\x85\u2028\u2029]")
_DROPPED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True)
class Sanitised:
    text: str
    was_cut: bool  # the head only: more than `cap_bytes`
    was_changed: bool  # something was dropped or replaced
    size_bytes: int  # before cutting


def sanitise(text: str | bytes, cap_bytes: int) -> Sanitised:
    """Make `text` safe to be pasted; keep at most `cap_bytes` of it, cut between two characters."""
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
    """The same for a name in a header: newlines and tabs become blanks, runs of blanks one."""
    return " ".join(sanitise(text.replace("\n", " ").replace("\r", " "), cap_bytes).text.split())

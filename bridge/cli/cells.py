"""Text measured in a terminal's cells: a wide character takes two, a combining one none.

Text is cut and padded by cells, so that columns align for a name in any language. The
text was made visible already (safe_text.py).
"""

from __future__ import annotations

from bridge.tmux.readiness.cells import char_width, text_width

ELLIPSIS = "…"


def cut(text: str, width: int, ellipsis: str = ELLIPSIS) -> str:
    """The beginning of `text`, at most `width` cells; an ellipsis replaces the rest."""
    if text_width(text) <= width:
        return text
    room = width - text_width(ellipsis)
    if room < 0:
        return ""
    used = 0
    for index, letter in enumerate(text):
        used += char_width(letter)
        if used > room:
            return text[:index] + ellipsis
    return text


def fit(text: str, width: int, ellipsis: str = ELLIPSIS, is_right: bool = False) -> str:
    """Exactly `width` cells: cut, or padded with blanks."""
    kept = cut(text, width, ellipsis)
    blanks = " " * (width - text_width(kept))
    return blanks + kept if is_right else kept + blanks


def fold(text: str, width: int, indent: int = 0) -> list[str]:
    """One line as several of at most `width` cells, all but the first indented.

    It is folded at blanks where it has some.
    """
    lines, rest, room = [], text, width
    indent = max(0, min(indent, width // 2, width - 2))
    while text_width(rest) > room:
        head = cut(rest, room, "") or rest[:1]  # a wide character, but room for one cell
        blank = (
            head.rfind(" ", len(head) // 2) if rest[len(head) : len(head) + 1] != " " else len(head)
        )
        end = blank if blank > 0 else len(head)
        lines.append(rest[:end])
        rest = rest[end:].lstrip(" ")
        room = width - indent
    lines.append(rest)
    return lines[:1] + [" " * indent + line for line in lines[1:] if line]


__all__ = ["ELLIPSIS", "char_width", "cut", "fit", "fold", "text_width"]

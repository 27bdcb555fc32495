"""Is the text that we pasted standing in the agent's input, whole?

Asked between paste and Enter, and after a crash. The screen shows text wrapped, framed, indented and without
its odd characters, so both sides are reduced to letters, digits and punctuation ("squashed") before the
body's tail is compared with what stands left of the cursor. Prompt glyphs go, too: aider begins each row of a
draft with one. A composer that folds long pastes shows a mark of its own instead: "[Pasted text #1 +12 lines]".
A person's key in the meantime stands behind the tail, the comparison fails, and no Enter is pressed on their half
of the line.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Optional

from bridge.tmux.program import Sight
from bridge.tmux.prompt import menu_rows, tmux_objection
from bridge.tmux.screen import empty_or_last_input, unframed
from bridge.tmux.state import PaneState, text_width

GLYPHS = ">❯›»▌"  # of prompts, in composers
IGNORED = "|\ufffd" + GLYPHS
TAIL = 24  # characters compared: enough to be no accident, few enough for a narrow or scrolling input
HEAD = 120  # characters of the header, which names the ticket: what a transcript is searched for
FRAME = 4  # columns of a row that a frame and its blanks may take
ROWS_BACK = 12  # rows above the cursor that the tail may wrap over


@dataclass(frozen=True)
class Draft:
    tail: str  # squashed end of the pasted text
    whole: str  # squashed text
    last: str  # its last line

    @classmethod
    def of(cls, text: str) -> Draft:
        return cls(squash(text)[-TAIL:], squash(text), unframed(text.rpartition("\n")[2]).strip())

    def is_shown(self, sight: Sight) -> bool:
        """Does the text end where the cursor is (or, with a hidden cursor, in the last input row)?"""
        state = sight.state
        if not state.cursor_shown:
            return self._ends_a_row(empty_or_last_input(state.rows) or state.rows, sight)  # the glyph's row may be above the screen
        left = unframed(state.left).strip()
        if _ends_folded(left, sight):
            return True
        if left in GLYPHS and left not in ("", self.last):
            return False  # an empty input, under a transcript that may end with the very same words
        above = state.rows[max(0, state.cursor_y - ROWS_BACK) : state.cursor_y]
        return squash("\n".join([*above, state.left])).endswith(self.tail)

    def _ends_a_row(self, rows: tuple[str, ...], sight: Sight) -> bool:
        """Where the input ends cannot be told without a cursor; but what a person has written behind the text would follow in its row."""
        seen = ""
        for row in rows:
            seen += squash(row)
            if seen.endswith(self.tail) or _ends_folded(unframed(row).rstrip(), sight):
                return True
        return False

    def is_touched(self, sight: Sight) -> bool:
        """Does the text stand in the input, and a person has typed right behind it, or taken its end away? The input begins with
        the last row that has a prompt glyph (where each row of it has one, aider, this is not seen), or above the screen."""
        if self.is_shown(sight):
            return False
        state, seen = sight.state, ""
        screen = (*state.rows[: state.cursor_y], state.left) if state.cursor_shown else state.rows
        rows = empty_or_last_input(screen) or screen
        for index, row in enumerate(rows, 1):
            seen += squash(row)
            if self.tail in seen:  # behind it, in its own row or, where that is full, in the next; what stands further below may be an answer
                return not seen.endswith(self.tail) or (index < len(rows) and text_width(row.rstrip()) >= state.width - FRAME)
        if len(seen) >= TAIL and seen in self.whole:  # somebody has deleted into it
            return True
        return any(sight.profile.folded.search(unframed(row)) and not _ends_folded(unframed(row).rstrip(), sight) for row in rows)

    def stands(self, before: PaneState, sight: Sight) -> bool:
        """After an Enter: is the text in the input still, for certain? A transcript may end with the same words, but not with a
        cursor behind the same piece of them, in whichever row; in a window of another size it wraps elsewhere."""
        now, behind = sight.state, _before_cursor(sight.state)
        if not now.cursor_shown or not behind:
            return False
        return behind == _before_cursor(before) or ((now.width, now.height) != (before.width, before.height) and self.is_shown(sight))

    def is_told(self, state: PaneState) -> bool:
        """Does the transcript show the text? Only a hint: a screen forgets."""
        return self.whole[:HEAD] in squash("\n".join(state.rows))

    def is_unchanged(self, before: PaneState, now: PaneState) -> bool:
        """Does the very same draft stand in the very same place, as if Enter had not been pressed?"""
        same_place = (before.cursor_x, before.cursor_y, before.cursor_shown) == (now.cursor_x, now.cursor_y, now.cursor_shown)
        if not now.cursor_shown:
            return same_place and empty_or_last_input(before.rows) == empty_or_last_input(now.rows)
        return same_place and before.left == now.left and before.pane_pid == now.pane_pid

    def objection(self, sight: Sight) -> Optional[str]:
        """Why Enter must not be pressed now. Rows of the draft itself may hold anything, they are no dialog."""
        objection = tmux_objection(sight)
        if objection is not None:
            return objection
        rows = [row for row in menu_rows(sight) if squash(row) not in self.whole]
        return f"a dialog is open: {' '.join(unframed(rows[0]).split())!r}" if rows else None


def _before_cursor(state: PaneState) -> str:
    """What stands left of the cursor; or, where a resize has left the cursor below the frame, in the last row within the frame."""
    left, framed = unframed(state.left).strip(), False
    for row in reversed(state.rows[max(0, state.cursor_y - ROWS_BACK) : state.cursor_y]):
        if left or (row.strip() and not framed and unframed(row).strip()):
            break
        framed = framed or bool(row.strip())
        left = unframed(row).strip()
    return left


def _ends_folded(row: str, sight: Sight) -> bool:
    """Does the row end with the mark that stands for a long paste?"""
    return any(mark.end() == len(row) for mark in sight.profile.folded.finditer(row))


def squash(text: str) -> str:
    """Letters, digits and punctuation only: what survives wrapping, framing, prompting and any terminal's idea of emoji."""
    return "".join(char for char in text if char not in IGNORED and _KEPT.get(unicodedata.category(char), False))


_KEPT = dict.fromkeys(("Lu", "Ll", "Lt", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk"), True)

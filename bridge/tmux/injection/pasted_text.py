"""Is the text that we pasted in the agent's composer, completely?

We ask this between paste and Enter, after Enter, and after a crash. The answer is one of five:

    EMPTY      the composer is open, and nothing is in it
    WHOLE      it holds the text, and nothing else
    FOREIGN    it holds something, but no part of the text
    TOUCHED    it holds a part of the text, or more than the text
    CLOSED     no composer is open: a dialog, another screen, an agent at work

A screen shows text wrapped, framed, indented and without some characters. So both sides are reduced
to letters, digits and punctuation ("squashed"), after NFC: macOS decomposes accents, and agents
compose them again. Symbols are removed, with emoji and their modifiers, because each program draws
them in its own way. So is the picture of a control character (aider draws a tab as ^I).

A composer with fewer rows than the text shows its end. One that folds long pastes shows a mark
instead, "[Pasted text #1 +12 lines]", and perhaps the last line behind it.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from dataclasses import dataclass

from bridge.tmux.readiness.composer import BORDER, Composer, find_composer
from bridge.tmux.readiness.objections import menu_rows, tmux_objection
from bridge.tmux.readiness.profiles import FOLDED
from bridge.tmux.readiness.program import Sight
from bridge.tmux.readiness.snapshot import PaneState

GLYPHS = ">❯›»▌●"  # of prompts in composers: an unknown agent may begin each row with one
IGNORED = "|\ufffd\\" + GLYPHS
TAIL = 24  # characters: too many for an accident, few enough for a narrow or scrolling composer
SCROLLS_AT = 4  # rows that every composer shows before it begins to scroll
HEAD = 120  # characters of the header, which has the ticket's id; searched in a transcript


class ComposerState(enum.Enum):
    """What the composer holds, compared with the text."""

    EMPTY = "empty"
    WHOLE = "whole"
    FOREIGN = "foreign"
    TOUCHED = "touched"
    CLOSED = "closed"


@dataclass(frozen=True)
class PastedText:
    """A text that was, or is about to be, pasted."""

    whole: str  # squashed
    last: str  # its last line, squashed
    # Squashed rows that were on the screen before the paste: output, so they are no dialog.
    rows_before: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str, before: tuple[str, ...] = ()) -> PastedText:
        """`before`: the rows of the screen before the paste."""
        return cls(
            squash(text), squash(text.rstrip().rpartition("\n")[2]), frozenset(map(squash, before))
        )

    def standing(self, sight: Sight) -> ComposerState:
        composer = find_composer(sight.state, sight.composers)
        if composer is None:
            return ComposerState.CLOSED
        if composer.is_empty:
            return ComposerState.EMPTY
        return self._compare(composer)

    def _compare(self, composer: Composer) -> ComposerState:
        shown = "\n".join(composer.rows)
        seen = squash(shown)
        is_end = len(seen) >= TAIL and self.whole.endswith(seen)
        if seen == self.whole or (is_end and self._may_scroll(composer)):
            return ComposerState.WHOLE
        mark = FOLDED.search(shown)
        if (
            mark
            and not squash(shown[: mark.start()])
            and squash(shown[mark.end() :]) in ("", self.last)
        ):
            return ComposerState.WHOLE
        if mark or not seen or self._shares(seen):
            return ComposerState.TOUCHED
        return ComposerState.FOREIGN

    def _may_scroll(self, composer: Composer) -> bool:
        """Is it too low for the text's beginning? If not, a person has removed that part."""
        return not composer.opening or composer.bottom - composer.top + 1 >= SCROLLS_AT

    def _shares(self, seen: str) -> bool:
        """Is a piece of the text in it, or is it a piece of the text?"""
        pieces = [
            self.whole[index : index + TAIL]
            for index in range(0, max(1, len(self.whole) - TAIL + 1), TAIL // 2)
        ]
        return any(piece in seen for piece in pieces) or (len(seen) >= 4 and seen in self.whole)

    def is_in_transcript(self, state: PaneState) -> bool:
        """Does the screen show the text's head, as a transcript does?"""
        return self.whole[:HEAD] in squash("\n".join(state.rows))

    def objection(self, sight: Sight) -> str | None:
        """Why Enter must not be pressed now, whatever is in the composer.

        Rows of the text itself are no dialog.
        """
        objection = tmux_objection(sight)
        if objection is not None:
            return objection
        rows = [
            row
            for row in menu_rows(sight)
            if squash(row) not in self.whole and squash(row) not in self.rows_before
        ]
        return f"a dialog is open: {' '.join(BORDER.sub('', rows[0]).split())!r}" if rows else None


def squash(text: str) -> str:
    """Letters, digits and punctuation only: independent of wrapping, frames, prompts and emoji."""
    joined = "".join(unicodedata.normalize("NFC", text).split())
    plain = re.sub(r"\^[@-_?]", "", joined)
    return "".join(
        char for char in plain if char not in IGNORED and unicodedata.category(char) in _KEPT
    )


_KEPT = frozenset(
    ("Lu", "Ll", "Lt", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc")
)

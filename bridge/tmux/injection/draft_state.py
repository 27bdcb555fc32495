"""May Enter be pressed now, and what became of the text? One state, and one table.

Each look at the pane gives one of five states of the draft, the text that we have pasted:

    UNCHANGED   it is in the input, whole, and the screen stands still
    MOVED       it is in the input, whole, and the screen has just moved
    TOUCHED     the input holds a part of it, or more than it
    GONE        the input is empty. Or the input holds something else, or is out of sight, while
                  the transcript shows the text or the agent works
    UNSEEN      nothing of it is in sight

NEXT_STEP says what follows, before the first Enter and after it. Its key has two more parts:

    is_objected   is there an objection to an Enter: a person, a dialog, a mode of tmux?
    has_tries     before Enter: may it take more time? After: may Enter be pressed once more?

A command that was pasted into a shell or a REPL is only UNCHANGED or UNSEEN: its line holds exactly
the command, or not. It gets more time only while there is no objection.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from bridge.tmux.injection.pasted_text import ComposerState, PastedText
from bridge.tmux.readiness.objections import is_working
from bridge.tmux.readiness.program import Sight


class DraftState(enum.Enum):
    GONE = "gone"
    UNCHANGED = "unchanged"
    MOVED = "moved"
    TOUCHED = "touched"
    UNSEEN = "unseen"


def classify_draft(draft: PastedText, sight: Sight, is_still: bool) -> DraftState:
    """`is_still`: the screen has stood still for as long as a paste must (`settle`)."""
    held = draft.standing(sight)
    if held is ComposerState.WHOLE:
        return DraftState.UNCHANGED if is_still else DraftState.MOVED
    if held is ComposerState.TOUCHED:
        return DraftState.TOUCHED
    if held is ComposerState.EMPTY or is_working(sight) or draft.is_in_transcript(sight.state):
        return DraftState.GONE
    return DraftState.UNSEEN


class EnterStep(enum.Enum):
    PRESS = "press Enter"
    LOOK = "look again"
    TAKEN = "the text is submitted"
    # The others end the call with an error.
    ABSENT = "the text is not in the input"
    OBJECTED = "an objection holds"
    EDITED = "a person has changed the text"
    UNCLEAR = "it cannot be seen what became of the text"
    STUCK = "the program does not take the Enter"


class EnterSteps(NamedTuple):
    before: EnterStep  # no Enter was pressed yet
    after: EnterStep


# (state, is_objected, has_tries) -> what follows before Enter, and after it.
NEXT_STEP = {
    (DraftState.UNCHANGED, False, True): EnterSteps(EnterStep.PRESS, EnterStep.PRESS),
    (DraftState.UNCHANGED, False, False): EnterSteps(EnterStep.PRESS, EnterStep.STUCK),
    (DraftState.UNCHANGED, True, True): EnterSteps(EnterStep.LOOK, EnterStep.OBJECTED),
    (DraftState.UNCHANGED, True, False): EnterSteps(EnterStep.OBJECTED, EnterStep.OBJECTED),
    # Before Enter even an old text waits for stillness. After Enter it does not count.
    (DraftState.MOVED, False, True): EnterSteps(EnterStep.LOOK, EnterStep.PRESS),
    (DraftState.MOVED, False, False): EnterSteps(EnterStep.LOOK, EnterStep.STUCK),
    (DraftState.MOVED, True, True): EnterSteps(EnterStep.LOOK, EnterStep.OBJECTED),
    (DraftState.MOVED, True, False): EnterSteps(EnterStep.OBJECTED, EnterStep.OBJECTED),
    # These three, before Enter: a new text may still be on its way into the input.
    (DraftState.TOUCHED, False, True): EnterSteps(EnterStep.LOOK, EnterStep.EDITED),
    (DraftState.TOUCHED, False, False): EnterSteps(EnterStep.ABSENT, EnterStep.EDITED),
    (DraftState.TOUCHED, True, True): EnterSteps(EnterStep.LOOK, EnterStep.EDITED),
    (DraftState.TOUCHED, True, False): EnterSteps(EnterStep.OBJECTED, EnterStep.EDITED),
    (DraftState.GONE, False, True): EnterSteps(EnterStep.LOOK, EnterStep.TAKEN),
    (DraftState.GONE, False, False): EnterSteps(EnterStep.ABSENT, EnterStep.TAKEN),
    (DraftState.GONE, True, True): EnterSteps(EnterStep.LOOK, EnterStep.TAKEN),
    (DraftState.GONE, True, False): EnterSteps(EnterStep.OBJECTED, EnterStep.TAKEN),
    # After Enter a later call looks again.
    (DraftState.UNSEEN, False, True): EnterSteps(EnterStep.LOOK, EnterStep.UNCLEAR),
    (DraftState.UNSEEN, False, False): EnterSteps(EnterStep.ABSENT, EnterStep.UNCLEAR),
    (DraftState.UNSEEN, True, True): EnterSteps(EnterStep.LOOK, EnterStep.UNCLEAR),
    (DraftState.UNSEEN, True, False): EnterSteps(EnterStep.OBJECTED, EnterStep.UNCLEAR),
}

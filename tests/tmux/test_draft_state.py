"""The state of a draft, and the table of what follows.

The functions `old_...` are the decisions as they were before the table existed: one `if` after the
other. Over all combinations the table decides the same.
"""

from __future__ import annotations

import itertools

import pytest
from pictures import RAW, pane

from bridge.tmux.injection.draft_state import NEXT_STEP, DraftState, EnterStep, classify_draft
from bridge.tmux.injection.pasted_text import ComposerState, PastedText
from bridge.tmux.readiness.objections import is_working
from bridge.tmux.readiness.program import Learned, Rules, Sight, sight_of

TEXT = "Message of a peer agent: please run the whole test suite now, thanks"
DRAFT = PastedText.of(TEXT)
LINE = "─" * 40
SAID = "> Message of a peer agent: please run the\n  whole test suite now, thanks\n\n"


def ruled(text: str) -> str:
    return f"{LINE}\n{text}\n{LINE}\n  ? for shortcuts"


HELD = {
    ComposerState.EMPTY: ruled("❯ █"),
    ComposerState.WHOLE: ruled(f"❯ {TEXT}█"),
    ComposerState.FOREIGN: ruled("❯ my own words█"),
    ComposerState.TOUCHED: ruled("❯ the whole test suite now, thanks█"),
    ComposerState.CLOSED: "1 passed\n█",
}  # fmt: skip
BOTH = (False, True)


def look(held: ComposerState, works: bool, told: bool) -> Sight:
    said = SAID if told or held is ComposerState.WHOLE else "● another text\n\n"
    state = pane(said + HELD[held], "claude", RAW, session="busy" if works else "idle")
    return sight_of(state, Learned(), Rules())


LOOKS = [
    pytest.param(
        look(held, works, told),
        id=f"{held.value}{'-works' if works else ''}{'-told' if told else ''}",
    )
    for held, works, told in itertools.product(ComposerState, BOTH, BOTH)
]


@pytest.mark.parametrize("held", ComposerState)
@pytest.mark.parametrize("works", BOTH)
@pytest.mark.parametrize("told", BOTH)
def test_the_looks_are_what_they_are_called(held, works, told):
    sight = look(held, works, told)
    assert DRAFT.standing(sight) is held and is_working(sight) is works
    assert DRAFT.is_in_transcript(sight.state) is (told or held is ComposerState.WHOLE)


def old_is_taken(sight: Sight) -> bool:
    standing = DRAFT.standing(sight)
    if standing is ComposerState.EMPTY:
        return True
    return standing in (ComposerState.CLOSED, ComposerState.FOREIGN) and (
        is_working(sight) or DRAFT.is_in_transcript(sight.state)
    )


def old_before(is_whole: bool, is_still: bool, blocked: bool, is_new: bool) -> EnterStep:
    if blocked:
        if not is_new:
            return EnterStep.OBJECTED
    elif is_whole and is_still:
        return EnterStep.PRESS
    elif not is_whole and not is_new:
        return EnterStep.ABSENT
    return EnterStep.LOOK


def old_command(stands: bool, blocked: bool, is_late: bool) -> EnterStep:
    if not blocked and stands:
        return EnterStep.PRESS
    if blocked or is_late:
        return EnterStep.OBJECTED if blocked else EnterStep.ABSENT
    return EnterStep.LOOK


def old_after(sight: Sight, blocked: bool, has_tries: bool) -> EnterStep:
    standing = DRAFT.standing(sight)
    if old_is_taken(sight):
        return EnterStep.TAKEN
    if standing is ComposerState.TOUCHED:
        return EnterStep.EDITED
    if standing is not ComposerState.WHOLE:
        return EnterStep.UNCLEAR
    if blocked:
        return EnterStep.OBJECTED
    return EnterStep.PRESS if has_tries else EnterStep.STUCK


@pytest.mark.parametrize("is_still", BOTH)
@pytest.mark.parametrize("sight", LOOKS)
def test_the_table_decides_as_before_over_all_combinations(sight, is_still):
    state = classify_draft(DRAFT, sight, is_still)
    is_whole = DRAFT.standing(sight) is ComposerState.WHOLE
    assert (state is DraftState.GONE) is old_is_taken(sight)
    for blocked, has_tries in itertools.product(BOTH, BOTH):
        steps = NEXT_STEP[state, blocked, has_tries]
        assert steps.before is old_before(is_whole, is_still, blocked, has_tries)
        assert steps.after is old_after(sight, blocked, has_tries)


@pytest.mark.parametrize("state", [DraftState.UNCHANGED, DraftState.UNSEEN])
def test_a_command_is_decided_as_before(state):
    """It may wait while there is no objection and its time is not over."""
    for blocked, is_late in itertools.product(BOTH, BOTH):
        step = NEXT_STEP[state, blocked, not blocked and not is_late].before
        assert step is old_command(state is DraftState.UNCHANGED, blocked, is_late)


def test_the_table_has_a_row_for_each_combination():
    assert set(NEXT_STEP) == set(itertools.product(DraftState, BOTH, BOTH))


def test_enter_is_pressed_only_where_the_whole_text_stands_and_nothing_objects():
    for (state, is_objected, has_tries), steps in NEXT_STEP.items():
        if steps.before is EnterStep.PRESS:
            assert state is DraftState.UNCHANGED and not is_objected
        if steps.after is EnterStep.PRESS:
            assert state in (DraftState.UNCHANGED, DraftState.MOVED)
            assert has_tries and not is_objected
        assert steps.before is not EnterStep.TAKEN

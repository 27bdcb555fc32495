"""Find a pasted text on a screen: whole in the composer, edited by a person, or not there."""

from __future__ import annotations

import pytest
from composers import LOOKS, draw
from hypothesis import given
from hypothesis import strategies as st
from pictures import RAW, pane

from bridge.tmux.injection.pasted_text import ComposerState, PastedText, squash
from bridge.tmux.readiness.cells import clusters
from bridge.tmux.readiness.program import Learned, Rules, Sight, sight_of
from bridge.tmux.readiness.snapshot import PaneState

TEXT = "Message of a peer agent: please run the whole test suite now, thanks"
LINE = "─" * 40
STATUS = f"{LINE}\n  ? for shortcuts"
WHOLE, FOREIGN, TOUCHED, EMPTY, CLOSED = (
    ComposerState.WHOLE, ComposerState.FOREIGN, ComposerState.TOUCHED,
    ComposerState.EMPTY, ComposerState.CLOSED,
)  # fmt: skip


def sight_of_screen(screen: str, agent: str = "claude", **fields) -> Sight:
    return sight_of(pane(screen.strip("\n"), agent, RAW, **fields), Learned(), Rules())


def ruled(text: str) -> str:
    return f"● said before\n{LINE}\n{text}\n{STATUS}"


def top_out_of_sight(text: str) -> str:
    return f"{text}\n{STATUS}"


SAID = "> Message of a peer agent: please run the\n  whole test suite now, thanks\n\n"
BODY = "❯ Message of a peer agent: please run\n  the whole test suite now, thanks"
SCREENS = {
    "whole": (ruled(BODY + "█"), WHOLE),
    "whole, the caret at its start": (ruled(BODY.replace("Mess", "█Mess")), WHOLE),
    "words behind": (ruled(BODY + " and mine█"), TOUCHED),
    "words before": (ruled(BODY.replace("Mess", "mine Mess") + "█"), TOUCHED),
    "words behind that wrap": (ruled(BODY + " and\n  then the rest of mine█"), TOUCHED),
    "a last row of words": (ruled(BODY + "\n  mine█"), TOUCHED),
    "its end taken away": (
        ruled("❯ Message of a peer agent: please run\n  the whole test sui█"), TOUCHED
    ),
    "its head taken away": (
        ruled("❯ agent: please run\n  the whole test suite now, thanks█"), TOUCHED
    ),
    "a piece of it": (ruled("❯ whole test█"), TOUCHED),
    "taller than the screen": (
        top_out_of_sight("  agent: please run\n  the whole test suite now, thanks█"), WHOLE
    ),
    "taller than the screen, words behind": (
        top_out_of_sight("  agent: please run\n  the whole test suite now, thanks and mine█"),
        TOUCHED,
    ),
    "taller than the screen, its end taken away": (
        top_out_of_sight("  agent: please run\n  the whole test sui█"), TOUCHED
    ),
    "scrolled in its composer": (
        ruled("❯ agent:\n  please\n  run the whole test\n  suite now, thanks█"), WHOLE
    ),
    "folded": (ruled("❯ [Pasted text #1 +7 lines]█"), WHOLE),
    "folded, and its last line": (ruled("❯ [Pasted text #1 +7 lines]" + TEXT + "█"), WHOLE),
    "folded, words behind": (ruled("❯ [Pasted text #1 +7 lines] mine█"), TOUCHED),
    "folded, words before": (ruled("❯ mine [Pasted text #1 +7 lines]█"), TOUCHED),
    "folded twice": (ruled("❯ [Pasted text #1 +7 lines][Pasted text #2 +7 lines]█"), TOUCHED),
    "a person's own words": (ruled("❯ my own words█"), FOREIGN),
    "a blank": (ruled("❯  █"), TOUCHED),
    "empty": (ruled("❯ █"), EMPTY),
    "taken": (SAID + ruled("❯ █"), EMPTY),
    "taken, words of a person since": (SAID + ruled("❯ my own words█"), FOREIGN),
    "taken, and no composer while it works": (SAID + "Running the tests.\n1 passed\n█", CLOSED),
    "taken, and below a rule no composer": (SAID + f"works\n{LINE}\n█", CLOSED),
    "a dialog": (f"{LINE}\n Do you want to proceed?\n ❯ 1. Yes█\n   2. No\n Esc to cancel", CLOSED),
    "shell mode": (ruled("! ls█"), CLOSED),
}  # fmt: skip


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("name", SCREENS)
def test_the_standing_of_a_text_on_a_screen(name, shown):
    screen, expected = SCREENS[name]
    assert (
        PastedText.of(TEXT + " ").standing(sight_of_screen(screen, cursor_shown=shown)) is expected
    )


BOX = "╭────────────────╮\n{}\n╰────────────────╯\n"
BOXES = {
    "whole": (BOX.format("│ > Message of a │\n│   peer, thanks█ │"), WHOLE),
    "words behind": (BOX.format("│ > Message of a │\n│   peer, thanks a█ │"), TOUCHED),
    "taken": ("> Message of a\npeer, thanks\n" + BOX.format("│ > █             │"), EMPTY),
    "its words in another frame": (BOX.format("│ Message of a   │\n│ peer, thanks█   │"), CLOSED),
}


@pytest.mark.parametrize("name", BOXES)
def test_the_standing_of_a_text_in_a_box(name):
    screen, expected = BOXES[name]
    assert PastedText.of("Message of a peer, thanks").standing(sight_of_screen(screen)) is expected


def test_a_text_is_in_a_transcript_that_shows_its_head():
    draft = PastedText.of(TEXT)
    assert draft.is_in_transcript(pane(SAID + "works█"))
    assert not draft.is_in_transcript(pane("another text█"))


@pytest.mark.parametrize(
    ("fields", "reason"), [({"dead": True}, "dead"), ({"in_mode": True}, "mode"), ({}, "")]
)
def test_the_objections_to_an_enter(fields, reason):
    found = PastedText.of(TEXT).objection(sight_of_screen(ruled("❯ █"), **fields))
    assert reason in found if found else reason == "", found


def test_a_menu_is_an_objection_to_an_enter_unless_the_text_contains_it():
    menu = sight_of_screen("Proceed?\n❯ 1. Yes█\n  2. No")
    assert "a dialog is open: '❯ 1. Yes'" in (PastedText.of(TEXT).objection(menu) or "")
    assert PastedText.of("choose:\n❯ 1. Yes\n  2. No").objection(menu) is None


WORDS = st.text(st.sampled_from("ab .,(日é👩🏽🇩🇪│─>❯\n\t"), min_size=1, max_size=120)


@given(
    name=st.sampled_from([name for name in LOOKS if LOOKS[name].agent]),
    body=WORDS,
    more=WORDS,
    width=st.integers(20, 120),
)
def test_a_drawn_text_is_whole_and_with_more_behind_it_it_is_touched(name, body, more, width):
    """For each way to draw a composer, and at any width."""
    text = f"[bridge] a header\n{body.strip()} "
    look = LOOKS[name]

    def standing(shown: str) -> ComposerState:
        drawn = shown.replace("\t", "    ").replace("\n\n", "\n")
        state = draw(look, drawn, sum(1 for _ in clusters(drawn)), width)
        return PastedText.of(text).standing(sight_of(named(state, look.agent), Learned(), Rules()))

    assert standing(text) is WHOLE
    if squash(more):
        assert standing(text + more) is TOUCHED


def named(state: PaneState, agent: str) -> PaneState:
    terminal = pane("", agent, RAW).terminal
    return PaneState(**{**state.__dict__, "terminal": terminal})

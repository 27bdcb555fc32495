"""Laws of composers: no draft is read as an empty input, whatever its text and its caret."""

from __future__ import annotations

import pytest
from composers import ABOVE, LOOKS, composer_of, draw
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.tmux.readiness.cells import char_width, clusters, text_width
from bridge.tmux.readiness.composer import Composer

GLYPHS = ">❯›»▌●▋│┃|─━╭╰╮╯╌▀╹"
WIDE = "日本한👩🏽❤️🇩🇪\u3000"
MARKS = "\u0301\u200d\u200b\ufe0f"
CHARACTERS = st.one_of(
    st.sampled_from(GLYPHS + WIDE + MARKS + "  ab1./$#:\n"),
    st.characters(blacklist_categories=("Cc", "Cs")),
)
DRAFT = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=60),
    st.text(st.sampled_from("ab \n>❯›"), min_size=1, max_size=300),
    st.sampled_from([look.placeholder for look in LOOKS.values() if look.placeholder]),
    st.sampled_from([look.first + "x" for look in LOOKS.values()]),
    st.sampled_from(
        ["a\n> ", "a\n❯ ", "a\n\n› ", "\n", "\n\n", " \n", "─" * 200, "│", "┃  ", "> ", "● "]
    ),
)
WORD = st.text(st.characters(whitelist_categories=("L", "N", "P", "S")), min_size=2, max_size=15)
PLACEHOLDER = st.lists(WORD, min_size=1, max_size=30).map(" ".join)
WIDTH = st.integers(20, 120)
NAMES = list(LOOKS)


def length(text: str) -> int:
    """The caret's largest position: the number of clusters and line breaks."""
    return text.count("\n") + sum(1 for line in text.split("\n") for _ in clusters(line))


def is_visible(text: str, caret: int, name: str) -> bool:
    """True if the screen distinguishes this draft from an empty input.

    Blanks after the caret do not show, unless they replace a placeholder. For an unknown agent,
    blanks before the caret may belong to the prompt, and blank rows to its box. Without a box and
    rules, text below a blank row may be outside of the composer.
    """
    if text_width(text.replace("\n", "")) == 0 and "\n" not in text:
        return False
    look, text = LOOKS[name], "".join(char for char in text if char_width(char))
    if look.agent == "":
        first = text if look.top else text.partition("\n")[0]
        return text.strip() != "" and (caret > 0 or first.strip() != "")
    return caret > 0 or text.strip() != "" or look.placeholder != "" or "\n" in text


@settings(max_examples=400)
@given(
    name=st.sampled_from(NAMES), text=DRAFT, place=st.floats(0, 1), width=WIDTH, trims=st.booleans()
)
@example("claude in a box", "│", 0.0, 40, False)
@example("claude in a box", "\n", 0.0, 40, False)
@example("cn", "▋Ask anything, @ for context", 0.0, 40, False)
def test_a_draft_is_never_an_empty_input(name, text, place, width, trims):
    caret = round(place * length(text))
    if not is_visible(text, caret, name):
        return
    found = composer_of(LOOKS[name], draw(LOOKS[name], text, caret, width, trims))
    assert found is None or not found.is_empty, found


@settings(max_examples=200)
@given(name=st.sampled_from(NAMES), placeholder=PLACEHOLDER, width=WIDTH, trims=st.booleans())
def test_an_empty_input_is_empty_with_any_placeholder(name, placeholder, width, trims):
    found = composer_of(LOOKS[name], draw(LOOKS[name], "", 0, width, trims, placeholder))
    assert found is not None and found.is_empty, found


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_input_is_empty(name):
    assert_is_empty(composer_of(LOOKS[name], draw(LOOKS[name], "", 0, 60)))


def assert_is_empty(found: Composer | None) -> None:
    assert found is not None and found.is_empty, found
    assert found.top >= len(ABOVE), "the composer contains a part of the transcript"


@settings(max_examples=200)
@given(
    name=st.sampled_from(NAMES),
    text=st.text(st.sampled_from("ab> \n日❯│"), min_size=1, max_size=80),
    width=WIDTH,
)
def test_the_rows_of_a_composer_are_the_draft(name, text, width):
    caret = length(text)
    found = composer_of(LOOKS[name], draw(LOOKS[name], text, caret, width))
    # Without a frame, a blank row may be the end of the composer.
    is_cut = "\n\n" in text or text[:1] == "\n" or not text.strip()
    if found is not None and not (is_cut and not LOOKS[name].top):
        assert "".join("".join(found.rows).split()) == "".join(text.split())

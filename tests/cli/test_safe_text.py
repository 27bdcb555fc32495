"""No text of a ticket can act on a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.safe_text import excerpt, one_line, visible

anything = st.text(st.characters(), max_size=200)
nasty = st.text(
    "\x00\x07\x08\t\n\r\x1b[]031m\x7f\x9b\u202e\u2066\u200b\ufeff\u2028\U000e0041é", max_size=60
)


def is_harmless(letter: str) -> bool:
    """Not a control character, and not one with which a terminal reorders or hides text."""
    return unicodedata.category(letter) not in (
        "Cc",
        "Cs",
        "Zl",
        "Zp",
    ) and unicodedata.bidirectional(letter) not in (
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    )


@given(st.one_of(anything, nasty))
def test_one_line_is_one_line_of_harmless_text(text):
    assert all(map(is_harmless, one_line(text)))


@given(st.one_of(anything, nasty))
def test_a_visible_body_keeps_its_lines_and_tabs_and_nothing_else(text):
    shown = visible(text)
    assert all(is_harmless(letter) or letter in "\n\t" for letter in shown)
    assert shown.count("\n") == text.count("\n") and shown.count("\t") == text.count("\t")


@given(
    st.text(st.characters(whitelist_categories=("L", "N", "P")), max_size=50).filter(
        lambda text: text.isprintable()
    )
)
def test_ordinary_text_is_left_alone(text):
    hidden = {
        letter
        for letter in text
        if unicodedata.category(letter) == "Lo" and letter in "\u115f\u1160"
    }
    assert hidden or one_line(text) == text == visible(text)


def test_examples():
    assert one_line("a\x1b[31mb\nc\x7f\x9b\u202e") == "a␛[31mb␊c␡\\u{9b}\\u{202e}"
    assert visible("a\r\nb\tc\x1b") == "a\nb\tc␛"
    assert excerpt({"a": "\x1b"}, 20) == '{"a": "\\u001b"}' and excerpt("x" * 30, 5) == "xxxx…"

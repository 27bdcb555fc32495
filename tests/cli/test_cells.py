"""Cells: a cut text fits, a fitted text fills its width, and a folded text is complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.cells import cut, fit, fold, text_width
from bridge.cli.safe_text import one_line

texts = st.text("ab 日本é́👍·", max_size=40) | st.text(max_size=40).map(one_line)


@given(texts, st.integers(0, 50), st.sampled_from(["…", "~", ""]))
def test_cut_and_fit(text, width, ellipsis):
    kept = cut(text, width, ellipsis)
    assert text_width(kept) <= width and (kept == text) is (
        text_width(text) <= width or kept == text
    )
    assert text.startswith(kept.removesuffix(ellipsis) if kept != text else kept)
    assert (
        text_width(fit(text, width, ellipsis))
        == text_width(fit(text, width, ellipsis, is_right=True))
        == width
    )


@given(texts, st.integers(2, 30), st.integers(0, 12))
def test_fold_keeps_everything_but_blanks(text, width, indent):
    lines = fold(text, width, indent)
    assert lines and all(text_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "text, width, indent, lines",
    [
        ("", 10, 0, [""]),
        ("to be or not", 5, 0, ["to be", "or", "not"]),
        ("now  lucy waits for", 12, 5, ["now  lucy", "     waits", "     for"]),
        ("日本語エージェント", 7, 2, ["日本語", "  エー", "  ジェ", "  ント"]),
        ("abcdefghij", 4, 0, ["abcd", "efgh", "ij"]),
    ],
)
def test_fold(text, width, indent, lines):
    assert fold(text, width, indent) == lines

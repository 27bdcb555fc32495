"""Laws of cell widths and of faint text, and a comparison with the widths of the installed tmux."""

from __future__ import annotations

import json
import shlex
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import until

from bridge.tmux.injection.pasted_text import GLYPHS, squash
from bridge.tmux.readiness.cells import (
    clusters,
    read_rows,
    split_at_column,
    text_width,
    wrapped_rows,
)

CHARACTERS = st.one_of(
    st.sampled_from("ab \t日\u0301e👩\u200d🏽❤\ufe0f🇩🇪│> \u00a0\u200b^I"),
    st.characters(blacklist_categories=("Cs",)),
)
TEXT = st.text(CHARACTERS, max_size=40)
PRINTED = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40)


@given(TEXT)
def test_clusters_are_the_text_cut_into_pieces(text):
    pieces = list(clusters(text))
    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece and columns in (0, 1, 2) for piece, columns in pieces)
    assert text_width(text) == sum(columns for _, columns in pieces)


@given(TEXT)
def test_a_combining_character_takes_no_column(text):
    for mark in ("\u0301", "\ufe0f", "\u200d", "🏽"):
        assert text_width("a" + mark + text) <= 1 + text_width("b" + text) or mark == "\u200d"
        assert text_width("日" + mark) == 2


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32)))
def test_ascii_characters_take_one_column_each(text):
    assert text_width(text) == len(text) == len(list(clusters(text)))


@given(TEXT, st.integers(0, 60))
def test_a_row_is_cut_between_two_clusters(text, column):
    left, right = split_at_column(text, column)
    assert (left + right).startswith(text)
    assert text_width(left) <= column
    assert not right or column - text_width(left) < 2


@given(PRINTED, PRINTED, PRINTED)
def test_faint_text_is_blank_in_the_same_columns(before, faint, after):
    for on, off in (("2", "22"), ("90", "39"), ("38;5;8", "39"), ("38;5;244", "0")):
        (row,) = read_rows([f"{before}\x1b[{on}m{faint}\x1b[{off}m{after}"])
        assert row.text == before + faint + after
        assert row.solid == before + " " * text_width(faint) + after


@pytest.mark.parametrize(
    ("code", "is_faint"),
    [
        ("2", True), ("90", True), ("38;5;8", True), ("38;5;244", True), ("38;5;103", True),
        ("38;5;248", True), ("38;2;128;128;128", True), ("1;38;5;244", True),
        ("38;5;244;1", True), ("48;5;240;90", True),
        ("0", False), ("1", False), ("97", False), ("38;5;231", False), ("38;5;255", False),
        ("38;5;16", False), ("38;5;196", False), ("48;5;244", False), ("38;2;255;0;0", False),
        ("58;5;244", False), ("2;22", False), ("2;7", False), ("90;39", False), ("38;5", False),
        ("38", False), ("", False),
    ],
)  # fmt: skip
def test_which_colours_are_faint(code, is_faint):
    (row,) = read_rows([f"\x1b[{code}mtext"])
    assert (row.solid == "    ", row.text) == (is_faint, "text")


def test_attributes_continue_in_the_next_row_and_links_and_line_drawing_are_read():
    rows = read_rows(
        [
            "\x1b[2mfaint",
            "still",
            "\x1b[0mno more",
            "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
            "\x0eqx\x0f q",
        ]
    )
    assert [row.solid for row in rows] == ["     ", "     ", "no more", "link", "─│ q"]


@pytest.mark.parametrize(
    ("line", "carets", "solid"),
    [
        ("❯ \x1b[7m \x1b[0m", (2,), "❯  "),
        # The caret is on the first letter of the placeholder.
        ("❯ \x1b[7mT\x1b[0;2mry this\x1b[0m", (2,), "❯" + " " * 9),
        ("❯ \x1b[7mw\x1b[0mords", (2,), "❯ words"),
        ("日 \x1b[7m日\x1b[0mx", (3,), "日 日x"),
        ("a \x1b[7mchosen\x1b[0m b", (), "a chosen b"),  # a selection is not a caret
        ("\x1b[7m👩🏽\x1b[0m", (0,), "👩🏽"),
    ],
)
def test_a_cell_in_inverse_video_is_a_caret(line, carets, solid):
    (row,) = read_rows([line])
    assert (row.carets, row.solid) == (carets, solid)


@given(PRINTED, st.integers(1, 30), st.sampled_from(["  ", "│ ", "> ", "❯ ", "\t"]))
def test_squash_survives_wrapping_indents_frames_and_prompts(text, width, indent):
    rows = [text[index : index + width] for index in range(0, len(text), width)]
    joined = "".join(unicodedata.normalize("NFC", row) for row in rows)
    if joined == unicodedata.normalize("NFC", text) and "^" not in text:
        assert squash("\n".join(indent + row for row in rows)) == squash(text)


@given(TEXT)
def test_squash_is_idempotent_and_the_same_for_composed_and_decomposed_letters(text):
    once = squash(text)
    assert squash(once) == once or "^" in text
    assert not set(once) & set(GLYPHS + "│ \t\n")
    assert squash(unicodedata.normalize("NFD", text)) == squash(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize(
    "text",
    ["end ^I more", "end \t more", "end 👍🏽 more", "end 👍 more", "end ❤️ more", "end  more"],
)
def test_squash_removes_characters_that_programs_draw_differently(text):
    assert squash(text) == "endmore"


CLUSTERS = [
    "a", "é", "e\u0301", "日", "한", "ｱ", "Ａ", "👍", "✋", "\u3000", "ก็", "│", "❯", "▌", "…",
    "“", "\u00a0", "⏎", "✳", "a\u200bb", "x\u0301\u0302y", "\u200b", "각", "ﷺ",
]  # fmt: skip
# Versions of tmux give these different widths: 3.3a gives an emoji with a skin tone four columns,
# and 3.6 adds a second column for U+FE0F. No version counts fewer columns than text_width. So a row
# with such a cluster is cut to the right of the cursor. An empty line may then count as a line with
# blanks. A line with text never counts as empty. A prompt with one is learned as tmux shows it.
DISPUTED = [
    "👍🏽",
    "👩🏽\u200d💻",
    "🇩🇪",
    "❤\ufe0f",
    "1\ufe0f\u20e3",
    "👩\u200d👩\u200d👧",
    "🤷\u200d♂",
]


ASKS = """
import json, re, sys, termios, tty
texts, path = json.loads(sys.argv[1]), sys.argv[2]
tty.setraw(0)
found = []
for text in texts:
    sys.stdout.write("\\r\\x1b[2K" + text + "\\x1b[6n")  # DSR: where is the cursor?
    sys.stdout.flush()
    answer = ""
    while not answer.endswith("R"):
        answer += sys.stdin.read(1)
    found.append(int(re.search(r";(\\d+)R", answer)[1]) - 1)
with open(path, "w") as file:
    json.dump(found, file)
sys.stdin.read(1)
"""


def columns_in_tmux(server, folder, texts: list[str]) -> list[int]:
    path = folder / "columns"
    server.open(
        shlex.join([sys.executable, "-X", "utf8", "-I", "-c", ASKS, json.dumps(texts), str(path)])
    )
    until(lambda: path.exists() and path.read_text().endswith("]"), "the columns")
    return json.loads(path.read_text())


def test_the_installed_tmux_counts_columns_as_text_width_does(server, tmp_path):
    found = columns_in_tmux(server, tmp_path, CLUSTERS + DISPUTED)
    ours = [text_width(text) for text in CLUSTERS + DISPUTED]
    differ = {
        text: (ours, theirs) for text, ours, theirs in zip(CLUSTERS, ours, found) if ours != theirs
    }
    assert differ == {}
    assert all(theirs >= ours for ours, theirs in zip(ours, found))


@pytest.mark.parametrize("mark", ["7", "4"], ids=["inverse", "underlined"])
def test_a_cursor_that_a_program_draws_on_a_placeholder_is_part_of_it(mark):
    """The cursor covers the first letter of a suggestion.

    Claude Code and Gemini CLI draw it inverse, Qwen Code 0.24 underlined.
    """
    (row,) = read_rows([f"\x1b[38;5;183m> \x1b[{mark}m\x1b[39ms\x1b[0m\x1b[38;5;103mtub ok"])
    assert (row.text, row.solid.rstrip(), row.carets) == ("> stub ok", ">", (2,))
    (draft,) = read_rows([f"\x1b[38;5;183m> \x1b[{mark}m\x1b[39ms\x1b[0mtub ok"])
    assert draft.solid == "> stub ok"


@pytest.mark.parametrize(
    ("rows", "joined", "wrapped"),
    [
        (["aa", "b", "", "c "], ["aab", "", "c "], {0}),
        (["aa", "bb", "c"], ["aabbc"], {0, 1}),
        (["ab", "  ", "c"], ["ab  c"], {0, 1}),
        (["aa", "b"], ["aa", "b"], set()),
        (["aa", "b"], ["aa"], None),
        (["a "], ["a"], None),  # before tmux 3.2 trailing blanks are cut
        (["a"], ["b"], None),
    ],
)
def test_rows_that_the_terminal_wrapped_are_found(rows, joined, wrapped):
    assert wrapped_rows(rows, joined) == wrapped

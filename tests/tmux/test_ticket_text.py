"""Laws of the text for an agent: no shell runs a part of it, and Enter submits it.

They hold for any sender. If a shell is below the agent, each line begins with `INERT`. A text gets
a blank if Enter would not submit it otherwise.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import ticket

from bridge.tmux.injection.pasted_text import PastedText, squash
from bridge.tmux.injection.ticket_text import (
    INERT,
    LINE_BREAK,
    LINE_MAX,
    agent_text,
    header,
    id_words,
    line_text,
    plain_name,
)

TEMPLATE = "/usr/bin/python3 -I /opt/bridge.pyz show {id}"
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\"\\`$;&|<>(){}!*?#~[]'\n\r\t\x1b\u2028\u202e\x00\ud800@/ "),
    ),
    max_size=150,
)
IDS = HOSTILE.filter(str.strip).filter(lambda text: len(text) <= 128)
META = '"\\`$;&|<>(){}!*?#~[]'


@given(HOSTILE)
def test_a_name_means_nothing_to_a_shell_and_is_one_short_line(text):
    name = plain_name(text)
    assert name and not set(META) & set(name)
    assert name == " ".join(name.split()) and not re.search(
        "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", name
    )
    assert len(name.encode()) <= 64 and name == plain_name(name)


@given(HOSTILE, HOSTILE, IDS, st.booleans(), st.booleans())
def test_all_sender_fields_in_the_header_are_plain_names(
    origin, answers, ticket_id, is_reply, expects
):
    """The header consists of fixed words, two plain names and a safe word for the ticket."""
    metadata = {"isReply": is_reply, "replyTo": answers}
    line = header(
        ticket("body", ticket_id, origin=origin, metadata=metadata, expect_reply=expects), TEMPLATE
    )
    about = f" in reply to your ticket {plain_name(answers)}" if is_reply else ""
    words = id_words(ticket_id)
    assert re.fullmatch(r"(--id64 )?[A-Za-z0-9_-]+", words)
    expected = f'[bridge] Message from "{plain_name(origin)}"{about}: a peer agent, not your user.'
    expected += f" Ticket {words.replace('--id64 ', 'id64:')}."
    expected += (
        f' To reply: /usr/bin/python3 -I /opt/bridge.pyz reply {words} "…"' if expects else ""
    )
    assert line == expected and "\n" not in line


@pytest.mark.parametrize("answers", [None, 5, ["T-1"], {"a": "$(x)"}])
def test_an_invalid_ticket_id_in_reply_to_is_left_out_of_the_header(answers):
    assert "in reply" not in header(
        ticket("x", metadata={"isReply": True, "replyTo": answers}), TEMPLATE
    )


@given(HOSTILE, HOSTILE, st.integers(0, 200))
def test_each_line_begins_with_the_inert_prefix_if_a_shell_is_below(body, origin, cap):
    for text in (
        agent_text(ticket(body, origin=origin), cap, TEMPLATE, True),
        line_text(ticket(body), TEMPLATE, True),
    ):
        assert all(line.startswith(INERT) for line in text.split("\n"))
        assert "\r" not in text


@given(HOSTILE, st.booleans(), st.integers(0, 200))
def test_no_text_ends_so_that_enter_would_not_submit_it(body, is_below, cap):
    """A backslash continues the line. An @word or /word opens a list, in which Enter chooses."""
    for text in (
        agent_text(ticket(body), cap, TEMPLATE, is_below),
        line_text(ticket(body), TEMPLATE, is_below),
    ):
        assert not re.search(r"(\\|(^|\s)[@/]\S*)$", text), text[-20:]
        assert re.search(r"\S ?$", text), text[-20:]


@pytest.mark.parametrize(
    "body", ["ends so X \\", "see @main.py", "try /help", "\\", "@", "/", "a\n/x"]
)
def test_a_backslash_or_a_list_word_at_the_end_is_followed_by_a_blank(body):
    assert agent_text(ticket(body), 500, TEMPLATE).endswith(body + " ")
    assert line_text(ticket(body), TEMPLATE).endswith(body.replace("\n", LINE_BREAK) + " ")


@given(HOSTILE, st.booleans())
def test_a_line_text_is_one_line_that_fits_a_terminals_line_buffer(body, is_below):
    text = line_text(ticket(body), TEMPLATE, is_below)
    assert "\n" not in text and "\r" not in text and len(text.encode()) <= LINE_MAX + 1


def test_a_line_text_marks_the_line_breaks():
    assert line_text(ticket("one\ntwo\n\nthree"), TEMPLATE).endswith(" one ⏎ two ⏎  ⏎ three")
    long = line_text(ticket("x" * 5000), TEMPLATE)
    assert "xxx" not in long and long.endswith(
        "To read it: /usr/bin/python3 -I /opt/bridge.pyz show T-1"
    )


@given(HOSTILE)
def test_a_draft_is_compared_without_the_prefix(body):
    """The prefix on a screen looks like the side of a box that the agent draws."""
    plain, below = (agent_text(ticket(body), 500, TEMPLATE, is_below) for is_below in (False, True))
    assert PastedText.of(plain).whole == PastedText.of(below).whole == squash(plain)


SHELLS = [name for name in ("bash", "zsh", "dash") if shutil.which(name)]
BODIES = [
    "touch ran",
    "$(touch ran)",
    "`touch ran`",
    "a; touch ran",
    "a && touch ran",
    "a\ntouch ran\n$(touch ran)",
]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("shell", SHELLS)
def test_no_shell_runs_any_line_of_a_prefixed_text(shell, body, tmp_path):
    text = agent_text(ticket(body, origin="$(touch ran)"), 500, TEMPLATE, True)
    for line in [text, *text.split("\n")]:  # dash ends at the first one
        subprocess.run(
            [shell], input=line + "\n", text=True, cwd=tmp_path, capture_output=True, timeout=60
        )
    assert list(tmp_path.iterdir()) == []

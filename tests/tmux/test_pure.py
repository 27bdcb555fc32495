"""Laws of small pure modules: sanitise, forms, marks, guard, state, draft, history."""

from __future__ import annotations

import base64
import json
import re
import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import ticket

from bridge.errors import UsageError
from bridge.self_command import own_words
from bridge.tmux.injection import ticket_text
from bridge.tmux.injection.conditional import Guard
from bridge.tmux.injection.pane_marks import (
    KEPT_MAX,
    RING,
    add_mark,
    encode_id,
    mark_of,
    option_names,
    read_mark,
)
from bridge.tmux.injection.pasted_text import squash
from bridge.tmux.injection.sanitise import sanitise
from bridge.tmux.readiness.cells import char_width, split_at_column, text_width
from bridge.tmux.readiness.profiles import REPLS
from bridge.tmux.readiness.screen_history import ScreenHistory
from bridge.tmux.readiness.snapshot import PaneState, Terminal
from bridge.tmux.server.pane import human_idle

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
NASTY = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("\x00\x03\x1b\r\n\t\x7f\x85\x9b\u2028\u202e\ufeff\ud800[~201"),
    )
)
TEMPLATE = "python3 -m bridge show {id}"
IDS = st.text(min_size=1, max_size=128).filter(str.strip)


@given(st.one_of(NASTY, st.binary()), st.integers(0, 300))
def test_sanitised_text_is_harmless_bounded_and_a_fixed_point(text, cap):
    clean = sanitise(text, cap)
    assert not FORBIDDEN.search(clean.text)
    assert len(clean.text.encode("utf-8")) <= cap
    assert not clean.text.endswith((" ", "\n", "\t"))
    again = sanitise(clean.text, cap)
    assert again.text == clean.text and not again.was_cut and not again.was_changed


@given(
    st.text(
        alphabet=st.characters(
            min_codepoint=32,
            max_codepoint=0x2FFF,
            blacklist_categories=("Cs", "Cc", "Cf", "Zl", "Zp", "Zs"),
        ),
        max_size=100,
    )
)
def test_plain_text_is_unchanged(text):
    assert sanitise(text, 10_000).text == text


@pytest.mark.parametrize(
    ("given_text", "clean"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\u2028b\u2029c\x85d", "a\nb\nc\nd"),
        ("x\x1b[201~y", "x[201~y"),
        ("x\x03y\x1az\x1cw", "xyzw"),
        ("a\x9b201~", "a201~"),
        ("tab\tstays", "tab\tstays"),
        ("ends\n\n \t\n", "ends"),
        ("\ufeffabc\u202edef", "abcdef"),
        (b"bad \xff utf8", "bad \ufffd utf8"),
        ("lone \ud800", "lone ?"),
        ("👩‍👩‍👧 zwj é", "👩‍👩‍👧 zwj é"),
    ],
)
def test_sanitise_by_example(given_text, clean):
    assert sanitise(given_text, 1000).text == clean


def test_a_cut_is_between_two_characters():
    clean = sanitise("日本語", 8)
    assert clean.text == "日本" and clean.was_cut and clean.size_bytes == 9


@given(IDS)
def test_only_a_safe_word_varies_in_a_shell_command(ticket_id):
    command = ticket_text.shell_command(ticket_id, TEMPLATE)
    assert re.fullmatch(r"python3 -m bridge show (--id64 )?[A-Za-z0-9_-]+", command)
    words = shlex.split(command)
    if words[4] == "--id64":
        assert (
            base64.urlsafe_b64decode(words[5] + "=" * (-len(words[5]) % 4)).decode(
                "utf-8", "surrogatepass"
            )
            == ticket_id
        )
        assert not words[5].startswith("-")  # argparse would read it as a flag
    else:
        assert words[4] == ticket_id and not ticket_id.startswith("-")


@given(IDS)
def test_a_repl_command_is_one_printable_line_with_the_same_shell_command(ticket_id):
    for repl in REPLS:
        line = ticket_text.repl_command(ticket_id, TEMPLATE, repl)
        assert line.isprintable() and line.isascii()
        literal = re.search(
            r'\((".*?")[,)]', line.partition("system")[2] or line.partition("spawnSync")[2]
        )
        assert literal and json.loads(literal[1]) == ticket_text.shell_command(ticket_id, TEMPLATE)


def test_the_python_repl_command_compiles():
    compile(ticket_text.repl_command("T-1", TEMPLATE, REPLS[0]), "x", "eval")


@pytest.mark.parametrize(
    "template", ["bridge show", "show {id} {id}", "a\nb {id}", "x\x1b {id}", ""]
)
def test_a_shell_command_without_exactly_one_id_placeholder_is_refused(template):
    with pytest.raises(UsageError, match="shell-command"):
        ticket_text.check_command(template)


@given(NASTY, NASTY, IDS, st.booleans())
def test_an_agents_text_begins_with_one_harmless_header_line(body, origin, ticket_id, expect_reply):
    text = ticket_text.agent_text(
        ticket(body, ticket_id, origin=origin, expect_reply=expect_reply), 500, TEMPLATE
    )
    header = text.split("\n")[0]
    assert header.startswith('[bridge] Message from "') and "a peer agent, not your user" in header
    assert ("To reply: python3 -m bridge reply " in header) is expect_reply
    assert not FORBIDDEN.search(text)
    assert text.encode("utf-8")


@pytest.mark.parametrize(
    ("template", "reply", "show"),
    [
        (
            "python3 /opt/bridge.pyz show {id} --broker-url http://b:1",
            'python3 /opt/bridge.pyz reply T-1 "…" --broker-url http://b:1',
            "python3 /opt/bridge.pyz show T-1 --broker-url http://b:1",
        ),
        ("sh record {id}", f'{own_words()} reply T-1 "…"', f"{own_words()} show T-1"),
    ],
)
def test_commands_in_a_text_name_the_program_and_broker_of_the_shell_command(template, reply, show):
    text = ticket_text.agent_text(ticket("x" * 600), 500, template)
    assert text.split("\n")[0].endswith(f"To reply: {reply}") and text.endswith(
        f"read the whole with: {show}]"
    )
    assert ticket_text.line_text(ticket("x" * 5000), template).endswith(f"To read it: {show}")


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ({"a": [1, "ü"]}, '{\n  "a": [\n    1,\n    "ü"\n  ]\n}'),
        (None, "null"),
        (3, "3"),
        ("", ""),
        ([], "[]"),
        (True, "true"),
    ],
)
def test_a_payload_that_is_not_a_string_is_shown_as_json(payload, body):
    assert (
        ticket_text.agent_text(ticket(payload), 500, TEMPLATE).partition("\n")[2].rstrip(" ")
        == body
    )


def test_a_reply_names_its_ticket():
    answer = ticket("fine", "T-2", metadata={"isReply": True, "replyTo": "T-1"}, expect_reply=False)
    assert 'from "max" in reply to your ticket T-1: a peer agent' in ticket_text.agent_text(
        answer, 500, TEMPLATE
    )


@given(st.lists(IDS, max_size=20))
def test_the_ring_holds_the_last_marks(ids):
    ring = ""
    for number, one in enumerate(ids):
        ring = add_mark(ring, mark_of(one), str(number))
    assert re.fullmatch(r"[A-Za-z0-9_+= -]*", ring)
    last = list(dict.fromkeys(reversed(ids)))[:RING]
    for one in last:
        assert read_mark(ring, mark_of(one)) == str(len(ids) - 1 - ids[::-1].index(one))
    assert len(ring.split()) == len(last)


@given(st.lists(IDS, max_size=40, unique=True), st.sets(st.integers(0, 39), max_size=KEPT_MAX))
def test_kept_marks_stay_in_the_ring_and_the_ring_is_bounded(ids, numbers):
    kept = {mark_of(one) for number, one in enumerate(ids) if number in numbers}
    ring = ""
    for number, one in enumerate(ids):
        ring = add_mark(ring, mark_of(one), str(number), kept)
    marks = [entry.rpartition("=")[0] for entry in ring.split()]
    assert kept <= set(marks) and len(marks) <= RING + KEPT_MAX
    in_order = [mark_of(one) for one in ids if mark_of(one) in marks]
    assert marks == in_order
    others = [mark for mark in map(mark_of, ids[:-1]) if mark not in kept]
    assert {
        *others[len(others) + 1 - RING if len(others) >= RING else 0 :],
        *map(mark_of, ids[-1:]),
    } <= set(marks)


@given(IDS, IDS)
def test_two_tickets_never_share_a_mark(one, other):
    assert (mark_of(one) == mark_of(other)) is (one == other)
    assert mark_of("+" + encode_id(one)) != mark_of(one)


def test_before_tmux_3_the_option_is_global_and_contains_the_panes_number():
    assert option_names("%5", True) == ("@bridge_pasted", "@bridge_sent")
    assert option_names("%5", False) == ("@bridge_pasted_5", "@bridge_sent_5")
    old = Guard("%5", False, "x").enter(" T-1=agent-1 ")
    assert 'set-option -g @bridge_sent_5 " T-1=agent-1 "' in old[5]


def test_a_guard_escapes_characters_that_would_end_its_comparison():
    condition = Guard("%5", True, "a,b}c#d").enter("")[4]
    assert condition.endswith(",a#,b#}c##d}")


@given(st.text(alphabet="ab日\u0301é🚀 ", max_size=20), st.integers(0, 50))
def test_a_row_is_cut_at_a_column(row, column):
    left, right = split_at_column(row, column)
    assert (left + right).rstrip() == row.rstrip()
    assert text_width(left) <= column or not right
    if right:
        assert text_width(left) + char_width(right[0]) > column or char_width(right[0]) == 0
    else:
        assert text_width(left) >= column


def test_columns_by_example():
    assert split_at_column("日本$ x", 6) == ("日本$ ", "x")
    assert split_at_column("e\u0301$ x", 3) == ("e\u0301$ ", "x")
    assert split_at_column("exp#", 5) == ("exp# ", "")


def test_squash_survives_frames_wrapping_and_emoji():
    assert squash("│ a b\t🚀 │\n│ c. │") == "ab" + "c."
    assert squash("日本 x=1; y\u0301") == "日本x=1;ý"


def shell_state(left, busy=False, **fields):
    terminal = Terminal(known=True, canonical=busy, echo=busy, own=True, argv=("bash",))
    return PaneState(
        "",
        1,
        "%0",
        2,
        rows=(left,),
        cursor_x=len(left),
        command="bash",
        terminal=terminal,
        **fields,
    )


@pytest.mark.parametrize(
    ("first", "second", "idle", "learned"),
    [
        ("[#1] go= ", "[#1] go= ", None, True),
        ("[#1] go: ", "[#1] go: ", None, False),  # may be a question
        ("Deploy [y/N] ", "Deploy [y/N] ", None, False),
        ("[#1] go= rm ./", "[#1] go= ", None, False),  # one command was typed ahead
        # It ends in a word: a program may have typed ahead twice.
        ("[#1] go: rm x", "[#1] go: rm x", None, False),
        ("[#1] go= ", "[#1] go= ", 0.1, False),  # a person may have typed ahead
        ("[#1] go= ", "[#1] go= ", 60.0, True),
    ],
)
def test_a_prompt_is_learned_from_the_ends_of_two_commands(first, second, idle, learned):
    history, now = ScreenHistory(), 0.0
    for left in (first, second):
        for state in (shell_state("", busy=True), shell_state(left), shell_state(left)):
            now += 0.5
            history.add_look(replace(state, human_idle=idle), True, now, now)
    assert (second in history.learned().prompts) is learned


@pytest.mark.parametrize("typed, learned", [(9.0, True), (11.0, False)], ids=["before", "since"])
def test_words_that_a_person_typed_after_our_command_are_not_a_prompt(typed, learned):
    """The soak found this: the report that the command had run came late.

    A person's draft stood on the line by then, and was learned as a prompt.
    """
    history = ScreenHistory()
    history.add_look(shell_state("dev$ "), True, 9.5, 9.5)
    history.note_ran(10.0)
    for now in (13.0, 13.5):
        history.add_look(replace(shell_state("wwwww-"), human_idle=now - typed), True, now, now)
    assert (history.learned().prompts == ("wwwww-",)) is learned


def test_a_prompt_that_was_not_still_is_not_learned():
    history = ScreenHistory()
    for now, state in enumerate(
        [
            shell_state("", busy=True),
            shell_state("abc$ "),
            shell_state("", busy=True),
            shell_state("abc$ "),
        ]
    ):
        history.add_look(state, True, now * 0.1, now * 0.1)
    assert history.learned().prompts == ()


def test_the_last_key_of_an_attached_person_is_found():
    now = 1000.0
    assert human_idle(["990 0 .attached %1"], "%2", now) is None
    # tmux does not record the keys of a control client.
    assert human_idle(["990 1 .attached %1 %2 "], "%1", now) is None
    assert human_idle(["990 0 . %1", "997 0 .focused %1"], "%1", now) == 2.0
    assert human_idle(["1001 0 . %1"], "%1", now) == 0.0  # the clock was set back


def test_a_screen_counts_as_still_only_between_the_first_answer_and_the_next_request():
    """A look shows some moment between its request and its answer, but not which one."""
    history, state = ScreenHistory(), PaneState("", 1, "%0", 2)
    history.add_look(state, True, asked=1.0, now=5.0)
    assert history.still == 0
    history.add_look(state, True, asked=4.0, now=6.0)
    assert history.still == 0
    history.add_look(state, True, asked=5.25, now=9.0)
    assert history.still == 0.25

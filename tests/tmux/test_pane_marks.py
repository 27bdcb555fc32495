"""The marks of tickets in a pane's options: a mark is read as it was written, beside any others."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.tmux.injection.conditional import NOW, Guard, snapshot_format
from bridge.tmux.injection.pane_marks import Pasted, Sent, add_mark, last_unsent, mark_of

IDS = st.text(min_size=1, max_size=128).filter(str.strip)
PROCESS = st.builds("{}.{}".format, st.integers(1, 4194304), st.integers(0, 2**40))
MOMENT = st.integers(0, 2**45)


@given(IDS, PROCESS, MOMENT, IDS)
def test_a_pasted_mark_is_read_back(ticket_id, process, moment, other):
    ring = add_mark("", mark_of(ticket_id), str(Pasted(process, moment)))
    assert re.fullmatch(r"[A-Za-z0-9_+=. -]*", ring), "a tmux command holds it without quotes"
    assert Pasted.read(ring, mark_of(ticket_id)) == Pasted(process, moment)
    assert other == ticket_id or Pasted.read(ring, mark_of(other)) is None


@given(IDS, st.sampled_from(["agent", "shell", "repl"]), MOMENT, st.one_of(st.just(""), PROCESS))
def test_a_sent_mark_is_read_back_with_the_process_that_holds_the_text(
    ticket_id, form, moment, stands_in
):
    ring = add_mark(" A=agent-1 ", mark_of(ticket_id), str(Sent(form, moment, stands_in)))
    assert re.fullmatch(r"[A-Za-z0-9_+=. -]*", ring)
    assert Sent.read(ring, mark_of(ticket_id)) == Sent(form, moment, stands_in)


@pytest.mark.parametrize(
    ("pasted", "sent", "found"),
    [
        ("", "", ("", 0)),
        (" A=7.1-500 ", "", ("A", 500)),
        (" A=7.1-500 ", " A=agent-600 ", ("", 0)),  # its Enter was sent
        (" A=7.1-500 ", " B=agent-600 ", ("A", 500)),
        # Only the last text can still be in the input.
        (" A=7.1-500 B=7.1-700 ", " B=agent-800 ", ("", 0)),
        (" A=7.1-500 B=7.1-700 ", " A=agent-600 ", ("B", 700)),
        (" A=7.2-500 ", "", ("", 0)),  # another process with the same pid
        (" A=8.1-500 ", "", ("", 0)),
    ],
)
def test_the_last_text_without_an_enter_is_found(pasted, sent, found):
    assert last_unsent(pasted, sent, "7.1") == found


@given(st.lists(st.tuples(IDS, st.booleans()), max_size=8, unique_by=lambda pair: pair[0]), PROCESS)
def test_no_text_is_unsent_exactly_when_the_last_one_was_sent(tickets, process):
    pasted = sent = ""
    for moment, (ticket_id, is_sent) in enumerate(tickets, start=1):
        pasted = add_mark(pasted, mark_of(ticket_id), str(Pasted(process, moment)))
        sent = add_mark(sent, mark_of(ticket_id), str(Sent("agent", moment))) if is_sent else sent
    is_owed = bool(tickets) and not tickets[-1][1]
    expected = (mark_of(tickets[-1][0]), len(tickets)) if is_owed else ("", 0)
    assert last_unsent(pasted, sent, process) == expected


def test_the_condition_contains_the_claims_deadline_after_the_clock_is_set():
    free, bound = Guard("%5", True, "x"), Guard("%5", True, "x", 1700000000)
    assert free.paste("b", "")[0] == "if-shell" and NOW not in " ".join(free.paste("b", ""))
    assert bound.paste("b", "")[:5] == ["set-option", "-g", NOW, "%s", ";"]
    condition = bound.enter("")[9]
    assert condition == f"#{{&&:{free.enter('')[4]},#{{e|<:#{{T:{NOW}}},1700000000}}}}"


@pytest.mark.parametrize(("later", "outcome"), [(3600, "OK"), (0, "NO"), (-3600, "NO")])
def test_tmux_compares_the_deadline_with_the_wall_clock(own, later, outcome):
    pane = own.open("cat").id
    snapshot = own("display-message", "-p", "-t", pane, snapshot_format(pane, True)).rstrip("\n")
    guard = Guard(pane, True, snapshot, int(time.time()) + later)
    assert own(*guard.enter(" A=agent-1 ")).split() == [outcome]
    marks = own("display-message", "-p", "-t", pane, "#{@bridge_sent}")
    assert ("A=agent-1" in marks) is (outcome == "OK")

"""Work in pieces: each once, in order, for the turn's time; one that fails holds up no other."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.pace import TURN
from broker.seams import PacedHub

WORK = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 0.4, 1.1])), max_size=20)


@given(WORK)
def test_a_turn_ends_after_the_piece_in_which_its_time_ran_out(asked):
    hub, done, spent = PacedHub(), [], []

    def work(name, share):
        done.append((name, share))
        spent.append(share)
        hub.now += share * TURN

    pieces = {each: partial(work, *each) for each in asked}
    for each in asked:
        hub.pace.later(pieces[each])
    while hub.called:
        spent.clear()
        hub.turn()
        assert sum(spent[:-1]) < 1, "no piece was begun when the time was over"
    assert done == list(dict.fromkeys(asked)), "each once, in the order in which it was asked for"


def test_after_a_whole_turn_the_loop_rests_for_as_long():
    """Found by tests/bench/beside.py: the thread that writes the store got no time beside streams that caught up."""
    hub, rests = PacedHub(), []

    def work(name, share):
        hub.now += share * TURN

    for name, share in [("a", 0.2), ("b", 0.2), ("c", 1.1), ("d", 0.2), ("e", 1.1)]:
        hub.pace.later(partial(work, name, share))
    hub.turns()
    assert hub.rests == [0, TURN], "before the first turn there is nothing to rest from"
    for name in "fg":
        hub.pace.later(partial(work, name, 0.2))
        hub.turns()
    assert hub.rests[2:] == [0, 0], "and short work is done at once"


def test_what_is_cancelled_is_not_done_and_the_loop_is_called_once():
    hub, done = PacedHub(), []
    for name in "ab":
        hub.pace.later(partial(done.append, name))
    kept = partial(done.append, "c")
    hub.pace.later(kept)
    hub.pace.cancel(kept)
    hub.pace.cancel(kept)
    assert len(hub.called) == 1
    hub.turns()
    assert done == ["a", "b"] and not hub.called


def test_a_piece_that_fails_holds_up_no_other():
    hub, done = PacedHub(), []
    hub.pace.later(lambda: 1 / 0)
    hub.pace.later(partial(done.append, "b"))
    with pytest.raises(ZeroDivisionError):
        hub.turn()
    hub.turn()
    assert done == ["b"]

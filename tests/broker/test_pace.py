"""Pace runs work in pieces: each once, in order, within the time of one turn.

A piece that fails does not stop the others.
"""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.pace import TURN
from broker.seams import PacedHub

WORK = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0.0, 0.4, 1.1])), max_size=20)


@given(WORK)
def test_a_turn_ends_after_the_piece_that_uses_up_its_time(asked):
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
        assert sum(spent[:-1]) < 1, "no piece begins when the time is over"
    assert done == list(dict.fromkeys(asked)), "each once, in the order of the calls"


def test_after_a_full_turn_the_loop_rests_for_the_same_time():
    """Without the rest, the writer thread gets no time while streams catch up.

    tests/bench/beside.py found this.
    """
    hub = PacedHub()

    def work(name, share):
        hub.now += share * TURN

    for name, share in [("a", 0.2), ("b", 0.2), ("c", 1.1), ("d", 0.2), ("e", 1.1)]:
        hub.pace.later(partial(work, name, share))
    hub.turns()
    assert hub.rests == [0, TURN], "there is no rest before the first turn"
    for name in "fg":
        hub.pace.later(partial(work, name, 0.2))
        hub.turns()
    assert hub.rests[2:] == [0, 0], "short work runs at once"


def test_cancelled_work_does_not_run_and_one_call_is_scheduled():
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


def test_a_piece_that_fails_does_not_stop_the_others():
    hub, done = PacedHub(), []
    hub.pace.later(lambda: 1 / 0)
    hub.pace.later(partial(done.append, "b"))
    with pytest.raises(ZeroDivisionError):
        hub.turn()
    hub.turn()
    assert done == ["b"]

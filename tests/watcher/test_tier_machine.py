"""The tiers: one step at a time, and never above the tier that the user chose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.watcher.tiers import Signal, Tier, TierMachine, step

ORDER = [Tier.STREAM, Tier.LONG_POLL, Tier.POLL]


@pytest.mark.parametrize(
    "tier, signal, expected",
    [
        (Tier.STREAM, Signal.FAILED, Tier.LONG_POLL),
        (Tier.LONG_POLL, Signal.FAILED, Tier.POLL),
        (Tier.POLL, Signal.FAILED, Tier.POLL),
        (Tier.POLL, Signal.PROBE_OK, Tier.LONG_POLL),
        (Tier.LONG_POLL, Signal.PROBE_OK, Tier.STREAM),
    ],
)
def test_step(tier, signal, expected):
    assert step(tier, signal) is expected


@given(st.sampled_from(Tier), st.sampled_from(Signal))
def test_every_move_is_legal_or_refused(tier, signal):
    try:
        assert step(tier, signal) in Tier
    except ValueError:
        assert (tier, signal) == (Tier.STREAM, Signal.PROBE_OK)


@given(
    st.sampled_from(Tier),
    st.integers(1, 4),
    st.lists(st.sampled_from(["fail", "proof", "hold", "climb"]), max_size=40),
)
def test_the_tier_stays_within_its_bounds_and_counts_its_moves(top, step_down_after, happenings):
    machine, moves, failures = TierMachine(top, step_down_after), 0, 0
    for happening in happenings:
        before = machine.tier
        if happening == "climb" and machine.above is None:
            continue  # there is no probe above the top
        change = {
            "fail": lambda: machine.fail("x"),
            "proof": lambda: machine.fail("x", is_proof=True),
            "hold": machine.hold,
            "climb": machine.climb,
        }[happening]()
        moves += change is not None
        failures = 0 if happening in ("hold", "proof", "climb") else failures + 1
        assert ORDER.index(top) <= ORDER.index(machine.tier) <= 2
        assert abs(ORDER.index(before) - ORDER.index(machine.tier)) <= 1
        if happening == "fail" and failures < step_down_after:
            assert machine.tier is before
        if failures >= step_down_after:
            failures = 0
    assert machine.changes == moves


def test_consecutive_failures_step_down_and_a_tier_that_holds_resets_their_count():
    machine = TierMachine(Tier.STREAM, 3)
    assert machine.fail("reset") is None and machine.fail("reset") is None
    machine.hold()
    assert machine.fail("reset") is None and machine.fail("reset") is None
    change = machine.fail("silent")
    assert change and (change.before, change.after, change.reason) == (
        Tier.STREAM,
        Tier.LONG_POLL,
        "silent",
    )
    assert (
        machine.above is Tier.STREAM
        and machine.climb().after is Tier.STREAM
        and machine.above is None
    )


def test_a_proof_steps_down_at_once():
    machine = TierMachine(Tier.STREAM, 100)
    assert machine.fail("404", is_proof=True).after is Tier.LONG_POLL
    assert machine.fail("repeats itself", is_proof=True).after is Tier.POLL
    assert machine.fail("nothing lower", is_proof=True) is None

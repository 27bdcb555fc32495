"""The ladder of tiers: one step at a time, and never above the tier that the user chose."""

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
def test_the_ladder_stays_within_its_bounds_and_counts_its_moves(top, step_down_after, happenings):
    ladder, moves, failures = TierMachine(top, step_down_after), 0, 0
    for happening in happenings:
        before = ladder.tier
        if happening == "climb" and ladder.above is None:
            continue  # there is no probe above the top
        change = {
            "fail": lambda: ladder.fail("x"),
            "proof": lambda: ladder.fail("x", is_proof=True),
            "hold": ladder.hold,
            "climb": ladder.climb,
        }[happening]()
        moves += change is not None
        failures = 0 if happening in ("hold", "proof", "climb") else failures + 1
        assert ORDER.index(top) <= ORDER.index(ladder.tier) <= 2
        assert abs(ORDER.index(before) - ORDER.index(ladder.tier)) <= 1
        if happening == "fail" and failures < step_down_after:
            assert ladder.tier is before
        if failures >= step_down_after:
            failures = 0
    assert ladder.changes == moves


def test_consecutive_failures_step_down_and_a_tier_that_holds_resets_their_count():
    ladder = TierMachine(Tier.STREAM, 3)
    assert ladder.fail("reset") is None and ladder.fail("reset") is None
    ladder.hold()
    assert ladder.fail("reset") is None and ladder.fail("reset") is None
    change = ladder.fail("silent")
    assert change and (change.before, change.after, change.reason) == (
        Tier.STREAM,
        Tier.LONG_POLL,
        "silent",
    )
    assert (
        ladder.above is Tier.STREAM and ladder.climb().after is Tier.STREAM and ladder.above is None
    )


def test_a_proof_steps_down_at_once():
    ladder = TierMachine(Tier.STREAM, 100)
    assert ladder.fail("404", is_proof=True).after is Tier.LONG_POLL
    assert ladder.fail("repeats itself", is_proof=True).after is Tier.POLL
    assert ladder.fail("nothing lower", is_proof=True) is None

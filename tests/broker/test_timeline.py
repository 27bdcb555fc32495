"""The histogram against sorted samples, and the timeline's ring of steps against a plain list."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.metrics.histogram import LATENCY_BOUNDS as BOUNDS
from bridge.broker.metrics.histogram import Histogram
from bridge.broker.metrics.timeline import (
    DELIVERY_TIME,
    HOPS,
    STEP_SECONDS,
    STEPS,
    WINDOW_STEPS,
    Timeline,
)

latencies = st.floats(0, 2e5) | st.sampled_from(BOUNDS)
shares = st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0])
# (seconds since the event before, its kind)
happenings = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.125, 0.75, 1.0, 30.0, 119.0, 500.0]),
        st.sampled_from(["accepted", *HOPS]),
    ),
    max_size=40,
)


def bin_of(seconds: float) -> tuple[float, float]:
    """Return the lower (exclusive) and the upper (inclusive) bound around a latency."""
    above = [bound for bound in BOUNDS if bound >= seconds]
    below = [bound for bound in BOUNDS if bound < seconds]
    return (below[-1] if below else 0.0), (above[0] if above else BOUNDS[-1])


@given(st.lists(latencies, min_size=1, max_size=50), shares)
def test_a_quantile_lies_in_the_bin_of_the_exact_one(samples, share):
    found = Histogram()
    for each in samples:
        found.observe(each)
    true = sorted(samples)[math.ceil(share * len(samples)) - 1]
    low, high = bin_of(true)
    assert low <= found.quantile(share) <= high
    assert found.count == len(samples) == sum(found.bins) and math.isclose(
        found.total, math.fsum(samples)
    )


def test_without_samples_there_is_no_quantile():
    assert Histogram().quantile(0.5) is None


@given(happenings, st.integers(0, 10**6).map(float))  # sums that a float holds exactly
def test_the_steps_hold_what_happened_in_them(history, start):
    line, now, happened = Timeline(start), start, []
    for pause, what in history:
        now += pause
        if what == "accepted":
            line.at(now).accepted += 1
        else:
            line.observe(what, 0.01, now)
        happened.append((now, what))
    steps = line.steps(now)
    assert len(steps) == STEPS
    first = now - line.began_ago(now)
    number = [math.floor((at - first) / STEP_SECONDS) for at, _ in happened]
    for index, step in enumerate(steps):
        its = [what for (_, what), place in zip(happened, number) if place == index]
        assert step.accepted == its.count("accepted")
        assert {hop: found.count for hop, found in step.hops.items()} == {
            hop: its.count(hop) for hop in HOPS if hop in its
        }
    for hop in HOPS:
        assert line.total(hop).count == sum(what == hop for _, what in happened)
        assert line.lately(hop, now).count == sum(
            what == hop and place >= STEPS - WINDOW_STEPS
            for (_, what), place in zip(happened, number)
        )


def test_the_current_step_is_the_last_one():
    line = Timeline(100.0)
    line.observe(DELIVERY_TIME, 0.5, 100.2)
    assert line.steps(100.9)[-1].hops[DELIVERY_TIME].count == 1
    assert not line.steps(101.0)[-1].hops and line.steps(101.0)[-2].hops[DELIVERY_TIME].count == 1


def test_a_negative_latency_counts_as_zero():
    line = Timeline(0.0)
    line.observe(DELIVERY_TIME, -3.0, 0.5)
    assert line.total(DELIVERY_TIME).total == 0.0 and line.total(DELIVERY_TIME).bins[0] == 1

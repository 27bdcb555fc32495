"""The limit of sends per minute: a token bucket for each agent, and a bounded number of buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker import limits
from bridge.broker.limits import SendLimits
from bridge.errors import Reason, RequestError


@given(
    st.integers(1, 30), st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 20)), max_size=80)
)
def test_agents_do_not_share_and_no_minute_has_more_than_two_bursts(per_minute, sends):
    """A minute may have a full bucket and a minute's refill, so at most 2 * per_minute sends."""
    rules, now, taken, refused = SendLimits(per_minute), 0.0, {}, {}
    for agent, gap in sends:
        now += gap
        try:
            rules.check(agent, now)
            taken.setdefault(agent, []).append(now)
        except RequestError as error:
            assert error.reason is Reason.RATE_LIMIT and error.retry_after >= 1
            refused[agent] = now
    for agent, times in taken.items():
        for begin in times:
            assert sum(begin <= each <= begin + 60 for each in times) <= 2 * per_minute
        assert len(times) >= min(per_minute, sum(name == agent for name, _ in sends))
    assert all(len(taken[agent]) >= per_minute for agent in refused)


@given(st.integers(1, 30), st.floats(0, 1000))
def test_retry_after_is_true(per_minute, now):
    rules = SendLimits(per_minute)
    for _ in range(per_minute):
        rules.check("lucy", now)
    with pytest.raises(RequestError) as caught:
        rules.check("lucy", now)
    assert "BRIDGE_RATE_LIMIT" in caught.value.detail and "lucy" in caught.value.detail
    rules.check("other", now)
    rules.check("lucy", now + caught.value.retry_after + 1e-6)


def test_a_limit_of_zero_disables_the_check():
    rules = SendLimits(0)
    for _ in range(10000):
        rules.check("lucy", 0.0)
    assert not rules._buckets


def test_the_map_of_buckets_is_bounded(monkeypatch):
    """Full buckets are removed. If none is full, a new agent gets a 429; known agents do not."""
    monkeypatch.setattr(limits, "BUCKETS_MAX", 50)
    rules = SendLimits(6)
    for number in range(50):
        rules.check(f"agent{number}", 0.0)
    with pytest.raises(RequestError) as caught:
        rules.check("one-more", 1.0)
    assert caught.value.reason is Reason.RATE_LIMIT and caught.value.retry_after == 60
    rules.check("agent7", 1.0)
    for number in range(500):
        rules.check(f"late{number}", 100.0 + number * 10)
        assert len(rules._buckets) <= 50

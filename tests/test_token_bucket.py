"""The token bucket and its law: in any span of time it grants at most capacity + rate * span."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridge.token_bucket import TokenBucket

gaps = st.lists(st.floats(0, 90) | st.just(0.0), min_size=1, max_size=60)
SLACK = 1e-6  # of a token; the bucket computes with floats


@given(st.integers(1, 20), st.floats(0.01, 50), gaps)
def test_no_span_grants_more_than_capacity_and_refill(capacity, rate, steps):
    bucket, taken = TokenBucket(capacity, rate, 0.0), []
    for now in itertools.accumulate(steps):
        if bucket.take(now) == 0.0:
            taken.append(now)
    for first, begin in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= capacity + rate * (taken[last] - begin) + SLACK


@given(st.integers(1, 20), st.floats(0.01, 50), gaps)
def test_the_returned_wait_is_exact(capacity, rate, steps):
    """There is no token before it is over, and one after it. A refused `take` costs no token."""
    bucket = TokenBucket(capacity, rate, 0.0)
    for now in itertools.accumulate(steps):
        wait = bucket.take(now)
        assert wait >= 0
        if wait > SLACK:
            assert bucket.take(now + wait * 0.99) > 0
            assert bucket.take(now + wait * 0.99 + wait * 0.02 + SLACK) == 0.0
            return


@given(st.integers(1, 100), st.floats(0.01, 50))
def test_a_fresh_bucket_allows_one_burst(capacity, rate):
    bucket = TokenBucket(capacity, rate, 5.0)
    assert bucket.is_full(5.0)
    assert [bucket.take(5.0) for _ in range(capacity)] == [0.0] * capacity
    assert bucket.take(5.0) > 0 and not bucket.is_full(5.0)
    assert bucket.is_full(5.0 + (capacity + SLACK) / rate + SLACK)


@given(st.integers(1, 20), st.floats(0.01, 50), gaps, gaps)
def test_a_full_bucket_behaves_like_a_new_one(capacity, rate, before, after):
    """Rule 2: a table of many buckets may drop the full ones."""
    used, now = TokenBucket(capacity, rate, 0.0), 0.0
    for now in itertools.accumulate(before):
        used.take(now)
    now += capacity / rate + 1
    assert used.is_full(now)
    fresh = TokenBucket(capacity, rate, now)
    for later in itertools.accumulate(after, initial=now):
        assert abs(used.take(later) - fresh.take(later)) < SLACK


@given(st.integers(1, 5), st.lists(st.floats(-50, 50), max_size=20))
def test_a_clock_that_goes_back_removes_no_tokens(capacity, steps):
    bucket = TokenBucket(capacity, 1.0, 0.0)
    for now in steps:
        assert bucket.take(now) <= 1.0

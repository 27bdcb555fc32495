"""Percentiles are values that were measured, and figures are printed with a fitting precision."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bench.figures import Latency, latency_of, percentile, saving, shown

values = st.lists(st.floats(0, 1e6), min_size=1, max_size=200).map(sorted)
shares = st.integers(1, 1000)


@given(values, shares)
def test_a_percentile_is_the_smallest_value_that_its_share_does_not_exceed(ordered, share):
    found = percentile(ordered, share)
    assert found in ordered
    assert sum(each <= found for each in ordered) * 1000 >= share * len(ordered)
    assert sum(each < found for each in ordered) * 1000 < share * len(ordered)


@given(values, shares, shares)
def test_percentiles_grow_with_the_share(ordered, one, other):
    assert percentile(ordered, min(one, other)) <= percentile(ordered, max(one, other))


@pytest.mark.parametrize(
    "count, p50, p99, p999",
    [(1, 1, 1, 1), (2, 1, 2, 2), (100, 50, 99, 100), (1000, 500, 990, 999), (1001, 501, 991, 1000)],
)
def test_nearest_rank(count, p50, p99, p999):
    ordered = list(range(1, count + 1))
    assert [percentile(ordered, share) for share in (500, 990, 999)] == [p50, p99, p999]


@given(st.lists(st.floats(0, 100), max_size=50))
def test_latency_does_not_depend_on_the_order(seconds):
    latency = latency_of(seconds)
    assert latency == latency_of(sorted(seconds)) and latency.count == len(seconds)
    if seconds:
        assert (
            min(seconds) * 1000
            <= latency.p50_ms
            <= latency.p99_ms
            <= latency.p999_ms
            <= latency.max_ms
            == max(seconds) * 1000
        )
        assert math.isclose(latency.mean_ms, 1000 * sum(seconds) / len(seconds), abs_tol=1e-6)


def test_latency_without_a_measurement_has_no_figures():
    assert latency_of([]) == Latency(0) and latency_of([]).to_json()["p99Ms"] is None


@pytest.mark.parametrize(
    "before, after, expected",
    [(100, 20, 80), (100, 100, 0), (100, 150, -50), (0, 0, None), (50, 0, 100)],
)
def test_saving(before, after, expected):
    assert saving(before, after) == expected


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "-"),
        (0, "0"),
        (0.0, "0"),
        (0.0234, "0.023"),
        (8.412, "8.41"),
        (97.26, "97.3"),
        (4512.4, "4,512"),
        (1234567.0, "1,234,567"),
        (-70.0, "-70.0"),
    ],
)
def test_shown(value, text):
    assert shown(value) == text

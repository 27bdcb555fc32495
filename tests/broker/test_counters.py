"""The counters: stages of a ticket, latencies between them, and the window of stream failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.metrics.counters import FAILURE_WINDOW, FAILURES_MAX, Metrics
from bridge.broker.metrics.timeline import ACKNOWLEDGE_HOP, DELIVERY_TIME, INJECT_HOP, STREAM_HOP
from bridge.broker.transitions import acknowledged, expired, replied
from bridge.timestamp import rfc3339
from broker.seams import WALL_MS, make_entry


@given(st.lists(st.floats(0, 50), max_size=30), st.floats(0, 200))
def test_failed_lately_counts_the_failures_of_the_window(gaps, wait):
    metrics, now, times = Metrics(), 0.0, []
    for gap in gaps:
        now += gap
        metrics.stream_closed(True, now)
        metrics.stream_closed(False, now)
        times.append(now)
    now += wait
    assert metrics.failed_lately(now) == sum(now - each <= FAILURE_WINDOW for each in times)
    assert metrics.stream_failures == len(times)


def test_the_number_of_remembered_failures_is_bounded():
    metrics = Metrics()
    for _ in range(FAILURES_MAX + 100):
        metrics.stream_closed(True, 1.0)
    assert (
        metrics.failed_lately(1.0) == FAILURES_MAX and metrics.stream_failures == FAILURES_MAX + 100
    )


def change(metrics, entry, state, now):
    before, entry.state = entry.state, state
    metrics.changed(entry, before, now)


def hops(metrics):
    return {
        hop: (found.count, round(found.total, 3))
        for hop in (STREAM_HOP, INJECT_HOP, ACKNOWLEDGE_HOP, DELIVERY_TIME)
        for found in [metrics.timeline.total(hop)]
        if found.count
    }


def test_each_latency_is_measured_once():
    metrics, entry = Metrics(), make_entry(1)
    entry.accepted_at = 10.0
    metrics.accepted([entry], 10.0)
    metrics.streamed(entry, "sse", WALL_MS + 500, 10.5)
    change(
        metrics,
        entry,
        acknowledged(entry.state, "w", {"submittedAt": rfc3339(WALL_MS + 2500)}, WALL_MS + 3500),
        13.5,
    )
    assert hops(metrics) == {
        STREAM_HOP: (1, 0.5),
        INJECT_HOP: (1, 2.0),
        ACKNOWLEDGE_HOP: (1, 1.0),
        DELIVERY_TIME: (1, 3.5),
    }
    change(metrics, entry, replied(entry.state, "ok", {}, WALL_MS + 9000), 19.0)
    assert hops(metrics)[DELIVERY_TIME] == (1, 3.5)
    assert (metrics.sent, metrics.acknowledged, metrics.replies, metrics.expired) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    "submitted_at, injected, acknowledged_after",
    [
        (rfc3339(WALL_MS - 86_400_000), 0.0, 3.0),  # the watcher's clock is a day behind
        (rfc3339(WALL_MS + 86_400_000), 3.0, 0.0),  # or ahead
        ("2023-11-14T23:13:21.500+01:00", 1.0, 2.0),  # the same instant in another time zone
    ],
)
def test_latencies_are_in_range_when_the_clocks_differ(submitted_at, injected, acknowledged_after):
    metrics, entry = Metrics(), make_entry(1)
    metrics.streamed(entry, "sse", WALL_MS + 500, 0.5)
    change(
        metrics,
        entry,
        acknowledged(entry.state, "w", {"submittedAt": submitted_at}, WALL_MS + 3500),
        3.5,
    )
    assert hops(metrics)[INJECT_HOP] == (1, injected) and hops(metrics)[ACKNOWLEDGE_HOP] == (
        1,
        acknowledged_after,
    )


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"pane": "%1"},
        {"submittedAt": "yesterday"},
        {"submittedAt": "2023-11-14T22:13:20"},
        {"submittedAt": "9999-99-99T99:99:99Z"},
        {"submittedAt": "Z"},
        {"submittedAt": 7},
    ],
)
def test_without_a_valid_injection_time_there_is_no_injection_latency(evidence):
    metrics, entry = Metrics(), make_entry(1)
    metrics.streamed(entry, "poll", WALL_MS + 500, 0.5)
    change(metrics, entry, acknowledged(entry.state, "", evidence, WALL_MS + 1000), 1.0)
    assert hops(metrics) == {STREAM_HOP: (1, 0.5), DELIVERY_TIME: (1, 1.0)}


def test_an_unacknowledged_ticket_has_no_delivery_latency():
    metrics = Metrics()
    for number, make in enumerate(
        [lambda state: replied(state, 1, {}, WALL_MS), lambda state: expired(state, WALL_MS)], 1
    ):
        entry = make_entry(number)
        change(metrics, entry, make(entry.state), 1.0)
    assert not hops(metrics) and (metrics.replies, metrics.expired, metrics.acknowledged) == (
        1,
        1,
        0,
    )

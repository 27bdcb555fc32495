"""Sums of the watchers' reports: bounded, never decreasing, and without invalid values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.metrics.watcher_series import (
    COUNTED,
    COUNTING_MAX,
    NUMBER_MAX,
    OTHER,
    WatcherSeries,
    number,
)

agents = st.sampled_from(["ann", "bob", "cyd", "dan", OTHER])
reports = st.fixed_dictionaries(
    {},
    optional={
        field: st.integers(-3, 10) | st.sampled_from([None, True, "7", [1], 2**70, 1e300, 1.5])
        for field in COUNTED
    },
)
# None removes the registration.
steps = st.lists(st.tuples(agents, reports | st.none()), max_size=40)


@given(steps, st.integers(0, 3))
def test_totals_never_decrease_and_equal_the_reported_counts(steps, agents_max):
    series = WatcherSeries(agents_max)
    last, own_total, before = {}, {}, {}
    for agent, report in steps:
        if report is None:
            series.forget(agent)
            last.pop(agent, None)
            own_total.pop(agent, None)
            before = {
                key: value for key, value in before.items() if key[1] != agent or agent == OTHER
            }
            continue
        series.take(agent, report)
        for field in COUNTED:
            value = number(report, field)
            if value is not None:
                known = last.setdefault(agent, {}).get(field, 0)
                gained = value - known if value >= known else value
                # What was counted under OTHER stays there, even when a place becomes free.
                if series.name(agent) == agent:
                    own_total.setdefault(agent, {}).setdefault(field, 0)
                    own_total[agent][field] += gained
                last[agent][field] = value
        names = {name for totals in series.totals.values() for name in totals}
        assert len(names - {OTHER}) <= agents_max, "bounded"
        for field, totals in series.totals.items():
            for name, count in totals.items():
                assert count >= before.get((field, name), 0), "never decreasing"
                before[field, name] = count
                if name != OTHER:
                    assert count == own_total[name][field]


def test_an_agent_named_other_is_counted_among_the_others():
    series = WatcherSeries(5)
    series.take(OTHER, {"reconnects": 2})
    series.take("ann", {"reconnects": 3})
    assert series.totals["reconnects"] == {OTHER: 2, "ann": 3}


def test_a_restarted_watcher_adds_to_the_total():
    series = WatcherSeries(5)
    for count in (3, 5, 0, 2):
        series.take("ann", {"reconnects": count})
    assert series.totals["reconnects"]["ann"] == 7


def test_two_watchers_of_one_agent_are_counted_separately():
    """Otherwise their alternating reports would look like one watcher that restarts each time."""
    series = WatcherSeries(5)
    for count in (3, 4, 5):
        series.take("ann", {"reconnects": count}, "a")
        series.take("ann", {"reconnects": 1}, "b")
    assert series.totals["reconnects"]["ann"] == 6
    for count in range(100):
        series.take("ann", {"reconnects": 1}, f"w{count}")
    assert len(series._last["ann"]) == COUNTING_MAX


def test_an_invalid_number_is_none():
    assert [number({"x": each}, "x") for each in (0, 1.5, NUMBER_MAX)] == [0, 1.5, NUMBER_MAX]
    assert {
        number({"x": value}, "x")
        for value in (True, "1", None, -1, NUMBER_MAX * 2, 10**400, float("inf"), float("nan"))
    } == {None}

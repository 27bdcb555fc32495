"""The plan of a benchmark: each method runs for whole periods, and all share one schedule."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bench.plan import AFTER, BEFORE, QUICK, Plan, Way, plan_of
from bridge.cli.main import COMMANDS
from bridge.settings import BenchSettings, WatcherSettings

plans = st.builds(
    Plan,
    st.integers(1, 40),
    st.floats(0.1, 500),
    st.integers(1, 9),
    st.just(0),
    st.just(1),
    poll_ms=st.integers(10, 9000),
)


@given(plans, st.sampled_from(Way))
def test_an_idle_phase_is_the_nearest_number_of_whole_periods(plan, way):
    periods = plan.idle_seconds(way) / plan.period(way)
    assert periods >= 1 and abs(periods - round(periods)) < 1e-6
    assert periods == 1 or abs(plan.idle_seconds(way) - plan.idle) <= plan.period(way) / 2 + 1e-6


@given(plans, st.integers())
def test_each_agents_tickets_are_spread_over_the_parts_of_a_poll_interval(plan, seed):
    schedule = plan.schedule(random.Random(seed).uniform)
    assert [send.number for send in schedule] == list(range(plan.agents * plan.tickets))
    assert [send.at for send in schedule] == sorted(send.at for send in schedule)
    part = plan.poll_ms / 1000 / plan.tickets
    for name in plan.names:
        mine = [send.at for send in schedule if send.agent == name]
        assert len(mine) == plan.tickets
        assert all(part * index <= at <= part * (index + 1) + 1e-9 for index, at in enumerate(mine))


def test_the_default_is_the_case_of_the_push_design():
    plan = plan_of(BenchSettings(), is_quick=False)
    assert plan.agents == 10 and [plan.idle_seconds(way) for way in Way] == [30, 25, 30, 30]
    # The push design names this number of requests a minute.
    assert 60 / plan.period(BEFORE) * plan.agents == 120
    assert BEFORE not in AFTER


def test_quick_shortens_only_the_intervals():
    slow, quick = plan_of(BenchSettings(), False), plan_of(BenchSettings(), True)
    assert quick.is_quick and (quick.agents, quick.tickets, quick.arrival_ms) == (
        slow.agents,
        slow.tickets,
        slow.arrival_ms,
    )
    for way in Way:
        assert quick.idle_seconds(way) == pytest.approx(slow.idle_seconds(way) / QUICK)


@pytest.mark.parametrize("way", Way)
def test_watchers_receive_for_each_agent(way):
    plan = plan_of(BenchSettings(agents=3), False)
    commands = plan.watchers(way)
    assert len(commands) == (1 if way is Way.SUPERVISOR else 3)
    assert [name for words in commands for name in words if name in plan.names] == plan.names
    assert all(words[0] in COMMANDS and "--print" in words for words in commands)


def test_a_poller_makes_no_request_but_its_polls():
    """The predecessor's watcher sends no heartbeat, so `before` must not count any."""
    (words,) = plan_of(BenchSettings(agents=1), False).watchers(Way.POLL)
    assert int(words[words.index("--sse-heartbeat") + 1]) > 3600_000
    assert int(words[words.index("--poll-interval") + 1]) == WatcherSettings.poll_interval == 5000

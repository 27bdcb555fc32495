"""Which agents are registered and which are present.

A registration is visible when it is on disk. Reading changes nothing.
"""

from __future__ import annotations

import asyncio
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.metrics.watcher_series import WatcherSeries
from bridge.broker.registry import POLL_WINDOW, REPORTS_MAX, Registry
from bridge.broker.watcher_report import NO_REPORT, WatcherReport
from bridge.errors import StoreBusy
from bridge.ticket import Agent
from broker.seams import BoundedOutbox, PacedHub, ScriptedJournal

NAMES = ["ann", "bob"]


def make_registry(size, hub=None, watchers=None, journal=None) -> Registry:
    return Registry(journal, hub or PacedHub(), WatcherSeries(10), size, watchers)


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.booleans()), max_size=12),
    st.data(),
)
def test_a_registration_is_visible_when_it_is_on_disk(changes, data):
    """The registry agrees with a dict of the committed changes. At the end none is uncommitted."""

    async def scenario():
        journal, model, proposed = ScriptedJournal(), {}, []
        registry = make_registry(10, journal=journal)
        for number, (name, is_removal, is_kept) in enumerate(changes):
            agent = None if is_removal else Agent(name, type=str(number))
            commit = registry.propose(name, agent)
            journal.close_group()
            assert registry.head(name) is agent
            proposed.append((name, agent, commit, is_kept))
            while proposed and data.draw(st.booleans()):
                await settle(registry, model, *proposed.pop(0))
        for each in proposed:
            await settle(registry, model, *each)
        assert not registry._coming

    async def settle(registry, model, name, agent, commit, is_kept):
        commit.set_result(None if is_kept else StoreBusy("full"))
        await asyncio.sleep(0)
        if is_kept:
            model.update({name: agent})
        assert registry.agents == {
            name: agent for name, agent in model.items() if agent is not None
        }

    asyncio.run(scenario())


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.integers(1, 99)), max_size=12),
    st.data(),
)
def test_the_weight_is_that_of_the_registrations_that_are_kept_or_on_their_way(changes, data):
    """While a change of an agent is on its way, its latest registration counts."""

    async def scenario():
        journal, kept, coming, counted = ScriptedJournal(), {}, [], {}
        registry = make_registry(10, journal=journal)

        def check():
            names = [name for name, *_ in coming]
            counted.update({name: kept.get(name, 0) for name in NAMES if name not in names})
            assert registry.weight_with("other", 0) == sum(counted.values())

        def settle():
            name, weight, commit = coming.pop(0)
            is_kept = data.draw(st.booleans())
            commit.set_result(None if is_kept else StoreBusy("full"))
            if is_kept:
                kept.update({name: weight})
            check()

        for name, is_removal, size in changes:
            agent, weight = (None, 0) if is_removal else (Agent(name), size)
            coming.append((name, weight, registry.propose(name, agent, weight=weight)))
            counted.update({} if is_removal else {name: size})
            journal.close_group()
            check()
            while coming and data.draw(st.booleans()):
                settle()
        while coming:
            settle()

    asyncio.run(scenario())


def test_a_registration_that_fails_leaves_the_weight_of_the_kept_one():
    async def scenario():
        registry = make_registry(10, journal=ScriptedJournal())
        registry.registered(Agent("ann"), 30)
        for weight in (100, 10):
            registry.propose("ann", Agent("ann"), weight=weight).set_result(StoreBusy("full"))
            registry._journal.close_group()
            assert registry.weight_with("bob", 0) == 30

    asyncio.run(scenario())


def test_the_bound_counts_uncommitted_registrations():
    async def scenario():
        journal, commits = ScriptedJournal(), []
        registry = make_registry(10, journal=journal)
        for number in range(2):
            assert registry.has_room(2)
            commits.append(registry.propose(f"agent-{number}", Agent(f"agent-{number}")))
            journal.close_group()
        assert not registry.has_room(2)
        commits[0].set_result(StoreBusy("full"))
        await asyncio.sleep(0)
        assert registry.has_room(2)
        commits[1].set_result(None)
        await asyncio.sleep(0)
        assert registry.has_room(2) and not registry.has_room(1)

    asyncio.run(scenario())


def test_invented_names_do_not_evict_an_agent_that_is_present():
    registry = make_registry(5)
    for number in range(100):
        registry.presence("ann").heartbeat_at = float(number)
        registry.presence(f"invented-{number}")
        assert len(registry._presences) <= 5
        assert registry.status(Agent("ann"), number + 1.0) == "online"


def test_reading_reports_evicts_no_agent():
    """/metrics reads the report of every registered agent."""
    registry = make_registry(3)
    for name in ("a", "b", "c"):
        registry.take_report(name, "", WatcherReport(numbers={"queued": 1}))
    for name in ("x", "y", "z", "a"):
        registry.report(name)
    assert [registry.report(name) for name in ("a", "b", "c", "x")] == [
        WatcherReport(numbers={"queued": 1})
    ] * 3 + [NO_REPORT]
    assert not registry.is_known("x")


def test_the_latest_report_of_a_present_watcher_is_used():
    here = {"a"}
    registry = make_registry(3, watchers=types.SimpleNamespace(is_here=here.__contains__))
    for watcher in ("a", "b"):
        registry.take_report("ann", watcher, WatcherReport(session=watcher))
    assert registry.report("ann") == WatcherReport(session="a")
    here.add("b")
    assert registry.report("ann") == WatcherReport(session="b"), (
        "the latest of two present watchers"
    )
    registry.take_report("ann", "a", WatcherReport(session="again"))
    assert registry.report("ann") == WatcherReport(session="again")
    here.clear()
    assert registry.report("ann") == WatcherReport(session="again"), "no watcher is present"
    registry.take_report("ann", "", WatcherReport(session="an older watcher's"))
    registry.drop_reports("b")
    assert registry.report("ann") == WatcherReport(session="an older watcher's")
    for watcher in ("", "a"):
        registry.drop_reports(watcher)
    assert registry.report("ann") == WatcherReport(session="again"), "the last report is kept"


def test_reports_of_one_agent_are_bounded():
    registry = make_registry(3)
    for number in range(100):
        registry.take_report("ann", f"w{number}", WatcherReport(numbers={"queued": number}))
    assert len(registry.presence("ann").reports) == REPORTS_MAX and registry.report(
        "ann"
    ) == WatcherReport(numbers={"queued": 99})


def test_names_that_are_only_sent_to_evict_no_agent():
    registry = make_registry(3)
    registry.note_named("sent-1")
    for name in ("ann", "bob"):
        registry.presence(name).heartbeat_at = 1.0
    for number in range(10):
        registry.note_named(f"sent-{number}")
    assert [registry.is_known(name) for name in ("sent-1", "ann", "bob", "sent-2")] == [
        True,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("interval_ms", [1000, 30000])
def test_a_heartbeat_counts_for_two_and_a_half_intervals(interval_ms):
    registry, agent = make_registry(5), Agent("ann", heartbeat_interval_ms=interval_ms)
    assert registry.status(agent, 0.0) == "offline"
    registry.presence("ann").heartbeat_at = 100.0
    assert registry.status(agent, 100 + 2.49 * interval_ms / 1000) == "online"
    assert registry.status(agent, 100 + 2.5 * interval_ms / 1000) == "offline"


def test_the_tier_is_the_best_open_connection():
    hub = PacedHub()
    registry, now = make_registry(5, hub), 100.0
    assert registry.connection("ann", now) == "none" and not registry.is_known("ann")
    registry.presence("ann").polled_at = now
    assert (
        registry.connection("ann", now + POLL_WINDOW - 1) == "poll"
        and registry.connection("ann", now + POLL_WINDOW) == "none"
    )
    cancel = hub.polls.wait("ann", lambda: None)
    assert (
        registry.connection("ann", now + 1000) == "longpoll"
        and registry.status(Agent("ann"), now + 1000) == "online"
    )
    hub.subscribe("ann", BoundedOutbox(1))
    assert registry.connection("ann", now + 1000) == "sse" and registry.names() == {"ann"}
    cancel()
    assert registry.status(Agent("ann"), now + 1000) == "online"

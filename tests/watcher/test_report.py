"""A watcher reports to the broker and to its log when something has changed, and only then."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, Predecessor, encode, wait_for

from bridge.errors import DeliveryFailed, PaneLost, Uncertain
from bridge.tasks import stop_all
from bridge.timestamp import parse_rfc3339
from bridge.watcher import report
from watcher.scripted import ScriptedSink, SmallBroker, watching


def test_a_lost_pane_and_its_return_are_reported():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.lost = PaneLost("no session dev-lucy")
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(
                lambda: small.reports and small.reports[-1]["health"] == "lost", "the loss"
            )
            assert small.reports[-1]["sessionFailures"] == 1
            sink.lost = None
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(lambda: small.reports[-1]["health"] == "healthy", "health")

    asyncio.run(scenario())


def test_an_idle_watcher_reports_that_its_pane_is_lost_and_that_it_is_back():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await wait_for(
                lambda: small.reports and small.reports[-1]["health"] == "healthy",
                "the first report",
            )
            sink.lost = PaneLost("no session dev-lucy")
            await wait_for(lambda: small.reports[-1]["health"] == "lost", "the loss")
            sink.lost = None
            await wait_for(lambda: small.reports[-1]["health"] == "healthy", "health")

    asyncio.run(scenario())


def test_a_sink_without_a_pane_is_not_checked_while_idle():
    async def scenario():
        small, paned, plain = SmallBroker(), ScriptedSink(), ScriptedSink()
        plain.session = ""
        async with (
            FakeBroker(small) as broker,
            watching(broker.url, paned),
            watching(broker.url, plain, agent="bob"),
        ):
            await wait_for(lambda: paned.checks >= 4, "some looks at the pane")
            assert plain.checks == 1  # at the start

    asyncio.run(scenario())


def test_the_log_holds_the_reason_why_a_ticket_waits(caplog):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: "reason=the test says so" in caplog.text, "the reason")

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_the_report_holds_why_and_since_when_the_head_waits_and_null_afterwards():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["waiting"], "the reason")
            told = small.reports[-1]["waiting"]
            assert (told["ticketId"], told["reason"]) == (
                "T1",
                "the test says so",
            ) and parse_rfc3339(told["sinceAt"])
            sink.words = "a person typed here 1.5 s ago"
            await wait_for(
                lambda: small.reports[-1]["waiting"]["reason"] == sink.words, "another reason"
            )
            since = small.reports[-1]["waiting"]["sinceAt"]
            assert since >= told["sinceAt"]
            sink.words = "a person typed here 2 s ago"
            looks = sink.looks
            await wait_for(lambda: sink.looks > looks + 2, "some more looks")
            assert small.reports[-1]["waiting"] == {
                "ticketId": "T1",
                "reason": "a person typed here 1.5 s ago",
                "sinceAt": since,
            }, "the same reason is not reported again"
            sink.lost = PaneLost("no session dev-lucy")
            await wait_for(
                lambda: small.reports[-1]["waiting"]["reason"] == "no session dev-lucy",
                "the loss as the reason",
            )
            sink.lost = None
            sink.is_ready.set()
            await wait_for(
                lambda: small.acknowledged and small.reports[-1]["waiting"] is None,
                "a report that nothing waits",
            )

    asyncio.run(scenario())


@pytest.mark.parametrize("failure", [DeliveryFailed("exit status 1"), Uncertain("who knows")])
def test_the_report_holds_the_reason_of_a_failed_delivery(failure):
    async def scenario():
        small, failures = SmallBroker(), [failure]

        async def fail(ticket):
            if failures:
                raise failures[0]

        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink(fail)):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["waiting"], "the reason")
            assert small.reports[-1]["waiting"]["reason"] == str(failure)
            failures.clear()
            await wait_for(
                lambda: small.reports[-1]["waiting"] is None, "a report that nothing waits"
            )

    asyncio.run(scenario())


def test_the_report_names_another_watcher_as_the_reason_until_the_ticket_is_delivered():
    async def scenario():
        small, answers = (
            SmallBroker(),
            [{"status": "pending", "leaseUntilAt": "2001-01-01T00:00:00.000Z"}],
        )
        small.faults["claim"] = lambda asked: encode(
            409, {"title": "Conflict", "detail": "no", **answers[-1]}
        )
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["waiting"], "the reason")
            assert "another watcher" in small.reports[-1]["waiting"]["reason"]
            answers.append({"status": "delivered"})
            await wait_for(
                lambda: small.reports[-1]["waiting"] is None and small.reports[-1]["queued"] == 0,
                "a report that nothing waits",
            )

    asyncio.run(scenario())


def test_an_idle_watcher_sends_no_request():
    async def scenario():
        small = SmallBroker()
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await wait_for(
                lambda: len(small.reports) >= 2, "the first report, and one after registering"
            )
            await asyncio.sleep(0.1)
            before = len(broker.asked)
            await asyncio.sleep(0.3)
            assert len(broker.asked) == before

    asyncio.run(scenario())


def test_on_the_lowest_tier_heartbeats_show_the_presence():
    async def scenario():
        old, sink = Predecessor(), ScriptedSink()
        async with (
            FakeBroker(old) as broker,
            watching(broker.url, sink, push_mode="poll", sse_heartbeat=30),
        ):
            await wait_for(
                lambda: sum(asked.path[-1] == "heartbeat" for asked in broker.asked) >= 4,
                "heartbeats without any change",
            )

    asyncio.run(scenario())


def test_a_ticket_that_is_delivered_at_once_causes_no_report(monkeypatch):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker, watching(broker.url, sink, report_interval=1000):
            await wait_for(
                lambda: small.reports and small.reports[-1]["tier"] == "sse", "the first report"
            )
            await asyncio.sleep(1.1)  # longer than report_interval
            told = len(small.reports)
            for number in range(3):
                await small.add(f"T{number}")
            await wait_for(lambda: len(small.acknowledged) == 3, "the tickets")
            await asyncio.sleep(1.5)
            assert len(small.reports) == told

    monkeypatch.setattr(report, "SETTLE", 1.0)
    asyncio.run(scenario())


def test_on_the_lowest_tier_notes_without_a_change_do_not_delay_the_heartbeat(monkeypatch):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with (
            FakeBroker(small) as broker,
            watching(
                broker.url, sink, push_mode="poll", sse_heartbeat=300, report_interval=10
            ) as session,
        ):
            await wait_for(lambda: small.reports, "the first report")
            told = len(small.reports)
            noting = asyncio.ensure_future(note_for_ever(session._tasks.vitals))
            await wait_for(lambda: len(small.reports) >= told + 3, "heartbeats")
            await stop_all(noting)

    async def note_for_ever(vitals):
        while True:
            vitals.note()  # without a change
            await asyncio.sleep(0.05)

    asyncio.run(scenario())

"""A whole session against fake brokers: each ticket once and in order, whatever fails."""

from __future__ import annotations

import asyncio

import pytest
from fakes import PATIENCE, FakeBroker, encode, problem, wait_for

from bridge.client.broker import BrokerClient
from bridge.errors import DeliveryFailed, PaneLost, PaneNotReady, Uncertain
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import within
from bridge.watcher.session import Session
from watcher.scripted import HANG_UP, QUICK, ScriptedSink, SmallBroker, watching


def test_tickets_are_claimed_in_order_and_acknowledged_with_evidence():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker:
            await small.add("T1")
            async with watching(broker.url, sink):
                await small.add("T2")
                await small.add("T3")
                await wait_for(lambda: len(small.acknowledged) == 3, "three acknowledgements")
        assert sink.taken == ["T1", "T2", "T3"]
        assert [ticket for ticket, _ in small.claims] == sink.taken
        watcher = small.claims[0][1]
        assert small.acknowledged[0] == (
            "T1",
            {
                "watcher": watcher,
                "evidence": {
                    "pane": "fake",
                    "form": "test",
                    "submittedAt": "now",
                    "verified": True,
                },
            },
        )
        assert small.registered[0]["metadata"] == {
            "session": "dev-lucy",
            "paneId": "0",
            "registeredBy": "bridge",
        }

    asyncio.run(scenario())


def test_a_failed_acknowledgement_is_retried_and_the_sink_is_not_called_again():
    async def scenario():
        small, sink, failures = SmallBroker(), ScriptedSink(), []

        def fail(asked):
            failures.append(asked)
            return {
                0: HANG_UP,
                1: problem(503, "busy"),
                2: problem(500, "oops"),
                3: encode(429, {}, Retry_After="0"),
            }.get(len(failures) - 1)

        small.faults["acknowledge"] = fail
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both acknowledgements")
        assert sink.tried == ["T1", "T2"] and len(failures) == 6

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [401, 403])
def test_an_acknowledgement_that_is_not_let_through_is_retried(status):
    """A proxy whose password was changed may be put right. The ticket was typed."""

    async def scenario():
        small, sink, refused = SmallBroker(), ScriptedSink(), []

        def refuse(asked):
            refused.append(asked)
            return problem(status, "not let through") if len(refused) <= 5 else None

        small.faults["acknowledge"] = refuse
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both acknowledgements")
        assert [ticket for ticket, _ in small.acknowledged] == sink.tried == ["T1", "T2"]

    asyncio.run(scenario())


def test_a_broker_that_dies_between_injection_and_acknowledgement():
    """`kill -9` comes after the sink has taken the ticket.

    The stream of the restarted broker repeats the ticket. The sink must not get it again.
    """

    async def scenario():
        small, taken = SmallBroker(), asyncio.Event()

        async def after(ticket):
            if ticket.ticket_id == "T1":
                await broker.close()
                taken.set()

        sink = ScriptedSink(after)
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await taken.wait()
            await small.add("T2")
            await broker.listen()
            await wait_for(lambda: len(small.acknowledged) == 2, "both acknowledgements")
        assert sink.tried == ["T1", "T2"] and [ticket for ticket, _ in small.acknowledged] == [
            "T1",
            "T2",
        ]

    asyncio.run(scenario())


def test_a_reconnect_sends_the_cursor_and_no_ticket_is_repeated():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the first")
            await broker.close()
            await broker.listen()
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "the second")
        assert sink.taken == ["T1", "T2"] and small.cursors[0] == "" and small.cursors[-1] == "1"

    asyncio.run(scenario())


def test_a_broker_with_another_store_is_read_from_its_beginning():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            for number in range(5):
                await small.add(f"old-{number}")
            await wait_for(lambda: len(small.acknowledged) == 5, "the old ones")
            await broker.close()
            small.tickets.clear()
            small.seq = 0
            await small.add("new-1")
            await broker.listen()
            await wait_for(lambda: len(small.acknowledged) == 6, "the new one")
        assert sink.taken[-1] == "new-1"

    asyncio.run(scenario())


def test_a_failing_sink_keeps_the_ticket_and_the_order():
    async def scenario():
        small, failures = (
            SmallBroker(),
            [
                DeliveryFailed("exit status 1"),
                PaneNotReady("busy"),
                Uncertain("who knows"),
                PaneLost("gone"),
            ],
        )

        async def fail(ticket):
            if failures:
                raise failures.pop()

        sink = ScriptedSink(fail)
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
            await wait_for(
                lambda: (
                    small.reports
                    and small.reports[-1]["injectionErrors"] == 3
                    and small.reports[-1]["queued"] == 0
                ),
                "the report",
            )
        assert sink.tried == ["T1"] * 5 + ["T2"] and sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


def test_an_urgent_ticket_is_delivered_before_others_that_wait_for_the_pane():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2", metadata={"priority": "urgent"})
            await wait_for(
                lambda: (
                    small.reports
                    and (small.reports[-1]["queued"], small.reports[-1]["health"]) == (2, "busy")
                ),
                "both in the inbox",
            )
            assert not small.claims, "no ticket is claimed before the pane is ready"
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T2", "T1"]

    asyncio.run(scenario())


def test_a_ticket_typed_without_its_enter_is_finished_before_an_urgent_one():
    """Found by the soak test: the two blocked each other.

    The urgent ticket could not be typed before the other one's Enter, and the other was not tried.
    """

    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        sink.owed = "T1"
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2", metadata={"priority": "urgent"})
            await wait_for(
                lambda: small.reports and small.reports[-1]["queued"] == 2, "both in the inbox"
            )
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


def test_exit_on_loss_ends_the_session():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.lost = PaneLost("no session dev-lucy")
        async with FakeBroker(small) as broker:
            await small.add("T1")
            session = Session(
                "lucy",
                BrokerClient(ClientSettings(broker_url=broker.url)),
                sink,
                WatcherSettings(**QUICK, exit_on_loss=True),
            )
            with pytest.raises(PaneLost):
                await within(PATIENCE, session.run())

    asyncio.run(scenario())


def test_tickets_that_another_watcher_holds_or_has_finished():
    async def scenario():
        small, sink, asked_for = SmallBroker(), ScriptedSink(), []

        def claim(asked):
            asked_for.append(asked.path[1])
            if asked.path[1] == "T1":
                return encode(409, {"title": "Conflict", "detail": "done", "status": "delivered"})
            if asked.path[1] == "T2" and asked_for.count("T2") < 3:
                return encode(
                    409,
                    {
                        "title": "Conflict",
                        "detail": "held",
                        "status": "pending",
                        "leaseUntilAt": "2001-01-01T00:00:00.000Z",
                    },
                )
            if asked.path[1] == "T3":
                return problem(404, "no such ticket")
            return None

        small.faults["claim"] = claim
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            for number in range(1, 5):
                await small.add(f"T{number}")
            await wait_for(lambda: len(small.acknowledged) == 2, "the two that can be claimed")
        assert sink.tried == ["T2", "T4"] and asked_for == ["T1", "T2", "T2", "T2", "T3", "T4"]

    asyncio.run(scenario())


def test_stop_finishes_the_current_delivery_and_begins_no_other():
    async def scenario():
        small, begun, may_end = SmallBroker(), asyncio.Event(), asyncio.Event()

        async def slow(ticket):
            begun.set()
            await may_end.wait()

        sink = ScriptedSink(slow)
        async with FakeBroker(small) as broker:
            async with watching(broker.url, sink) as session:
                await small.add("T1")
                await small.add("T2")
                await begun.wait()
                session.stop()
                await asyncio.sleep(1.2)  # so long that the stop repeats its cancellation twice
                may_end.set()
            assert sink.tried == ["T1"] and [ticket for ticket, _ in small.acknowledged] == ["T1"]

    asyncio.run(scenario())


def test_stop_is_bounded_and_releases_the_claim():
    async def scenario():
        small, begun, leases = SmallBroker(), asyncio.Event(), []

        async def never(ticket):
            begun.set()
            await asyncio.Event().wait()

        small.faults["claim"] = lambda asked: leases.append(asked.body["leaseMs"])
        async with (
            FakeBroker(small) as broker,
            watching(broker.url, ScriptedSink(never), stop_timeout=50) as session,
        ):
            await small.add("T1")
            await begun.wait()
            session.stop()
        assert leases[-1] == 1 and not small.acknowledged

    asyncio.run(scenario())


def test_the_lease_is_renewed_during_a_long_delivery():
    async def scenario():
        small, may_end = SmallBroker(), asyncio.Event()

        async def slow(ticket):
            await may_end.wait()

        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink(slow), lease=100):
            await small.add("T1")
            await wait_for(lambda: len(small.claims) >= 4, "renewals")
            may_end.set()
            await wait_for(lambda: small.acknowledged, "the acknowledgement")

    asyncio.run(scenario())


def test_tickets_beyond_a_full_inbox_stay_with_the_broker():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink, inbox_max=3):
            for number in range(20):
                await small.add(f"T{number:02}")
            await wait_for(
                lambda: small.reports and small.reports[-1]["queued"] == 3, "a full inbox"
            )
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 20, "all")
        assert (
            sink.taken == sorted(sink.taken)
            and max(report["queued"] for report in small.reports) == 3
        )

    asyncio.run(scenario())


# Tiers

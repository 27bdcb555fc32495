"""A whole session against brokers at the byte seam: every ticket once, in order, whatever fails."""

from __future__ import annotations

import asyncio

import pytest

from bridge.client.broker import BrokerClient
from bridge.errors import DeliveryFailed, PaneLost, PaneNotReady, Uncertain
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import within
from bridge.timestamp import parse_rfc3339
from bridge.watcher.session import Session
from fakes import HTML_404, PATIENCE, FakeBroker, Predecessor, encode, problem, wait_for
from watcher.scripted import HANG_UP, QUICK, ScriptedSink, SmallBroker, watching


def test_tickets_arrive_in_order_are_claimed_and_acknowledged_with_evidence():
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
        assert small.acknowledged[0] == ("T1", {"watcher": watcher, "evidence": {"pane": "fake", "form": "test", "submittedAt": "now", "verified": True}})
        assert small.registered[0]["metadata"] == {"session": "dev-lucy", "paneId": "0"}

    asyncio.run(scenario())


def test_an_acknowledgement_that_fails_is_tried_until_it_succeeds_and_the_sink_is_not_called_again():
    async def scenario():
        small, sink, failures = SmallBroker(), ScriptedSink(), []

        def fail(asked):
            failures.append(asked)
            return {0: HANG_UP, 1: problem(503, "busy"), 2: problem(500, "oops"), 3: encode(429, {}, Retry_After="0")}.get(len(failures) - 1)

        small.faults["acknowledge"] = fail
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both acknowledgements")
        assert sink.tried == ["T1", "T2"] and len(failures) == 6

    asyncio.run(scenario())


def test_a_broker_that_dies_between_injection_and_acknowledgement():
    """kill -9 after the sink took the ticket; the stream of the new broker repeats it, the sink must not see it again."""

    async def scenario():
        small, taken = SmallBroker(), asyncio.Event()

        async def after(ticket):
            if ticket.ticket_id == "T1":
                await broker.close()
                taken.set()

        sink = ScriptedSink(after)
        async with FakeBroker(small) as broker:
            async with watching(broker.url, sink):
                await small.add("T1")
                await taken.wait()
                await small.add("T2")
                await broker.listen()
                await wait_for(lambda: len(small.acknowledged) == 2, "both acknowledgements")
        assert sink.tried == ["T1", "T2"] and [ticket for ticket, _ in small.acknowledged] == ["T1", "T2"]

    asyncio.run(scenario())


def test_the_cursor_goes_on_after_a_reconnect_and_nothing_is_repeated():
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


def test_a_broker_with_another_store_is_received_from_its_beginning():
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
        small, failures = SmallBroker(), [DeliveryFailed("exit status 1"), PaneNotReady("busy"), Uncertain("who knows"), PaneLost("gone")]

        async def fail(ticket):
            if failures:
                raise failures.pop()

        sink = ScriptedSink(fail)
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
            await wait_for(lambda: small.reports and small.reports[-1]["injectionErrors"] == 3 and small.reports[-1]["queued"] == 0, "the report")
        assert sink.tried == ["T1"] * 5 + ["T2"] and sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


def test_an_urgent_ticket_goes_before_what_waits_for_the_pane():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2", metadata={"priority": "urgent"})
            await wait_for(lambda: small.reports and (small.reports[-1]["queued"], small.reports[-1]["health"]) == (2, "busy"), "both in the inbox")
            assert not small.claims, "nothing is claimed before the pane is ready"
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T2", "T1"]

    asyncio.run(scenario())


def test_a_ticket_that_stands_in_the_pane_without_its_enter_goes_before_an_urgent_one():
    """Found by the soak: the urgent one could not be typed before the other's Enter, and the other was not tried."""

    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        sink.owed = "T1"
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await small.add("T2", metadata={"priority": "urgent"})
            await wait_for(lambda: small.reports and small.reports[-1]["queued"] == 2, "both in the inbox")
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


def test_a_lost_pane_is_reported_and_found_again():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.lost = PaneLost("no session dev-lucy")
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["health"] == "lost", "the loss")
            assert small.reports[-1]["sessionFailures"] == 1
            sink.lost = None
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(lambda: small.reports[-1]["health"] == "healthy", "health")

    asyncio.run(scenario())


def test_an_idle_watcher_sees_that_its_pane_is_lost_and_that_it_is_back():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await wait_for(lambda: small.reports and small.reports[-1]["health"] == "healthy", "the first report")
            sink.lost = PaneLost("no session dev-lucy")
            await wait_for(lambda: small.reports[-1]["health"] == "lost", "the loss")
            sink.lost = None
            await wait_for(lambda: small.reports[-1]["health"] == "healthy", "health")

    asyncio.run(scenario())


def test_a_sink_that_cannot_be_lost_is_not_looked_at_while_nothing_comes():
    async def scenario():
        small, paned, plain = SmallBroker(), ScriptedSink(), ScriptedSink()
        plain.session = ""
        async with FakeBroker(small) as broker, watching(broker.url, paned), watching(broker.url, plain, agent="bob"):
            await wait_for(lambda: paned.checks >= 4, "some looks at the pane")
            assert plain.checks == 1  # at its beginning

    asyncio.run(scenario())


def test_the_log_says_why_a_ticket_waits(caplog):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: "reason=the test says so" in caplog.text, "the reason")

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_the_report_says_why_the_head_waits_and_since_when_and_that_it_waits_no_more():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["waiting"], "the reason")
            told = small.reports[-1]["waiting"]
            assert (told["ticketId"], told["reason"]) == ("T1", "the test says so") and parse_rfc3339(told["sinceAt"])
            sink.words = "a person typed here 1.5 s ago"
            await wait_for(lambda: small.reports[-1]["waiting"]["reason"] == sink.words, "another reason")
            since = small.reports[-1]["waiting"]["sinceAt"]
            assert since >= told["sinceAt"]
            sink.words = "a person typed here 2 s ago"
            looks = sink.looks
            await wait_for(lambda: sink.looks > looks + 2, "some more looks")
            assert small.reports[-1]["waiting"] == {"ticketId": "T1", "reason": "a person typed here 1.5 s ago", "sinceAt": since}, "the same reason still"
            sink.lost = PaneLost("no session dev-lucy")
            await wait_for(lambda: small.reports[-1]["waiting"]["reason"] == "no session dev-lucy", "the loss as the reason")
            sink.lost = None
            sink.is_ready.set()
            await wait_for(lambda: small.acknowledged and small.reports[-1]["waiting"] is None, "that nothing waits")

    asyncio.run(scenario())


@pytest.mark.parametrize("failure", [DeliveryFailed("exit status 1"), Uncertain("who knows")])
def test_the_report_says_that_a_delivery_failed(failure):
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
            await wait_for(lambda: small.reports[-1]["waiting"] is None, "that nothing waits")

    asyncio.run(scenario())


def test_the_report_says_that_another_watcher_has_the_ticket_until_it_is_gone():
    async def scenario():
        small, answers = SmallBroker(), [{"status": "pending", "leaseUntilAt": "2001-01-01T00:00:00.000Z"}]
        small.faults["claim"] = lambda asked: encode(409, {"title": "Conflict", "detail": "no", **answers[-1]})
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["waiting"], "the reason")
            assert "another watcher" in small.reports[-1]["waiting"]["reason"]
            answers.append({"status": "delivered"})
            await wait_for(lambda: small.reports[-1]["waiting"] is None and small.reports[-1]["queued"] == 0, "that nothing waits")

    asyncio.run(scenario())


def test_exit_on_loss_ends_the_session():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.lost = PaneLost("no session dev-lucy")
        async with FakeBroker(small) as broker:
            await small.add("T1")
            session = Session("lucy", BrokerClient(ClientSettings(broker_url=broker.url)), sink, WatcherSettings(**QUICK, exit_on_loss=True))
            with pytest.raises(PaneLost):
                await within(PATIENCE, session.run())

    asyncio.run(scenario())


def test_what_another_watcher_holds_or_has_finished():
    async def scenario():
        small, sink, asked_for = SmallBroker(), ScriptedSink(), []

        def claim(asked):
            asked_for.append(asked.path[1])
            if asked.path[1] == "T1":
                return encode(409, {"title": "Conflict", "detail": "done", "status": "delivered"})
            if asked.path[1] == "T2" and asked_for.count("T2") < 3:
                return encode(409, {"title": "Conflict", "detail": "held", "status": "pending", "leaseUntilAt": "2001-01-01T00:00:00.000Z"})
            if asked.path[1] == "T3":
                return problem(404, "no such ticket")
            return None

        small.faults["claim"] = claim
        async with FakeBroker(small) as broker, watching(broker.url, sink):
            for number in range(1, 5):
                await small.add(f"T{number}")
            await wait_for(lambda: len(small.acknowledged) == 2, "the two that are ours")
        assert sink.tried == ["T2", "T4"] and asked_for == ["T1", "T2", "T2", "T2", "T3", "T4"]

    asyncio.run(scenario())


def test_stop_finishes_the_delivery_under_way_and_nothing_more():
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
                await asyncio.sleep(1.2)  # longer than a stop takes to say it again, twice
                may_end.set()
            assert sink.tried == ["T1"] and [ticket for ticket, _ in small.acknowledged] == ["T1"]

    asyncio.run(scenario())


def test_stop_is_bounded_and_gives_the_claim_back():
    async def scenario():
        small, begun, leases = SmallBroker(), asyncio.Event(), []

        async def never(ticket):
            begun.set()
            await asyncio.Event().wait()

        small.faults["claim"] = lambda asked: leases.append(asked.body["leaseMs"])
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink(never), stop_timeout=50) as session:
            await small.add("T1")
            await begun.wait()
            session.stop()
        assert leases[-1] == 1 and not small.acknowledged

    asyncio.run(scenario())


def test_a_long_delivery_keeps_its_lease():
    async def scenario():
        small, may_end = SmallBroker(), asyncio.Event()

        async def slow(ticket):
            await may_end.wait()

        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink(slow), lease=100):
            await small.add("T1")
            await wait_for(lambda: len(small.claims) >= 4, "renewals")
            may_end.set()
            await wait_for(lambda: small.acknowledged, "the end")

    asyncio.run(scenario())


def test_a_full_inbox_leaves_the_rest_with_the_broker():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        sink.is_ready.clear()
        async with FakeBroker(small) as broker, watching(broker.url, sink, inbox_max=3):
            for number in range(20):
                await small.add(f"T{number:02}")
            await wait_for(lambda: small.reports and small.reports[-1]["queued"] == 3, "a full inbox")
            sink.is_ready.set()
            await wait_for(lambda: len(small.acknowledged) == 20, "all")
        assert sink.taken == sorted(sink.taken) and max(report["queued"] for report in small.reports) == 3

    asyncio.run(scenario())


# Tiers


def test_the_predecessors_broker_is_polled_plainly_without_claims():
    async def scenario():
        old, sink = Predecessor(), ScriptedSink()
        old.add("T1")
        async with FakeBroker(old) as broker, watching(broker.url, sink):
            await wait_for(lambda: "T1" in old.acknowledged, "the first")
            old.add("T2")
            await wait_for(lambda: "T2" in old.acknowledged, "the second")
            kinds = [tuple(asked.path[2:]) for asked in broker.asked if asked.method == "GET"]
            assert kinds.count(("tickets", "stream")) == 1, "one proof is enough"
        assert sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


@pytest.mark.parametrize("passed_on", [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", b""], ids=["head", "nothing"])
def test_a_buffering_proxy_is_found_out_and_long_poll_takes_over(passed_on):
    async def scenario():
        small, sink, streams = SmallBroker(), ScriptedSink(), []

        async def handler(asked, writer):
            if asked.path[-1] != "stream":
                return await small(asked, writer)
            streams.append(asked)
            writer.write(passed_on)
            await asyncio.Event().wait()

        async with FakeBroker(handler) as broker, watching(broker.url, sink, first_byte=100):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "the report")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "the second")
        assert sink.taken == ["T1", "T2"] and len(streams) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("refusal", [HTML_404, problem(503, "DISABLE_SSE"), encode(200, [])], ids=["404", "503", "json"])
def test_a_tier_that_is_refused_is_left_and_climbed_back_to(refusal):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        small.faults["stream"] = lambda asked: refusal
        async with FakeBroker(small) as broker, watching(broker.url, sink, probe_interval=100, step_down_after=2):
            await small.add("T1")
            await wait_for(lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "long-poll")
            del small.faults["stream"]
            await wait_for(lambda: small.reports[-1]["tier"] == "sse", "the stream again")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


@pytest.mark.parametrize("is_away", [True, False], ids=["broker-away", "stream-refused"])
def test_what_a_proxy_says_of_a_broker_that_is_away_is_no_evidence_against_the_stream(is_away):
    async def scenario():
        small, sink, refused = SmallBroker(), ScriptedSink(), []

        def refuse(asked):
            refused.append(asked)
            return encode(503, b"<html>no server is available</html>", "text/html")

        faults = {"stream": refuse, **({word: refuse for word in ("pending", "heartbeat")} if is_away else {})}
        small.faults.update(faults)
        async with FakeBroker(small) as broker, watching(broker.url, sink, step_down_after=3):
            if is_away:
                await wait_for(lambda: len(refused) >= 10, "ten refusals")
                small.faults.clear()
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(lambda: small.reports and small.reports[-1]["tier"] == ("sse" if is_away else "longpoll"), "the tier")
            assert bool(small.cursors) is is_away
            assert is_away or sum(asked.path[-1] == "stream" for asked in refused) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["reset", "silence"])
def test_repeated_resets_and_repeated_silence_lead_one_step_down(fault):
    async def scenario():
        small, sink, streams = SmallBroker(), ScriptedSink(), []

        async def handler(asked, writer):
            if asked.path[-1] != "stream":
                return await small(asked, writer)
            streams.append(asked)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:heartbeat\n\n")
            await writer.drain()
            await (asyncio.sleep(0.01) if fault == "reset" else asyncio.Event().wait())
            return None

        async with FakeBroker(handler) as broker, watching(broker.url, sink, sse_heartbeat=20, tier_holds=60000, step_down_after=3):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "the middle tier")
            assert len(streams) == 3 and small.reports[-1]["reconnects"] == 3

    asyncio.run(scenario())


def test_push_mode_and_disable_sse_choose_the_first_tier():
    async def scenario():
        small = SmallBroker()
        for settings, tier in (({"push_mode": "poll"}, "poll"), ({"push_mode": "longpoll"}, "longpoll"), ({"disable_sse": True}, "longpoll")):
            small.reports.clear()
            async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink(), probe_interval=20, **settings):
                await wait_for(lambda: small.reports and small.reports[-1]["tier"] == tier, tier)
                await small.add(f"for-{tier}-{len(small.tickets)}")
                await wait_for(lambda: len(small.acknowledged) == len(small.tickets), "the ticket")
            assert not small.cursors, "no stream was opened"

    asyncio.run(scenario())


def test_an_unreachable_broker_is_waited_for_without_a_change_of_tier():
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        async with FakeBroker(small) as broker:
            await broker.close()
            async with watching(broker.url, sink, step_down_after=1):
                await asyncio.sleep(0.1)
                await broker.listen()
                await small.add("T1")
                await wait_for(lambda: small.acknowledged, "the ticket")
                await wait_for(lambda: small.reports, "a report")
                assert small.reports[-1]["tier"] == "sse"

    asyncio.run(scenario())


def test_an_idle_watcher_is_silent():
    async def scenario():
        small = SmallBroker()
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await wait_for(lambda: len(small.reports) >= 2, "the first report, and again after registering")
            await asyncio.sleep(0.1)
            before = len(broker.asked)
            await asyncio.sleep(0.3)
            assert len(broker.asked) == before

    asyncio.run(scenario())


def test_on_the_lowest_tier_a_heartbeat_is_the_presence():
    async def scenario():
        old, sink = Predecessor(), ScriptedSink()
        async with FakeBroker(old) as broker, watching(broker.url, sink, push_mode="poll", sse_heartbeat=30):
            await wait_for(lambda: sum(asked.path[-1] == "heartbeat" for asked in broker.asked) >= 4, "heartbeats without any change")

    asyncio.run(scenario())


def test_retry_after_is_honoured():
    async def scenario():
        small, asked_at = SmallBroker(), []

        def busy(asked):
            asked_at.append(asyncio.get_running_loop().time())
            return encode(429, {"title": "Too Many"}, Retry_After="1") if len(asked_at) == 1 else None

        small.faults["stream"] = busy
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
        assert asked_at[1] - asked_at[0] >= 1.0

    asyncio.run(scenario())

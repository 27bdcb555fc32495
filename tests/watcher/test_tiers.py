"""A session on every tier: how it finds one that works, steps down, and climbs up again."""

from __future__ import annotations

import asyncio

import pytest
from fakes import HTML_404, FakeBroker, Predecessor, encode, problem, wait_for

from watcher.scripted import ScriptedSink, SmallBroker, watching


def test_the_predecessors_broker_is_polled_without_claims():
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


@pytest.mark.parametrize(
    "passed_on",
    [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", b""],
    ids=["head", "nothing"],
)
def test_a_buffering_proxy_is_detected_and_long_poll_takes_over(passed_on):
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
            await wait_for(
                lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "the report"
            )
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "the second")
        assert sink.taken == ["T1", "T2"] and len(streams) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "refusal", [HTML_404, problem(503, "DISABLE_SSE"), encode(200, [])], ids=["404", "503", "json"]
)
def test_a_refused_tier_is_left_and_used_again_when_it_works(refusal):
    async def scenario():
        small, sink = SmallBroker(), ScriptedSink()
        small.faults["stream"] = lambda asked: refusal
        async with (
            FakeBroker(small) as broker,
            watching(broker.url, sink, probe_interval=100, step_down_after=2),
        ):
            await small.add("T1")
            await wait_for(
                lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "long-poll"
            )
            del small.faults["stream"]
            await wait_for(lambda: small.reports[-1]["tier"] == "sse", "the stream again")
            await small.add("T2")
            await wait_for(lambda: len(small.acknowledged) == 2, "both")
        assert sink.taken == ["T1", "T2"]

    asyncio.run(scenario())


@pytest.mark.parametrize("is_away", [True, False], ids=["broker-away", "stream-refused"])
def test_a_proxys_503_for_an_unreachable_broker_is_no_evidence_against_the_stream(is_away):
    async def scenario():
        small, sink, refused = SmallBroker(), ScriptedSink(), []

        def refuse(asked):
            refused.append(asked)
            return encode(503, b"<html>no server is available</html>", "text/html")

        faults = {
            "stream": refuse,
            **(dict.fromkeys(("pending", "heartbeat"), refuse) if is_away else {}),
        }
        small.faults.update(faults)
        async with FakeBroker(small) as broker, watching(broker.url, sink, step_down_after=3):
            if is_away:
                await wait_for(lambda: len(refused) >= 10, "ten refusals")
                small.faults.clear()
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(
                lambda: (
                    small.reports
                    and small.reports[-1]["tier"] == ("sse" if is_away else "longpoll")
                ),
                "the tier",
            )
            assert bool(small.cursors) is is_away
            assert is_away or sum(asked.path[-1] == "stream" for asked in refused) == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", ["reset", "silence"])
def test_repeated_resets_and_repeated_silence_step_down_once(fault):
    async def scenario():
        small, sink, streams = SmallBroker(), ScriptedSink(), []

        async def handler(asked, writer):
            if asked.path[-1] != "stream":
                return await small(asked, writer)
            streams.append(asked)
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n:heartbeat\n\n"
            )
            await writer.drain()
            await (asyncio.sleep(0.01) if fault == "reset" else asyncio.Event().wait())
            return None

        async with (
            FakeBroker(handler) as broker,
            watching(broker.url, sink, sse_heartbeat=20, tier_holds=60000, step_down_after=3),
        ):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
            await wait_for(
                lambda: small.reports and small.reports[-1]["tier"] == "longpoll", "the middle tier"
            )
            assert len(streams) == 3 and small.reports[-1]["reconnects"] == 3

    asyncio.run(scenario())


def test_push_mode_and_disable_sse_choose_the_first_tier():
    async def scenario():
        small = SmallBroker()
        for settings, tier in (
            ({"push_mode": "poll"}, "poll"),
            ({"push_mode": "longpoll"}, "longpoll"),
            ({"disable_sse": True}, "longpoll"),
        ):
            small.reports.clear()
            async with (
                FakeBroker(small) as broker,
                watching(broker.url, ScriptedSink(), probe_interval=20, **settings),
            ):
                await wait_for(lambda: small.reports and small.reports[-1]["tier"] == tier, tier)
                await small.add(f"for-{tier}-{len(small.tickets)}")
                await wait_for(lambda: len(small.acknowledged) == len(small.tickets), "the ticket")
            assert not small.cursors, "no stream was opened"

    asyncio.run(scenario())


def test_an_unreachable_broker_causes_no_change_of_tier():
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


def test_retry_after_is_honoured():
    async def scenario():
        small, asked_at = SmallBroker(), []

        def busy(asked):
            asked_at.append(asyncio.get_running_loop().time())
            return (
                encode(429, {"title": "Too Many"}, Retry_After="1") if len(asked_at) == 1 else None
            )

        small.faults["stream"] = busy
        async with FakeBroker(small) as broker, watching(broker.url, ScriptedSink()):
            await small.add("T1")
            await wait_for(lambda: small.acknowledged, "the ticket")
        assert asked_at[1] - asked_at[0] >= 1.0

    asyncio.run(scenario())

"""How long a stream may be silent before the watcher reconnects.

The broker announces its heartbeat interval in the head of the stream. Without an announcement
the watcher's own setting applies.
"""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, encode, wait_for

from bridge.client.http import announced_heartbeat
from watcher.scripted import ScriptedSink, SmallBroker, watching


def stream_of(announced: int, streams: list, *events: bytes, pause: float = 0.0):
    """A SmallBroker, and a handler that replaces its streams.

    Such a stream announces a heartbeat interval, pauses, sends `events`, and is silent afterwards.
    """
    small = SmallBroker()

    async def handler(asked, writer):
        if asked.path[-1] != "stream":
            return await small(asked, writer)
        streams.append(asked)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Bridge-Heartbeat-Ms: %d\r\n\r\n:heartbeat\n\n" % announced
        )
        await writer.drain()
        await asyncio.sleep(pause)
        writer.write(b"".join(events))
        await asyncio.Event().wait()

    return small, handler


def test_a_setting_that_is_too_short_does_not_close_a_quiet_stream():
    async def scenario():
        streams: list = []
        ticket = {
            "ticketId": "T1",
            "seq": 1,
            "agentId": "lucy",
            "originAgent": "ui",
            "payload": "hi",
            "metadata": {},
            "status": "pending",
        }
        event = (
            b"id: 1\nevent: ticket\ndata: %b\n\n" % encode(200, ticket).partition(b"\r\n\r\n")[2]
        )
        small, handler = stream_of(60000, streams, event, pause=0.4)
        # T1 can be claimed, but with seq 0 the lower tiers never return it.
        small.tickets["T1"] = dict(ticket, seq=0)
        async with (
            FakeBroker(handler) as broker,
            watching(broker.url, ScriptedSink(), sse_heartbeat=20, step_down_after=1),
        ):
            await wait_for(
                lambda: small.acknowledged,
                "the ticket, which is sent after eight timeouts of the watcher's own setting",
            )
        assert len(streams) == 1

    asyncio.run(scenario())


def test_a_setting_that_is_too_long_does_not_keep_a_dead_stream_open():
    async def scenario():
        streams: list = []
        _, handler = stream_of(20, streams)
        async with (
            FakeBroker(handler) as broker,
            watching(broker.url, ScriptedSink(), sse_heartbeat=600000, step_down_after=1000),
        ):
            await wait_for(lambda: len(streams) == 3, "reconnects after the announced interval")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("30000", 30.0),
        ("10", 0.01),
        ("3600000", 3600.0),
        ("", None),
        ("0", None),
        ("-5", None),
        ("1e3", None),
        ("3600001", None),
        ("9" * 400, None),
        ("soon", None),
        ("٣٠", None),
    ],
)
def test_an_invalid_announcement_is_ignored(told, seconds):
    assert announced_heartbeat({"bridge-heartbeat-ms": told}) == seconds


def test_without_an_announcement_the_setting_applies():
    assert announced_heartbeat({}) is None

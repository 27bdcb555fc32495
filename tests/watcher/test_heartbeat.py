"""How long may a stream be silent? The broker says it in the stream's head; the watcher's setting serves where it does not."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, encode, wait_for

from bridge.client.http import announced_heartbeat
from watcher.scripted import ScriptedSink, SmallBroker, watching


def stream_of(announced: int, streams: list, *events: bytes, pause: float = 0.0):
    """A handler whose streams open, pause, send `events`, and are silent from then on; all else is SmallBroker's."""
    small = SmallBroker()

    async def handler(asked, writer):
        if asked.path[-1] != "stream":
            return await small(asked, writer)
        streams.append(asked)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nBridge-Heartbeat-Ms: %d\r\n\r\n:heartbeat\n\n"
            % announced
        )
        await writer.drain()
        await asyncio.sleep(pause)
        writer.write(b"".join(events))
        await asyncio.Event().wait()

    return small, handler


def test_a_setting_that_is_too_short_does_not_cut_a_stream_that_is_only_quiet():
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
        small.tickets["T1"] = dict(ticket, seq=0)  # known, and not offered by the lower tiers
        async with (
            FakeBroker(handler) as broker,
            watching(broker.url, ScriptedSink(), sse_heartbeat=20, step_down_after=1),
        ):
            await wait_for(
                lambda: small.acknowledged,
                "the ticket, sent after eight of the watcher's own silences",
            )
        assert len(streams) == 1

    asyncio.run(scenario())


def test_a_setting_that_is_too_long_does_not_keep_a_dead_stream():
    async def scenario():
        streams: list = []
        _, handler = stream_of(20, streams)
        async with (
            FakeBroker(handler) as broker,
            watching(broker.url, ScriptedSink(), sse_heartbeat=600000, step_down_after=1000),
        ):
            await wait_for(lambda: len(streams) == 3, "reconnects after the broker's own silence")

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
def test_an_announcement_is_believed_only_where_it_makes_sense(told, seconds):
    assert announced_heartbeat({"bridge-heartbeat-ms": told}) == seconds


def test_no_announcement_leaves_it_to_the_setting():
    assert announced_heartbeat({}) is None

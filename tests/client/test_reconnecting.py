"""A stream is followed after ends, silence and refusals of its broker, over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, problem, wait_for

from bridge.client.broker import BrokerClient
from bridge.client.reconnecting import ReconnectingStream
from bridge.errors import PeerError, Refused
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import stop_all

QUICK = WatcherSettings(reconnect_base=1, reconnect_max=5, sse_heartbeat=40)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
HEAD = OK + b"\r\n"


class RecordedCalls:
    def __init__(self, refused: str = "") -> None:
        self.heard_of: list[str] = []
        self._refused = refused

    def opened(self) -> None:
        self.heard_of.append("opened")

    def heard(self, event) -> None:
        if event.data == self._refused:
            raise PeerError(502, "makes no sense")
        self.heard_of.append(event.data)

    def lost(self, reason: str) -> None:
        self.heard_of.append(f"lost: {reason}")


def follow(answers, until, callbacks=None, settings=QUICK):
    """Follow a broker with these answers until `until` calls were recorded; return the calls."""
    callbacks = callbacks or RecordedCalls()

    async def handler(asked, writer):
        answer = answers.pop(0) if answers else HEAD
        writer.write(answer)
        await writer.drain()
        if not answer.startswith(OK) or answer.endswith(b"end\n\n"):
            return None
        await asyncio.Event().wait()

    async def run():
        async with FakeBroker(handler) as broker:
            async with BrokerClient(ClientSettings(broker_url=broker.url)) as client:
                task = asyncio.ensure_future(
                    ReconnectingStream(client.stream_events, settings, callbacks).run()
                )
                try:
                    await wait_for(
                        lambda: task.done() or len(callbacks.heard_of) >= until,
                        f"{until} events: {callbacks.heard_of}",
                    )
                    if task.done():
                        task.result()
                finally:
                    await stop_all(task)
        return callbacks.heard_of

    return asyncio.run(run())


def test_it_connects_again_after_an_end():
    heard = follow([HEAD + b"data: one\n\ndata: end\n\n", HEAD + b"data: two\n\n"], 6)
    assert (
        heard[:3] == ["opened", "one", "end"]
        and heard[3].startswith("lost: ")
        and heard[4:] == ["opened", "two"]
    )


def test_it_connects_again_after_silence_and_after_a_wrong_event():
    heard = follow(
        [HEAD + b"data: bad\n\n", HEAD + b"data: one\n\n", HEAD + b"data: two\n\n"],
        7,
        RecordedCalls(refused="bad"),
    )
    assert heard == [
        "opened",
        "lost: makes no sense",
        "opened",
        "one",
        "lost: the stream was silent for 0.1 s",
        "opened",
        "two",
    ]


def test_the_brokers_heartbeat_interval_bounds_the_silence():
    patient = WatcherSettings(reconnect_base=1, reconnect_max=5, sse_heartbeat=60000)
    heard = follow([OK + b"Bridge-Heartbeat-Ms: 40\r\n\r\ndata: one\n\n"], 4, settings=patient)
    assert heard == ["opened", "one", "lost: the stream was silent for 0.1 s", "opened"]


@pytest.mark.parametrize("status", [503, 429])
def test_it_connects_again_after_a_temporary_refusal(status):
    assert follow([problem(status, "not now"), HEAD + b"data: one\n\n"], 3) == [
        "lost: not now",
        "opened",
        "one",
    ]


def test_it_ends_after_a_permanent_refusal():
    with pytest.raises(Refused, match="no such thing"):
        follow([problem(404, "no such thing")], 99)

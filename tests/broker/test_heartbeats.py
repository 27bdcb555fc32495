"""Heartbeats in virtual time: one for each interval of silence on each stream.

Other streams have no influence on it.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.fronts.heartbeats import BEATS_PER_TURN
from broker.small_server import SmallServer

STREAM = b"GET /agents/%b/tickets/stream%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
BEAT = b"c\r\n:heartbeat\n\n\r\n"


@settings(max_examples=30)
@given(st.lists(st.floats(0.01, 4.9), max_size=6), st.lists(st.floats(0.05, 7), max_size=8))
def test_a_heartbeat_follows_each_interval_of_silence(opened, gaps):
    """Some streams are idle and one gets events. No stream is silent for more than the interval."""

    async def scenario(loop):
        server = SmallServer(loop, sse_heartbeat=5000)
        idle = []
        for gap in opened:
            await asyncio.sleep(gap)
            line = server.connect()
            line.send(STREAM % (b"idle", b""))
            idle.append((line, loop.time()))
        busy = server.connect()
        busy.send(STREAM % (b"busy", b""))
        outbox, spoke = busy.connection._outbox, [loop.time()]
        for gap in gaps:
            await asyncio.sleep(gap)
            outbox.write(b"data: x\n\n")
            spoke.append(loop.time())
        await asyncio.sleep(11)
        for line, since in idle:
            assert line.received.count(BEAT) == int((loop.time() - since + 1e-6) / 5)
        ends = [*spoke[1:], loop.time()]
        assert busy.received.count(BEAT) == sum(
            int((end - begin + 1e-6) / 5) for begin, end in zip(spoke, ends)
        )

    run(scenario)


def test_a_heartbeat_is_an_event_if_the_request_asks_for_it():
    async def scenario(loop):
        server = SmallServer(loop, sse_heartbeat=5000)
        line = server.connect()
        line.send(STREAM % (b"lucy", b"?heartbeat=event"))
        opening = line.received
        assert b"event: heartbeat\ndata: {}\n\n" in opening
        await asyncio.sleep(5.1)
        assert line.received[len(opening) :].count(b"event: heartbeat\n") == 1

    run(scenario)


def test_a_full_stream_gets_no_heartbeat_and_a_closed_one_is_removed():
    async def scenario(loop):
        server = SmallServer(loop, sse_heartbeat=5000, sse_outbox=1024, write_deadline=10**6)
        full, gone = server.connect(is_stalled=True), server.connect()
        for line in (full, gone):
            line.send(STREAM % (b"lucy", b""))
        full.connection._outbox.write(b"x" * 2000)
        waiting = len(full.buffer)
        gone.send_eof()
        await asyncio.sleep(21)
        assert len(full.buffer) == waiting, "nothing is added to a full buffer"
        assert [each[2] for each in server.heartbeats._due] == [full.connection._outbox]

    run(scenario)


def test_many_heartbeats_due_at_once_are_sent_over_several_iterations():
    """Streams that were opened at once are due at once. The loop must run in between."""

    async def scenario(loop):
        server = SmallServer(loop, sse_heartbeat=5000)
        lines = [server.connect() for _ in range(2 * BEATS_PER_TURN + 10)]
        for number, line in enumerate(lines):
            line.send(STREAM % (b"lucy%d" % number, b""))
        done, most, turns = 0, 0, 0
        while done < len(lines):
            await asyncio.sleep(0 if done else 5.0)
            now = sum(BEAT in line.received for line in lines)
            most, done, turns = max(most, now - done), now, turns + 1
            assert turns < 100
        assert most <= BEATS_PER_TURN

    run(scenario)


def test_after_stop_there_is_no_heartbeat():
    async def scenario(loop):
        server = SmallServer(loop, sse_heartbeat=5000)
        line = server.connect()
        line.send(STREAM % (b"lucy", b""))
        server.heartbeats.stop()
        await asyncio.sleep(60)
        assert BEAT not in line.received

    run(scenario)

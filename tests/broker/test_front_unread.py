"""A peer that does not read.

Until the write deadline it holds little memory; then it is disconnected. If it reads before the
deadline, its connection continues.
"""

from __future__ import annotations

import asyncio

import pytest
from virtual_clock import run

from broker.small_server import SmallServer
from broker.talk import HEALTH, POLL, request, settle, statuses


def test_a_peer_that_reads_nothing_is_disconnected_but_a_slow_one_is_not():
    async def scenario(loop):
        server = SmallServer(loop, write_deadline=5000, sse_outbox=1024)
        slow, dead = server.connect(is_stalled=True), server.connect(is_stalled=True)
        for line in (slow, dead):
            line.send(HEALTH * 12)
        for _ in range(60):
            await asyncio.sleep(1)
            slow.read(40)
        assert dead.is_lost and not slow.is_lost
        slow.is_stalled = False
        slow.read()
        await asyncio.sleep(0)
        assert statuses(slow, 12) == [200] * 12

    run(scenario)


def test_a_stalled_peer_gets_no_further_responses():
    async def scenario(loop):
        server = SmallServer(loop, sse_outbox=1024)
        line = server.connect(is_stalled=True)
        line.send(HEALTH * 200)
        assert len(line.buffer) < 2048
        assert server.services.metrics.responses[200] < 10
        line.is_stalled = False
        line.read()
        await asyncio.sleep(0)
        assert statuses(line, 200) == [200] * 200

    run(scenario)


def test_reading_resumes_when_a_stalled_peer_has_read():
    """Both directions are paused: the peer sent too much ahead, and the response fills the buffer.

    Both must be resumed.
    """

    async def scenario(loop):
        server = SmallServer(loop, sse_outbox=1024)
        line = server.connect(is_stalled=True)
        big = request("POST", "/agents/other/send", {"payload": "x" * 50000})
        line.send(POLL)
        line.send(big[:20000])
        line.send(big[20000:])
        assert not line.is_reading()
        server.connect().send(request("POST", "/agents/lucy/send", {"payload": "y" * 5000}))
        await settle(server)
        assert len(line.buffer) > 5000, "the response to the poll fills the buffer"
        line.is_stalled = False
        line.read()
        await asyncio.sleep(1)
        await settle(server)
        assert statuses(line, 2) == [200, 202]

    run(scenario)


@pytest.mark.parametrize("ends", ["idle", "refused", "reply-stream"])
def test_a_closed_connection_whose_peer_never_reads_is_aborted(ends):
    """The outbox is not full, so asyncio never calls `pause_writing`.

    But the transport cannot close before the peer has read the rest.
    """

    async def scenario(loop):
        server = SmallServer(loop, write_deadline=5000)
        line = server.connect(is_stalled=True)
        if ends == "reply-stream":
            helper = server.connect()
            helper.send(
                request(
                    "POST", "/agents/lucy/send", {"payload": 1, "ticketId": "t1", "timeoutMs": 100}
                )
            )
            await settle(server)
            line.send(request("GET", "/replies/t1/stream"))
            helper.send_eof()
        else:
            line.send(HEALTH if ends == "idle" else b"nonsense\r\n\r\n")
        await asyncio.sleep(75 + 10)
        assert line.is_lost and not server.connections, (
            "otherwise the peer decides how long the file descriptor stays open"
        )

    run(scenario)


def test_a_finished_stream_that_is_read_late_is_closed_once():
    async def scenario(loop):
        server = SmallServer(loop, write_deadline=5000)
        line = server.connect(is_stalled=True)
        line.send(request("GET", "/tickets/stream"))
        line.connection.drain()
        assert line.buffer and line.is_closing() and not line.is_lost
        await asyncio.sleep(3)
        line.read()
        await asyncio.sleep(30)
        assert line.is_lost and line.received.endswith(b"0\r\n\r\n") and not server.connections

    run(scenario)

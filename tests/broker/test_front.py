"""One HTTP connection without a socket.

Requests come in any slices, responses leave in order, and no state of the connection is final.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run
from wire.slicing import cut, places

from bridge.broker.fronts.loop_budget import LARGE, REST
from bridge.errors import StoreBusy
from broker.small_server import SmallServer
from broker.talk import HEALTH, POLL, SEND, read_answers, request, settle, statuses

ONE_BYTE = request("POST", "/agents/lucy/send", fields="Content-Length: 1\r\n")
CHUNKED = request("POST", "/agents/b/send", fields="Transfer-Encoding: chunked\r\n")
PARTS = {
    "send": (SEND, 202),
    "health": (HEALTH, 200),
    "none": (request("GET", "/nowhere"), 404),
    "head": (request("HEAD", "/health"), 200),
    "bad-json": (ONE_BYTE + b"{", 400),
    "options": (request("OPTIONS", "/agents"), 204),
    "wrong": (request("PUT", "/agents"), 405),
    "chunked": (CHUNKED + b'd\r\n{"payload":1}\r\n0\r\n\r\n', 202),
}


@settings(max_examples=80)
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=12), places)
def test_pipelined_requests_in_any_slices_are_answered_in_order(names, cuts):
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        for piece in cut(b"".join(PARTS[name][0] for name in names), cuts):
            line.send(piece)
            if len(piece) % 2:
                await settle(server)
        await settle(server)
        methods = [PARTS[name][0].split(b" ")[0].decode() for name in names]
        assert [status for status, _ in read_answers(line.received, methods)] == [
            PARTS[name][1] for name in names
        ]
        assert not line.is_closing()

    run(scenario)


def test_no_response_leaves_before_the_commit_or_before_an_earlier_one():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(SEND + HEALTH)
        await asyncio.sleep(1)
        assert line.received == b""
        server.journal.settle()
        await asyncio.sleep(0.001)
        assert statuses(line, 2) == [202, 200]

    run(scenario)


def test_a_failed_write_is_503_and_the_connection_stays_open():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(SEND + HEALTH)
        server.journal.settle(StoreBusy("the disk is full"))
        await asyncio.sleep(0.001)
        assert statuses(line, 2) == [503, 200] and b"Retry-After" in line.received
        assert not server.services.hub.backlogs

    run(scenario)


def test_100_continue_is_sent_once_and_only_when_expected():
    async def scenario(loop):
        server = SmallServer(loop)
        expecting = request(
            "POST", "/agents/lucy/send", fields="Content-Length: 13\r\nExpect: 100-continue\r\n"
        )
        line = server.connect()
        line.send(expecting[:-1])
        assert line.received == b""
        line.send(expecting[-1:])
        assert line.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b'{"payload":1}')
        await settle(server)
        assert line.received.count(b" 100 ") == 1 and b" 202 " in line.received
        eager = server.connect()
        eager.send(expecting + b'{"payl')
        assert eager.received == b""
        behind = server.connect()
        behind.send(SEND)
        behind.send(expecting)
        assert behind.received == b""
        await settle(server)
        assert behind.received.index(b" 202 ") < behind.received.index(b" 100 ")

    run(scenario)


def test_a_large_body_waits_while_small_requests_are_served():
    async def scenario(loop):
        server = SmallServer(loop)
        large, small = server.connect(), server.connect()
        large.send(request("POST", "/agents/lucy/send", {"payload": "x" * 100_000}) + HEALTH)
        assert server.held.total >= 100_000, "the body is complete, and held until its turn"
        small.send(HEALTH)
        assert statuses(small, 1) == [200] and not large.received
        await settle(server)
        assert statuses(large, 2) == [202, 200] and server.held.total == 0

    run(scenario)


def test_a_large_body_is_released_when_its_peer_is_gone():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(request("POST", "/agents/lucy/send", {"payload": "x" * 100_000}) + HEALTH[:9])
        line.abort()
        await settle(server)
        assert (
            not server.connections and server.held.total == 0 and not server.services.hub.backlogs
        )

    run(scenario)


# -- deadlines ------------------------------------------------------------------


@pytest.mark.parametrize(
    "part, seconds", [(b"", 75), (HEALTH[:9], 10), (SEND[:-1], 30)], ids=["idle", "head", "body"]
)
def test_a_connection_is_closed_when_a_request_part_is_late(part, seconds):
    async def scenario(loop):
        line = SmallServer(loop).connect()
        line.send(part)
        await asyncio.sleep(seconds - 1)
        assert not line.received and not line.is_closing()
        await asyncio.sleep(5)
        assert line.is_lost and (statuses(line, 1) == [408] if part else not line.received)

    run(scenario)


@pytest.mark.parametrize("first", [SEND, HEALTH, POLL], ids=["stored", "at-once", "poll"])
@pytest.mark.parametrize("cut_at", [9, len(HEALTH) - 1])
def test_each_request_has_its_own_deadline(first, cut_at):
    """The first head comes in two slices. Half of the second head follows, and then nothing."""

    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(first[:12])
        await asyncio.sleep(8)
        line.send(first[12:] + HEALTH[:cut_at])
        await settle(server)
        if first is POLL:
            await asyncio.sleep(5)
        count = len(line.received)
        assert count
        await asyncio.sleep(8)
        assert len(line.received) == count and not line.is_closing(), (
            "the second head has its own 10 s"
        )
        await asyncio.sleep(6)
        assert b" 408 " in line.received[count:], "it has no more than 10 s"

    run(scenario)


# -- end of the peer's input --------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [b"", HEALTH[:9], SEND[:-1], HEALTH],
    ids=["nothing", "half-a-head", "half-a-body", "answered"],
)
def test_eof_while_reading_ends_the_connection(part):
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(part)
        line.send_eof()
        await asyncio.sleep(0)
        assert line.is_lost and not server.connections and not server.timed
        assert server.services.metrics.connections_open == 0

    run(scenario)


def test_eof_while_a_ticket_is_stored_still_gets_the_response():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(SEND)
        line.send_eof()
        assert not line.is_closing()
        await settle(server)
        assert statuses(line, 1) == [202] and line.is_lost and not server.connections

    run(scenario)


def test_eof_on_a_waiting_long_poll_ends_the_wait():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(POLL)
        assert server.services.hub.polls.total == 1
        line.send_eof()
        await asyncio.sleep(0)
        assert line.is_lost and server.services.hub.polls.total == 0 and not server.connections

    run(scenario)


def test_eof_on_a_stream_removes_it():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(request("GET", "/agents/lucy/tickets/stream"))
        assert server.services.hub.streams("lucy") == 1 and b":heartbeat" in line.received
        line.send_eof()
        await asyncio.sleep(0)
        assert (
            server.services.hub.streams("lucy") == 0
            and server.services.metrics.streams_open == 0
            and not server.connections
        )

    run(scenario)


# -- end of the connection -------------------------------------------------------------


def test_a_refused_peer_can_read_its_response_before_the_close():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(line, 1) == [400] and line.has_written_eof and not line.is_closing()
        line.send(b"x" * 100000)
        line.send(HEALTH)
        assert statuses(line, 1) == [400] and not line.is_closing(), "later bytes are discarded"
        await asyncio.sleep(4)
        assert line.is_lost and not server.connections

    run(scenario)


def test_draining_answers_waiting_requests_and_ends_streams():
    async def scenario(loop):
        server = SmallServer(loop)
        poll, stream, idle, storing = (server.connect() for _ in range(4))
        await asyncio.sleep(1)
        poll.send(POLL)
        stream.send(request("GET", "/tickets/stream"))
        storing.send(SEND)
        server.is_draining = True
        for connection in list(server.connections):
            connection.drain()
        await asyncio.sleep(0)
        assert (
            read_answers(poll.received, ["GET"]) == [(200, b"[]")]
            and b"Connection: close" in poll.received
        )
        assert stream.received.endswith(b"0\r\n\r\n") and stream.is_lost and idle.is_lost
        assert not storing.received
        await settle(server)
        assert statuses(storing, 1) == [202] and storing.has_written_eof
        await asyncio.sleep(5)
        assert not server.connections and server.services.metrics.connections_open == 0

    run(scenario)


def test_draining_serves_a_new_connection_and_closes_a_silent_one():
    async def scenario(loop):
        server = SmallServer(loop)
        asking, silent = server.connect(), server.connect()
        server.is_draining = True
        for _ in range(20):
            for connection in list(server.connections):
                connection.drain()
            if not asking.received:
                assert not asking.is_closing() and not silent.is_closing(), (
                    "a request may be in flight"
                )
                asking.send(HEALTH)
            await asyncio.sleep(0.02)
        assert statuses(asking, 1) == [200] and b"Connection: close" in asking.received
        assert silent.is_lost and not silent.received and not server.connections

    run(scenario)


def test_http_1_0_gets_one_response_unless_it_asks_for_keep_alive():
    async def scenario(loop):
        server = SmallServer(loop)
        once, more, stream = (server.connect() for _ in range(3))
        once.send(request("GET", "/health", version="1.0"))
        assert b"Connection: close" in once.received and once.has_written_eof
        more.send(request("GET", "/health", fields="Connection: keep-alive\r\n", version="1.0") * 2)
        assert more.received.count(b"Connection: keep-alive") == 2 and not more.is_closing()
        stream.send(request("GET", "/tickets/stream", version="1.0"))
        assert b"chunked" not in stream.received and stream.received.endswith(b":heartbeat\n\n")

    run(scenario)


def test_a_large_body_rests_after_each_read_and_arrives_whole():
    """A client on the same machine sends as fast as it is read. Reads must leave it time to send
    much at once, or the loop does little else.
    """

    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        body = b'{"payload":"' + b"x" * (4 * LARGE) + b'"}'
        head = request("POST", "/agents/a/send", fields=f"Content-Length: {len(body)}\r\n")
        line.send(head + body[:LARGE])
        assert line.is_reading(), "a small part does not rest"
        line.send(body[LARGE : 2 * LARGE])
        assert not line.is_reading()
        await asyncio.sleep(REST)
        assert line.is_reading()
        line.send(body[2 * LARGE :])
        await settle(server)
        await asyncio.sleep(10 * REST)
        assert statuses(line, 1) == [202] and line.is_reading()

    run(scenario)


def test_bytes_that_nothing_will_answer_are_read_with_rests():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(b"no request\r\n\r\n")
        assert statuses(line, 1) == [400]
        for _ in range(3):
            line.send(b"x" * 1000)
            assert not line.is_reading()
            await asyncio.sleep(REST)
            assert line.is_reading()

    run(scenario)

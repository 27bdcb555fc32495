"""One connection at the byte seam: requests in any slices, answers in order, and no state that it cannot leave."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run
from wire.slicing import cut, places

from bridge.errors import StoreBusy
from broker.house import SmallHouse
from broker.talk import HEALTH, POLL, SEND, read_answers, request, settle, statuses

PARTS = {
    "send": (SEND, 202), "health": (HEALTH, 200), "none": (request("GET", "/nowhere"), 404), "head": (request("HEAD", "/health"), 200),
    "bad-json": (request("POST", "/agents/lucy/send", fields="Content-Length: 1\r\n") + b"{", 400), "options": (request("OPTIONS", "/agents"), 204),
    "wrong": (request("PUT", "/agents"), 405), "chunked": (request("POST", "/agents/b/send", fields="Transfer-Encoding: chunked\r\n") + b'd\r\n{"payload":1}\r\n0\r\n\r\n', 202),
}  # fmt: skip


@settings(max_examples=80)
@given(st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=12), places)
def test_pipelined_requests_are_answered_in_order_however_cut(names, cuts):
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        for piece in cut(b"".join(PARTS[name][0] for name in names), cuts):
            line.send(piece)
            if len(piece) % 2:
                await settle(house)
        await settle(house)
        methods = [PARTS[name][0].split(b" ")[0].decode() for name in names]
        assert [status for status, _ in read_answers(line.received, methods)] == [
            PARTS[name][1] for name in names
        ]
        assert not line.is_closing()

    run(scenario)


def test_no_answer_leaves_before_the_disk_and_none_overtakes():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(SEND + HEALTH)
        await asyncio.sleep(1)
        assert line.received == b""
        house.journal.settle()
        await asyncio.sleep(0.001)
        assert statuses(line, 2) == [202, 200]

    run(scenario)


def test_a_failed_write_is_a_503_and_the_connection_goes_on():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(SEND + HEALTH)
        house.journal.settle(StoreBusy("the disk is full"))
        await asyncio.sleep(0.001)
        assert statuses(line, 2) == [503, 200] and b"Retry-After" in line.received
        assert not house.services.hub.backlogs

    run(scenario)


def test_continue_is_said_once_and_only_to_who_waits_for_it():
    async def scenario(loop):
        house = SmallHouse(loop)
        expecting = request(
            "POST", "/agents/lucy/send", fields="Content-Length: 13\r\nExpect: 100-continue\r\n"
        )
        line = house.connect()
        line.send(expecting[:-1])
        assert line.received == b""
        line.send(expecting[-1:])
        assert line.received == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.send(b'{"payload":1}')
        await settle(house)
        assert line.received.count(b" 100 ") == 1 and b" 202 " in line.received
        eager = house.connect()
        eager.send(expecting + b'{"payl')
        assert eager.received == b""
        behind = house.connect()
        behind.send(SEND)
        behind.send(expecting)
        assert behind.received == b""
        await settle(house)
        assert behind.received.index(b" 202 ") < behind.received.index(b" 100 ")

    run(scenario)


def test_a_large_body_waits_for_its_turn_and_small_requests_pass_it():
    async def scenario(loop):
        house = SmallHouse(loop)
        large, small = house.connect(), house.connect()
        large.send(request("POST", "/agents/lucy/send", {"payload": "x" * 100_000}) + HEALTH)
        assert house.held.total >= 100_000, "it is whole, and held until its turn"
        small.send(HEALTH)
        assert statuses(small, 1) == [200] and not large.received
        await settle(house)
        assert statuses(large, 2) == [202, 200] and house.held.total == 0

    run(scenario)


def test_a_large_body_whose_peer_is_gone_is_not_held():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(request("POST", "/agents/lucy/send", {"payload": "x" * 100_000}) + HEALTH[:9])
        line.abort()
        await settle(house)
        assert not house.connections and house.held.total == 0 and not house.services.hub.backlogs

    run(scenario)


# -- deadlines ------------------------------------------------------------------


@pytest.mark.parametrize(
    "part, seconds", [(b"", 75), (HEALTH[:9], 10), (SEND[:-1], 30)], ids=["idle", "head", "body"]
)
def test_what_does_not_arrive_in_time_is_closed(part, seconds):
    async def scenario(loop):
        line = SmallHouse(loop).connect()
        line.send(part)
        await asyncio.sleep(seconds - 1)
        assert not line.received and not line.is_closing()
        await asyncio.sleep(5)
        assert line.is_lost and (statuses(line, 1) == [408] if part else not line.received)

    run(scenario)


@pytest.mark.parametrize("first", [SEND, HEALTH, POLL], ids=["stored", "at-once", "poll"])
@pytest.mark.parametrize("cut_at", [9, len(HEALTH) - 1])
def test_each_request_has_its_own_deadline(first, cut_at):
    """The first one's head came in two slices; half of the next one's came with its end, and then nothing more."""

    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(first[:12])
        await asyncio.sleep(8)
        line.send(first[12:] + HEALTH[:cut_at])
        await settle(house)
        if first is POLL:
            await asyncio.sleep(5)
        count = len(line.received)
        assert count
        await asyncio.sleep(8)
        assert len(line.received) == count and not line.is_closing(), (
            "the second head has 10 s of its own"
        )
        await asyncio.sleep(6)
        assert b" 408 " in line.received[count:], "and no more than 10 s"

    run(scenario)


# -- the peer sends no more ---------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [b"", HEALTH[:9], SEND[:-1], HEALTH],
    ids=["nothing", "half-a-head", "half-a-body", "answered"],
)
def test_eof_while_reading_ends_the_connection(part):
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(part)
        line.send_eof()
        await asyncio.sleep(0)
        assert line.is_lost and not house.connections and not house.timed
        assert house.services.metrics.connections_open == 0

    run(scenario)


def test_eof_while_a_ticket_is_stored_still_gets_the_answer():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(SEND)
        line.send_eof()
        assert not line.is_closing()
        await settle(house)
        assert statuses(line, 1) == [202] and line.is_lost and not house.connections

    run(scenario)


def test_eof_of_a_waiting_poll_ends_the_wait():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(POLL)
        assert house.services.hub.polls.total == 1
        line.send_eof()
        await asyncio.sleep(0)
        assert line.is_lost and house.services.hub.polls.total == 0 and not house.connections

    run(scenario)


def test_eof_of_a_stream_forgets_it():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(request("GET", "/agents/lucy/tickets/stream"))
        assert house.services.hub.streams("lucy") == 1 and b":heartbeat" in line.received
        line.send_eof()
        await asyncio.sleep(0)
        assert (
            house.services.hub.streams("lucy") == 0
            and house.services.metrics.streams_open == 0
            and not house.connections
        )

    run(scenario)


# -- the end ---------------------------------------------------------------------------


def test_a_refused_peer_can_read_its_answer_before_the_connection_closes():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(b"GET  /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert statuses(line, 1) == [400] and line.has_written_eof and not line.is_closing()
        line.send(b"x" * 100000)
        line.send(HEALTH)
        assert statuses(line, 1) == [400] and not line.is_closing(), (
            "what still comes is thrown away"
        )
        await asyncio.sleep(4)
        assert line.is_lost and not house.connections

    run(scenario)


def test_draining_answers_what_waits_and_ends_what_streams():
    async def scenario(loop):
        house = SmallHouse(loop)
        poll, stream, idle, storing = (house.connect() for _ in range(4))
        await asyncio.sleep(1)
        poll.send(POLL)
        stream.send(request("GET", "/tickets/stream"))
        storing.send(SEND)
        house.is_draining = True
        for connection in list(house.connections):
            connection.drain()
        await asyncio.sleep(0)
        assert (
            read_answers(poll.received, ["GET"]) == [(200, b"[]")]
            and b"Connection: close" in poll.received
        )
        assert stream.received.endswith(b"0\r\n\r\n") and stream.is_lost and idle.is_lost
        assert not storing.received
        await settle(house)
        assert statuses(storing, 1) == [202] and storing.has_written_eof
        await asyncio.sleep(5)
        assert not house.connections and house.services.metrics.connections_open == 0

    run(scenario)


def test_who_has_just_connected_may_ask_when_the_broker_stops_and_who_asks_nothing_is_closed():
    async def scenario(loop):
        house = SmallHouse(loop)
        asking, silent = house.connect(), house.connect()
        house.is_draining = True
        for _ in range(20):
            for connection in list(house.connections):
                connection.drain()
            if not asking.received:
                assert not asking.is_closing() and not silent.is_closing(), (
                    "their requests may be on the way"
                )
                asking.send(HEALTH)
            await asyncio.sleep(0.02)
        assert statuses(asking, 1) == [200] and b"Connection: close" in asking.received
        assert silent.is_lost and not silent.received and not house.connections

    run(scenario)


def test_http_1_0_gets_one_answer_unless_it_asks_for_more():
    async def scenario(loop):
        house = SmallHouse(loop)
        once, more, stream = (house.connect() for _ in range(3))
        once.send(request("GET", "/health", version="1.0"))
        assert b"Connection: close" in once.received and once.has_written_eof
        more.send(request("GET", "/health", fields="Connection: keep-alive\r\n", version="1.0") * 2)
        assert more.received.count(b"Connection: keep-alive") == 2 and not more.is_closing()
        stream.send(request("GET", "/tickets/stream", version="1.0"))
        assert b"chunked" not in stream.received and stream.received.endswith(b":heartbeat\n\n")

    run(scenario)

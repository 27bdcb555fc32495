"""Above the limits of connections and of held bytes, new and small peers are still served."""

from __future__ import annotations

import resource
import socket

from raw_http import Closed, Line, request_bytes
from running import wait_until

MIB = 1 << 20


def is_served(broker) -> bool:
    try:
        return broker.ask("GET", "/health").status == 200
    except (Closed, OSError):
        return False


def is_cut(line: Line) -> bool:
    """Whether the broker has closed the connection. Does not wait."""
    line.socket.setblocking(False)
    try:
        return not line.receive()
    except BlockingIOError:
        return False
    finally:
        line.socket.settimeout(20)


def test_the_connection_that_is_idle_for_longest_is_closed(start):
    broker = start(BRIDGE_CONNECTIONS_MAX=3)
    busy, stream, idle = broker.line(), broker.agent_stream("a"), broker.line()
    try:
        stream.read_block()
        for line in (busy, idle, busy):
            assert line.ask("GET", "/health").status == 200
        wait_until(lambda: is_served(broker), "a place for a new one")
        assert idle.is_closed()
        assert busy.ask("GET", "/health").status == 200, "it is older, but was idle for less time"
        broker.send("a", "streams are not idle")
        assert stream.read_event().json["payload"] == "streams are not idle"
    finally:
        for each in (busy, stream, idle):
            each.close()


def test_many_idle_connections_do_not_use_up_the_file_descriptors(start):
    broker = start(strict=False)
    resource.prlimit(broker.process.pid, resource.RLIMIT_NOFILE, (256, 4096))
    crowd = [socket.create_connection(("127.0.0.1", broker.port), 20) for _ in range(400)]
    try:
        wait_until(lambda: is_served(broker), "a place for a new one")
        assert all(is_served(broker) for _ in range(20))
        assert "cannot accept" not in broker.said(), (
            "accepting stops before the descriptors run out"
        )
    finally:
        for one in crowd:
            one.close()


def test_the_bytes_of_all_partial_bodies_are_bounded(start):
    broker = start(BRIDGE_CONNECTION_BYTES=8 * MIB, BRIDGE_RATE_LIMIT=0)
    body = b'{"payload":"' + b"x" * 10000 + b'"}'
    small = broker.line()
    small.send(request_bytes("POST", "/agents/a/send", body, port=broker.port)[:-1])
    crowd = [broker.line() for _ in range(20)]
    try:
        for line in crowd:
            head = request_bytes(
                "POST", "/agents/a/send", None, [("Content-Length", str(MIB))], port=broker.port
            )
            line.send(head + b"x" * (MIB - 1))
        wait_until(lambda: sum(map(is_cut, crowd)) >= 12, "the fullest are cut")
        small.send(body[-1:])
        assert small.read_answer().status == 202, "a connection that holds little is served"
        assert sum(map(is_cut, crowd)) <= 14, "no more are cut than necessary"
    finally:
        for line in [small, *crowd]:
            line.close()


def test_a_sender_is_not_cut_because_of_many_half_bodies(start):
    """Each other connection holds less than the sender does, but has held it for longer."""
    broker = start(BRIDGE_CONNECTION_BYTES=8 * MIB, BRIDGE_RATE_LIMIT=0)
    head = request_bytes(
        "POST", "/agents/a/send", None, [("Content-Length", str(MIB))], port=broker.port
    )
    crowd = []
    try:
        with broker.line() as sender:
            for number in range(5):
                crowd += [broker.line() for _ in range(30 if not number else 5)]
                for line in crowd[-30 if not number else -5 :]:
                    line.send(head + b"x" * 300_000)
                refused = 'bridge_refusals_total{reason="connection_bytes"}'
                wait_until(lambda: broker.metrics()[refused] > number, "the budget is full")
                body = {"payload": "x" * (MIB - 100)}
                assert sender.ask("POST", "/agents/a/send", body).status == 202
                broker.acknowledge(broker.pending("a")[0]["ticketId"])
    finally:
        for line in crowd:
            line.close()


def test_the_bytes_of_all_unread_responses_are_bounded(start):
    broker = start(BRIDGE_CONNECTION_BYTES=8 * MIB, BRIDGE_RATE_LIMIT=0)
    for _ in range(8):
        broker.send("a", "x" * (MIB - 100))
    crowd = [broker.line(receive_buffer=4096) for _ in range(10)]
    try:
        for line in crowd:
            line.request("GET", "/agents/a/tickets/pending")
        wait_until(
            lambda: broker.metrics()["bridge_connections_open"] <= 5,
            "those that read nothing are cut",
        )
        assert is_served(broker)
    finally:
        for line in crowd:
            line.close()


def test_the_bytes_of_all_unread_streams_are_bounded(start):
    broker = start(BRIDGE_CONNECTION_BYTES=4 * MIB, BRIDGE_SSE_OUTBOX=16 * MIB, BRIDGE_RATE_LIMIT=0)
    crowd = [broker.agent_stream("a", receive_buffer=4096) for _ in range(6)]
    try:
        for _ in range(8):
            broker.send("a", "x" * (MIB - 100))
        wait_until(
            lambda: broker.metrics()["bridge_connections_open"] <= 3,
            "those that read nothing are cut",
        )
        with broker.agent_stream("a") as stream:
            assert len(stream.read_events(8)) == 8, "nothing is lost"
    finally:
        for each in crowd:
            each.close()

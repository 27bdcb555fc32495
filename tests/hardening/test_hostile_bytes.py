"""Hostile bytes: smuggled requests, trickles, floods and garbage.

The broker stays up and serves other clients.
"""

from __future__ import annotations

import re
import socket
import struct
import threading

import pytest
from conformance.shapes import check_problem
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_http import Line, request_bytes
from running import Broker, new_name, package_launcher, wait_until

from hardening.hostile_requests import AMBIGUOUS, head, mutated, smuggled

LINGER_RESET = struct.pack("ii", 1, 0)  # close sends RST, socket(7) SO_LINGER


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """One broker for the whole module, with short deadlines and default limits."""
    with Broker(
        package_launcher(),
        tmp_path_factory.mktemp("hostile") / "bridge.db",
        BRIDGE_HEAD_TIMEOUT=1500,
        BRIDGE_BODY_TIMEOUT=1500,
        BRIDGE_RATE_LIMIT=0,
    ) as running:
        yield running


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_never_yields_a_second_one(broker, name):
    victim = new_name()
    with broker.line() as line:
        line.send(AMBIGUOUS[name] + smuggled(victim))
        answer = line.read_answer()
        assert 400 <= answer.status < 600, answer
        check_problem(answer, answer.status)
        assert line.is_closed(), "a connection with ambiguous framing must be closed"
    assert broker.pending(victim) == []


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_an_ambiguous_request_byte_by_byte_never_yields_a_second_one(broker, name):
    """The slow path through the parser must have the same result."""
    victim = new_name()
    with broker.line() as line:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in AMBIGUOUS[name] + smuggled(victim):
                line.send(bytes([byte]))
        except OSError:
            pass  # the broker closed the connection, which is right
        data = line.read_to_end()
    assert data == b"" or data.split(b" ", 2)[1][:1] in b"45", data
    assert len(re.findall(rb"(?:^|[}\n])HTTP/1\.[01] \d\d\d ", data)) <= 1, data
    assert broker.pending(victim) == []


def test_a_body_is_never_read_as_a_request(broker):
    """A request inside a well-formed body is content."""
    victim = new_name()
    inside = smuggled(victim)
    with broker.line() as line:
        line.request("POST", f"/agents/{new_name()}/send", inside)
        assert line.read_answer().status == 400
        line.request("GET", "/health", inside)
        assert line.read_answer().status in (200, 400)
        line.request("PUT", "/health", inside)
        assert line.read_answer().status == 405
        line.request("POST", "/nothing", inside)
        assert line.read_answer().status == 404
        line.request(
            "POST",
            "/agents/a/send",
            b"%x\r\n%s\r\n0\r\n\r\n" % (len(inside), inside),
            [("Transfer-Encoding", "chunked")],
        )
        assert line.read_answer().status == 400
        line.request("HEAD", "/health", inside)
        assert line.read_answer("HEAD").status in (200, 400)
    assert broker.pending(victim) == []


def test_a_refused_body_is_not_read_as_requests(broker):
    """After a 413, unread bytes of the body remain. So the connection must be closed."""
    victim = new_name()
    with broker.line() as line:
        line.request("POST", "/agents/a/send", None, [("Content-Length", str(2 << 20))])
        try:
            for _ in range(200):
                line.send(smuggled(victim))
        except OSError:
            pass  # the broker has closed the connection
        line.read_to_end()
    assert broker.pending(victim) == []


def test_a_body_refused_by_host_or_origin_is_not_read_as_requests(broker):
    for field in (("Host", "evil.example"), ("Origin", "https://evil.example")):
        victim = new_name()
        with broker.line() as line:
            line.request("POST", "/agents/a/send", smuggled(victim), [field])
            assert line.read_answer().status in (403, 421)
            line.socket.shutdown(socket.SHUT_WR)
            assert b"202" not in line.read_to_end()
        assert broker.pending(victim) == []


def test_a_trickling_head_does_not_extend_its_deadline(broker):
    """A byte from time to time must not renew the 10 seconds (slowloris attack)."""
    trickle(broker, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a")


def test_a_trickling_body_does_not_extend_its_deadline(broker):
    trickle(broker, head("Content-Length: 100000"), b"a")


def test_a_trickling_chunked_body_does_not_extend_its_deadline(broker):
    trickle(broker, head("Transfer-Encoding: chunked"), b"1\r\na\r\n")


def trickle(broker, begin, piece):
    with broker.line() as line:
        line.send(begin)
        gone = threading.Event()

        def feed():
            while not gone.wait(0.05):
                try:
                    line.send(piece)
                except OSError:
                    return

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            data = line.read_to_end()  # it times out after 20 s; the deadline is 1.5 s
        finally:
            gone.set()
            feeder.join()
    assert data == b"" or b" 408 " in data.split(b"\r\n")[0]


def test_many_slow_heads_do_not_keep_others_out(broker):
    lines = [broker.line() for _ in range(300)]
    try:
        for line in lines:
            line.send(b"POST /agents/a/send HTTP/1.1\r\nHost: localhost\r\n")
        assert broker.ask("GET", "/health").status == 200
        agent = new_name()
        broker.send(agent, "through the crowd")
        for line in lines:
            line.read_to_end()
    finally:
        for line in lines:
            line.close()


def test_floods_of_fields(broker):
    for name, value in [
        ("X", ""),
        ("a" * 100, "b" * 100),
        ("Cookie", "a=b; " * 20),
        ("Connection", "x, " * 30),
    ]:
        with broker.line() as line:
            try:
                line.send(
                    b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
                    + f"{name}: {value}\r\n".encode() * 20000
                )
            except OSError:
                pass  # the broker has closed the connection
            data = line.read_to_end()
        assert data == b"" or data.startswith(b"HTTP/1.1 431 "), data[:100]
    assert broker.ask("GET", "/health").status == 200


def test_floods_of_empty_lines_and_chunk_extensions(broker):
    for flood in (
        b"\r\n" * 100000,
        head("Transfer-Encoding: chunked") + b"1;" + b"x" * 100000,
        head("Transfer-Encoding: chunked") + b"0\r\n" + b"X: y\r\n" * 20000,
    ):
        with broker.line() as line:
            try:
                line.send(flood)
            except OSError:
                pass  # the broker has closed the connection
            data = line.read_to_end()
        assert data == b"" or data.split(b" ")[1] in (b"400", b"408", b"413", b"431"), data[:100]
    assert broker.ask("GET", "/health").status == 200


def test_chunks_of_one_byte_are_handled_soon(broker):
    """A body in chunks of one byte is six times as long on the wire. It may not take long."""
    with broker.line() as line:
        try:
            line.send(
                head("Transfer-Encoding: chunked", "Connection: close")
                + b"1\r\nx\r\n" * 200_000
                + b"0\r\n\r\n"
            )
        except OSError:
            pass  # the broker has closed the connection
        assert line.read_answer().status in (400, 408, 413)
    assert broker.ask("GET", "/health", timeout=5).status == 200


def test_a_pipeline_without_a_reader_is_bounded(broker):
    """The client sends thousands of requests and reads no response.

    The broker must stop reading instead of collecting them.
    """
    before = broker.memory_kib()
    with broker.line(receive_buffer=4096, timeout=2) as line:
        sent = 0
        try:
            while sent < 64 << 20:
                line.send(request_bytes("GET", "/metrics", port=broker.port) * 200)
                sent += 200
        except (socket.timeout, TimeoutError, OSError):
            pass  # the broker has stopped reading, which is right
        assert broker.memory_kib() - before < 50_000
        assert broker.ask("GET", "/health").status == 200


@pytest.mark.parametrize("cut", [1, 20, 60, 100])
def test_clients_that_disconnect_anywhere_in_a_request(broker, cut):
    data = request_bytes("POST", "/agents/a/send", {"payload": "x" * 50}, port=broker.port)
    for reset in (True, False):
        for _ in range(10):
            line = broker.line()
            line.send(data[:cut])
            if reset:
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            line.close()
    assert broker.ask("GET", "/health").status == 200


def test_clients_that_disconnect_before_the_response(broker):
    agent = new_name()
    for number in range(20):
        line = broker.line()
        line.request(
            "POST", f"/agents/{agent}/send", {"payload": number, "ticketId": f"{agent}-{number}"}
        )
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        line.close()
    for number in range(20):  # a sender without a response may repeat the same ticketId
        broker.send(agent, number, ticketId=f"{agent}-{number}")
    assert sorted(ticket["payload"] for ticket in broker.pending(agent)) == list(range(20))


def test_a_half_closed_client_still_gets_its_response(broker):
    """`printf ... | nc` closes its sending side at once. RFC 9112 9.6 requires a response."""
    with broker.line() as line:
        line.request("GET", "/health")
        line.socket.shutdown(socket.SHUT_WR)
        assert line.read_answer().status == 200
        assert line.is_closed()


def test_half_a_request_and_a_half_close(broker):
    with broker.line() as line:
        line.request("POST", "/agents/half/send", b'{"payload":', [("Content-Length", "50")])
        line.socket.shutdown(socket.SHUT_WR)
        data = line.read_to_end()
        assert data == b"" or data.split(b" ")[1].startswith(b"4")
    assert broker.pending("half") == []


# -- random bytes --------------------------------------------------------------


@settings(max_examples=150)
@given(st.binary(max_size=300) | mutated() | st.lists(mutated(), max_size=3).map(b"".join))
def test_random_bytes_affect_only_their_connection(broker, data):
    with Line(broker.port) as line:
        try:
            line.send(data)
            line.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the broker has closed the connection
        answer = line.read_to_end()
    assert b"Traceback" not in answer and not answer.startswith(
        (b"HTTP/1.1 500", b"HTTP/1.0 500")
    ), (data, answer)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), (data, answer)
    assert b" 500 " not in answer.split(b"\r\n")[0]


def test_after_the_tests_above_nothing_is_left_open(broker):
    """All connections, streams and long-polls of the tests above are gone.

    `stop` checks that stderr holds no traceback.
    """
    wait_until(
        lambda: broker.ask("GET", "/debug/connections").json["sse"]["active"] == 0,
        "no stream is left",
    )
    wait_until(lambda: broker.descriptors() < 40, "no connection is left")

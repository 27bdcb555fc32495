"""Bytes meant to harm: smuggled requests, trickles, floods, garbage. The broker stays up and serves the others."""

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
    """One victim for the whole file; its deadlines are short, its limits as they come."""
    with Broker(
        package_launcher(),
        tmp_path_factory.mktemp("hostile") / "bridge.db",
        BRIDGE_HEAD_TIMEOUT=1500,
        BRIDGE_BODY_TIMEOUT=1500,
        BRIDGE_RATE_LIMIT=0,
    ) as running:
        yield running


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_no_second_request_is_ever_read_out_of_an_ambiguous_one(broker, name):
    victim = new_name()
    with broker.line() as line:
        line.send(AMBIGUOUS[name] + smuggled(victim))
        answer = line.read_answer()
        assert 400 <= answer.status < 600, answer
        check_problem(answer, answer.status)
        assert line.is_closed(), "a connection whose framing is in doubt must not go on"
    assert broker.pending(victim) == []


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_nor_when_it_comes_byte_by_byte(broker, name):
    """Another path through the parser, the slow one, must say the same."""
    victim = new_name()
    with broker.line() as line:
        line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for byte in AMBIGUOUS[name] + smuggled(victim):
                line.send(bytes([byte]))
        except OSError:
            pass  # it closed on us while we were talking: all the better
        data = line.read_to_end()
    assert data == b"" or data.split(b" ", 2)[1][:1] in b"45", data
    assert len(re.findall(rb"(?:^|[}\n])HTTP/1\.[01] \d\d\d ", data)) <= 1, data
    assert broker.pending(victim) == []


def test_a_body_is_never_read_as_a_request(broker):
    """Well-formed framing with a request inside: it is content, whatever it looks like."""
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
    """413 leaves bytes on the connection that nobody has read; it must be closed, not gone on with."""
    victim = new_name()
    with broker.line() as line:
        line.request("POST", "/agents/a/send", None, [("Content-Length", str(2 << 20))])
        try:
            for _ in range(200):
                line.send(smuggled(victim))
        except OSError:
            pass  # closed while we were talking
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


def test_a_head_that_trickles_has_its_deadline_all_the_same(broker):
    """One byte now and then must not renew the 10 seconds (slowloris)."""
    trickle(broker, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"a")


def test_a_body_that_trickles_has_its_deadline_all_the_same(broker):
    trickle(broker, head("Content-Length: 100000"), b"a")


def test_a_chunked_body_that_trickles_has_its_deadline_all_the_same(broker):
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
            data = line.read_to_end()  # its patience is 20 s, the deadline 1.5 s
        finally:
            gone.set()
            feeder.join()
    assert data == b"" or b" 408 " in data.split(b"\r\n")[0]


def test_a_crowd_of_slow_heads_keeps_nobody_out(broker):
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
                pass  # closed while we were talking
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
                pass  # closed while we were talking
            data = line.read_to_end()
        assert data == b"" or data.split(b" ")[1] in (b"400", b"408", b"413", b"431"), data[:100]
    assert broker.ask("GET", "/health").status == 200


def test_one_byte_chunks_cost_no_more_than_their_bytes(broker):
    """A body of 1 MiB in chunks of one byte is 6 MB on the wire: allowed or refused, but soon."""
    with broker.line() as line:
        try:
            line.send(
                head("Transfer-Encoding: chunked", "Connection: close")
                + b"1\r\nx\r\n" * 200_000
                + b"0\r\n\r\n"
            )
        except OSError:
            pass  # closed while we were talking
        assert line.read_answer().status in (400, 408, 413)
    assert broker.ask("GET", "/health", timeout=5).status == 200


def test_a_pipeline_without_a_reader_is_bounded(broker):
    """Thousands of requests and nobody reads the answers: the broker must stop reading, not collect."""
    before = broker.memory_kib()
    with broker.line(receive_buffer=4096, timeout=2) as line:
        sent = 0
        try:
            while sent < 64 << 20:
                line.send(request_bytes("GET", "/metrics", port=broker.port) * 200)
                sent += 200
        except (socket.timeout, TimeoutError, OSError):
            pass  # the broker has stopped reading, as it should
        assert broker.memory_kib() - before < 50_000
        assert broker.ask("GET", "/health").status == 200


@pytest.mark.parametrize("cut", [1, 20, 60, 100])
def test_clients_that_vanish_anywhere(broker, cut):
    data = request_bytes("POST", "/agents/a/send", {"payload": "x" * 50}, port=broker.port)
    for reset in (True, False):
        for _ in range(10):
            line = broker.line()
            line.send(data[:cut])
            if reset:
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            line.close()
    assert broker.ask("GET", "/health").status == 200


def test_clients_that_vanish_before_their_answer(broker):
    agent = new_name()
    for number in range(20):
        line = broker.line()
        line.request(
            "POST", f"/agents/{agent}/send", {"payload": number, "ticketId": f"{agent}-{number}"}
        )
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
        line.close()
    for number in range(20):  # whoever got no answer may send again with the same ticketId
        broker.send(agent, number, ticketId=f"{agent}-{number}")
    assert sorted(ticket["payload"] for ticket in broker.pending(agent)) == list(range(20))


def test_a_half_closed_client_still_gets_its_answer(broker):
    """`printf ... | nc` closes its sending side at once; RFC 9112 9.6 wants the answer to come all the same."""
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


# -- bytes that nobody chose ---------------------------------------------------


@settings(max_examples=150)
@given(st.binary(max_size=300) | mutated() | st.lists(mutated(), max_size=3).map(b"".join))
def test_random_bytes_never_cost_more_than_their_connection(broker, data):
    with Line(broker.port) as line:
        try:
            line.send(data)
            line.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed while we were talking
        answer = line.read_to_end()
    assert b"Traceback" not in answer and not answer.startswith(
        (b"HTTP/1.1 500", b"HTTP/1.0 500")
    ), (data, answer)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), (data, answer)
    assert b" 500 " not in answer.split(b"\r\n")[0]


def test_after_all_that_nothing_is_left(broker):
    """Connections, streams and long-polls of the tests above are gone, and stderr (see stop) holds no traceback."""
    wait_until(
        lambda: broker.ask("GET", "/debug/connections").json["sse"]["active"] == 0,
        "no stream is left",
    )
    wait_until(lambda: broker.descriptors() < 40, "no connection is left")

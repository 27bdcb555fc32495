"""Pipelined requests: all get a response, and other connections do not wait for them."""

from __future__ import annotations

import signal
import socket
import threading

from raw_http import Line, request_bytes

OK = 'bridge_http_responses_total{code="200"}'
REFUSED = 'bridge_http_responses_total{code="400"}'
ROUNDS = 8  # the kernel decides which of two connections the broker finds first


def in_one_turn(broker, *said: tuple[Line, bytes]) -> None:
    """Make the broker find all these bytes at once, in this order."""
    broker.signal(signal.SIGSTOP)
    try:
        for line, data in said:
            line.send(data)
    finally:
        broker.signal(signal.SIGCONT)


def sample(body: bytes, name: str) -> float:
    return next(
        float(line.rpartition(" ")[2])
        for line in body.decode().splitlines()
        if line.startswith(name)
    )


def test_a_thousand_pipelined_requests_do_not_delay_others(start):
    broker = start(db=":memory:")
    many = request_bytes("GET", "/health", port=broker.port) * 1300  # the broker reads it at once
    ask = request_bytes("GET", "/metrics", port=broker.port)
    with broker.line() as greedy, broker.line() as other:
        for _ in range(ROUNDS):
            assert greedy.ask("GET", "/health").status == 200
            before = sample(other.ask("GET", "/metrics").body, OK)
            in_one_turn(broker, (greedy, many), (other, ask))
            answered = sample(other.read_answer().body, OK) - before
            assert answered < 1300, "the other request waited for all pipelined ones"
            assert [greedy.read_answer().status for _ in range(1300)] == [200] * 1300


def test_a_long_pipeline_is_fully_answered(start):
    """The pipeline exceeds what the broker reads ahead. It must pause reading, not refuse."""
    broker = start(db=":memory:", BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=2000)
    many = b"".join(
        request_bytes("POST", "/agents/a/send", {"payload": [number, "x" * 1100]}, port=broker.port)
        for number in range(1500)
    )
    with broker.line() as line:
        sender = threading.Thread(target=line.send, args=(many,))
        sender.start()
        statuses = [line.read_answer().status for _ in range(1500)]
        sender.join()
    assert statuses == [202] * 1500
    assert [ticket["payload"][0] for ticket in broker.pending("a", "?limit=1000")] == list(
        range(1000)
    )


def test_requests_before_a_half_close_are_answered(start):
    broker = start()
    with broker.line() as line:
        line.send(
            b"".join(
                request_bytes("POST", "/agents/a/send", {"payload": number}, port=broker.port)
                for number in range(20)
            )
        )
        line.socket.shutdown(socket.SHUT_WR)
        assert [line.read_answer().status for _ in range(20)] == [202] * 20
        assert line.is_closed()
    assert [ticket["payload"] for ticket in broker.pending("a")] == list(range(20))


def test_ten_thousand_chunks_in_one_write_do_not_delay_others(start):
    broker = start(db=":memory:")
    chunks = [("Transfer-Encoding", "chunked")]
    small = b"1\r\nx\r\n" * 10000 + b"0\r\n\r\n"  # not JSON: refused as soon as it is read
    many = request_bytes("POST", "/agents/a/send", small, chunks, port=broker.port)
    ask = request_bytes("GET", "/metrics", port=broker.port)
    with broker.line() as greedy, broker.line() as other:
        for number in range(ROUNDS):
            assert greedy.ask("GET", "/health").status == other.ask("GET", "/health").status == 200
            in_one_turn(broker, (greedy, many), (other, ask))
            body = other.read_answer().body
            refused = sample(body, REFUSED) if number else 0
            assert refused == number, "the other request waited for the last chunk"
            assert greedy.read_answer().status == 400
        body = (
            b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"payload":"' + b"x" * 9000 + b'"}')
            + b"0\r\n\r\n"
        )
        assert greedy.ask("POST", "/agents/a/send", body, chunks).status == 202
    assert broker.pending("a")[0]["payload"] == "x" * 9000

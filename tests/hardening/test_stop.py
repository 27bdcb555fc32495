"""SIGTERM and SIGINT: finish requests in flight, end streams, exit with status 0.

A second signal exits at once.
"""

from __future__ import annotations

import signal
import socket
import subprocess

import pytest
from raw_http import Closed, Line, request_bytes
from running import wait_until, without_slowness


def refuses(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5):
            return False
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_broker_stops_with_status_0(start, number):
    broker = start()
    with broker.line() as line, broker.agent_stream("a") as stream:
        line.ask("GET", "/health")
        stream.read_block()
        broker.signal(number)
        assert broker.wait() == 0
        assert stream.read_event() is None
        assert line.is_closed()
    broker.check_calm()
    assert refuses(broker.port)


def test_every_accepted_send_is_kept_once(start):
    """SIGTERM comes during a pipeline. Each send with a 202 is kept, and none is kept twice."""
    broker = start(BRIDGE_RATE_LIMIT=0)
    with broker.line() as line:
        line.send(
            b"".join(
                request_bytes(
                    "POST",
                    "/agents/a/send",
                    {"payload": number, "ticketId": f"t{number}"},
                    port=broker.port,
                )
                for number in range(400)
            )
        )
        assert line.read_answer().status == 202
        broker.signal(signal.SIGTERM)
        answered = 1
        try:
            while line.read_answer().status == 202:
                answered += 1
        except Closed as cut:
            assert not cut.args[0], "a response was cut in the middle"
    assert broker.wait() == 0
    broker.check_calm()
    broker.start()
    payloads = [ticket["payload"] for ticket in broker.pending("a")]
    assert payloads == list(range(len(payloads))) and len(payloads) >= answered


def test_a_partial_body_may_arrive_during_the_drain(start):
    broker = start(BRIDGE_DRAIN_TIMEOUT=20000)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b'{"payload":', [("Content-Length", "13")])
        wait_until(
            lambda: broker.ask("GET", "/health").status == 200,
            "the broker has read the first half",
        )
        broker.signal(signal.SIGTERM)
        wait_until(lambda: refuses(broker.port), "it stops accepting")
        line.send(b"1}")
        assert line.read_answer().status == 202
        assert line.is_closed()
    assert broker.wait() == 0
    broker.start()
    assert [ticket["payload"] for ticket in broker.pending("a")] == [1]


def test_a_long_poll_is_answered_when_the_broker_stops(start):
    broker = start(BRIDGE_DRAIN_TIMEOUT=20000)
    with broker.line() as line:
        line.request("GET", "/agents/a/tickets/pending?waitMs=60000")
        wait_until(
            lambda: broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"] == 1,
            "it waits",
        )
        broker.signal(signal.SIGTERM)
        answer = line.read_answer()
        assert (answer.status == 200 and answer.json == []) or answer.status == 503, answer
    assert broker.wait() == 0


def test_a_wait_for_a_reply_ends_with_503_and_not_with_408(start):
    """A client does not repeat the request after a 408."""
    broker = start(BRIDGE_DRAIN_TIMEOUT=20000)
    ticket_id = broker.send("a", timeoutMs=60000)
    with broker.line() as line:
        line.request("GET", f"/replies/{ticket_id}/wait")
        assert broker.ask("GET", "/health").status == 200
        broker.signal(signal.SIGTERM)
        answer = line.read_answer()
        assert (
            answer.status == 503
            and answer.field("Retry-After") == "1"
            and "ask again" in answer.json["detail"]
        ), answer
    assert broker.wait() == 0


def test_an_unfinished_request_is_cut_at_the_drain_timeout(start):
    broker = start(BRIDGE_DRAIN_TIMEOUT=300, BRIDGE_BODY_TIMEOUT=600000)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "20")])
        assert broker.ask("GET", "/health").status == 200
        broker.signal(signal.SIGTERM)
        assert broker.wait() == 0
        line.read_to_end()
    broker.check_calm()


@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGINT),
    ],
)
def test_a_second_signal_exits_at_once(start, numbers):
    """A reader that reads nothing delays the drain, whose timeout is long.

    Only the second signal ends it.
    """
    broker = start(BRIDGE_DRAIN_TIMEOUT=600000, BRIDGE_WRITE_DEADLINE=600000, BRIDGE_RATE_LIMIT=0)
    with broker.agent_stream("a", receive_buffer=4096):
        for number in range(60):
            broker.send("a", [number, "x" * 100_000])
        broker.signal(numbers[0])
        wait_until(lambda: refuses(broker.port), "it stops accepting")
        with pytest.raises(subprocess.TimeoutExpired):
            broker.process.wait(0.5)
        broker.signal(numbers[1])
        broker.wait()
    assert "Traceback" not in broker.said()
    broker.start()
    assert [ticket["payload"][0] for ticket in broker.pending("a")] == list(range(60))


def test_a_stalled_stream_is_cut_at_the_drain_timeout(start):
    """The stream of a reader that reads nothing cannot end cleanly, so the timeout ends it."""
    broker = start(BRIDGE_DRAIN_TIMEOUT=500, BRIDGE_RATE_LIMIT=0)
    stream = broker.agent_stream("a", receive_buffer=4096)
    for _ in range(60):
        broker.send("a", "x" * 100_000)
    broker.signal(signal.SIGTERM)
    assert broker.wait() == 0
    stream.close()


def test_a_signal_during_the_start_makes_no_traceback(start):
    broker = start()
    broker.stop()
    for _ in range(3):
        broker.spawn()
        wait_until(lambda: broker.said() or broker.process.poll() is not None, "a line or the end")
        broker.signal(signal.SIGTERM)
        broker.wait()
        assert "Traceback" not in broker.said()


def test_the_ready_line_is_on_stderr_and_stdout_is_empty(start):
    broker = start()
    assert (
        without_slowness(broker.said()).splitlines()[0]
        == f"bridge broker ready on http://127.0.0.1:{broker.port}"
    )
    with Line(broker.port) as line:
        assert line.ask("GET", "/health").status == 200

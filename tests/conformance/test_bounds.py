"""Every bound (rule 7): values just inside and just outside of it, and the refusal."""

from __future__ import annotations

import contextlib
import json

import pytest
from raw_http import request_bytes
from running import new_name, wait_until

from conformance.shapes import check_problem


def test_a_full_backlog_is_429_until_there_is_room(start):
    broker = start(BRIDGE_QUEUE_MAX=3)
    agent = new_name()
    sent = [broker.send(agent, number) for number in range(3)]
    problem = check_problem(broker.ask("POST", f"/agents/{agent}/send", {"payload": 3}), 429)
    assert "3" in problem["detail"], "the reason names the bound"
    broker.send(new_name(), "other agents are not affected")
    broker.acknowledge(sent[0])
    broker.send(agent, 3)
    check_problem(broker.ask("POST", f"/agents/{agent}/send", {"payload": 4}), 429)
    broker.ask("POST", "/replies", {"ticketId": sent[1], "payload": "a reply makes room too"})
    broker.send(agent, 4)
    assert [ticket["payload"] for ticket in broker.pending(agent)] == [2, 3, 4]


def test_a_repeated_send_to_a_full_backlog_gets_the_same_response(start):
    """Rule 2: the ticket was accepted before the backlog was full."""
    broker = start(BRIDGE_QUEUE_MAX=1)
    body = {"payload": 1, "ticketId": "mine"}
    first = broker.ask("POST", "/agents/a/send", body)
    assert broker.ask("POST", "/agents/a/send", body).json == first.json
    check_problem(broker.ask("POST", "/agents/a/send", {**body, "payload": 2}), 409)


def test_an_expired_ticket_makes_room(start):
    broker = start(BRIDGE_QUEUE_MAX=1)
    broker.send("a", 1, ttlMs=100)
    wait_until(
        lambda: broker.ask("POST", "/agents/a/send", {"payload": 2}).status == 202,
        "room after the ttl",
    )


def test_the_bound_holds_for_sends_in_one_burst(start):
    """All are received before the first is on disk. The bound must count those too."""
    broker = start(BRIDGE_QUEUE_MAX=10)
    with broker.line() as line:
        line.send(
            b"".join(
                request_bytes("POST", "/agents/a/send", {"payload": number}, port=broker.port)
                for number in range(40)
            )
        )
        statuses = [line.read_answer().status for _ in range(40)]
    assert statuses == [202] * 10 + [429] * 30
    assert [ticket["payload"] for ticket in broker.pending("a")] == list(range(10))


def test_the_bound_holds_after_a_restart(start):
    broker = start(BRIDGE_QUEUE_MAX=2)
    broker.send("a", 1), broker.send("a", 2)
    broker.kill()
    broker.start()
    check_problem(broker.ask("POST", "/agents/a/send", {"payload": 3}), 429)


def test_a_send_above_the_rate_limit_is_429(start):
    broker = start(BRIDGE_RATE_LIMIT=5)
    for number in range(5):
        broker.send("a", number)
    answer = broker.ask("POST", "/agents/a/send", {"payload": 5})
    check_problem(answer, 429)
    assert 1 <= int(answer.field("retry-after")) <= 60
    broker.send("b", "another target has its own bucket")
    assert len(broker.pending("a")) == 5


def test_a_refusal_by_a_full_queue_does_not_use_up_the_rate(start):
    broker = start(BRIDGE_RATE_LIMIT=5, BRIDGE_QUEUE_MAX=1)
    first = broker.send("a", 1)
    for _ in range(10):
        answer = broker.ask("POST", "/agents/a/send", {"payload": 2})
        check_problem(answer, 429)
        assert "BRIDGE_QUEUE_MAX" in answer.json["detail"]
    broker.acknowledge(first)
    broker.send("a", 3)


def test_the_bucket_refills(start):
    broker = start(BRIDGE_RATE_LIMIT=300)  # one every 200 ms
    with broker.line() as line:
        line.send(
            b"".join(
                request_bytes("POST", "/agents/a/send", {"payload": 0}, port=broker.port)
                for _ in range(400)
            )
        )
        statuses = [line.read_answer().status for _ in range(400)]
    assert statuses[:300] == [202] * 300 and 429 in statuses
    wait_until(
        lambda: broker.ask("POST", "/agents/a/send", {"payload": 1}).status == 202,
        "the bucket fills",
    )


def test_the_default_rate_is_a_hundred_per_minute(start):
    broker = start()
    statuses = []
    with broker.line() as line:
        while 429 not in statuses:
            statuses.append(line.ask("POST", "/agents/a/send", {"payload": 0}).status)
            assert len(statuses) < 200
    assert statuses.count(202) >= 100


def test_the_rate_limit_can_be_disabled(start):
    broker = start(BRIDGE_RATE_LIMIT=0)
    with broker.line() as line:
        line.send(
            b"".join(
                request_bytes("POST", "/agents/a/send", {"payload": 0}, port=broker.port)
                for _ in range(300)
            )
        )
        assert {line.read_answer().status for _ in range(300)} == {202}


def sized(size: int) -> bytes:
    frame = len(json.dumps({"payload": ""}))
    return json.dumps({"payload": "x" * (size - frame)}).encode()


def test_a_body_may_have_one_mebibyte(broker):
    agent = new_name()
    assert broker.ask("POST", f"/agents/{agent}/send", sized(1 << 20)).status == 202
    check_problem(broker.ask("POST", f"/agents/{agent}/send", sized((1 << 20) + 1)), 413)
    (ticket,) = broker.pending(agent)
    broker.acknowledge(ticket["ticketId"])


def test_a_chunked_body_above_one_mebibyte_is_413(broker):
    with broker.line() as line:
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        line.request(
            "POST", "/agents/a/send", chunk * 16 + b"1\r\nx\r\n", [("Transfer-Encoding", "chunked")]
        )
        check_problem(line.read_answer(), 413)
        assert line.is_closed()


def test_the_body_limit_is_a_setting(start):
    broker = start(BRIDGE_BODY_MAX=100)
    assert broker.ask("POST", "/agents/a/send", sized(100)).status == 202
    check_problem(broker.ask("POST", "/agents/a/send", sized(101)), 413)


def test_a_request_line_and_a_head_are_bounded(broker):
    check_problem(broker.ask("GET", "/health?x=" + "y" * 17000), 414)
    check_problem(broker.ask("GET", "/health", fields=[("X-Long", "y" * 17000)]), 431)
    check_problem(
        broker.ask("GET", "/health", fields=[(f"X-{number}", "y" * 50) for number in range(400)]),
        431,
    )
    assert broker.ask("GET", "/health", fields=[("X-Long", "y" * 8000)]).status == 200


def test_an_endless_head_is_refused_before_its_end(broker):
    for begin in (b"GET /" + b"a" * 20000, b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000):
        with broker.line() as line:
            line.send(begin)
            assert line.read_answer().status in (414, 431)
            assert line.is_closed()


@pytest.mark.parametrize(
    "depth, status", [(20, 202), (60, 202), (70, 400), (5000, 400), (200000, 400)]
)
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_the_depth_of_json_is_bounded(broker, depth, status, pair):
    opening, closing = pair[:-1], pair[-1]
    body = (
        b'{"payload":'
        + opening.encode() * depth
        + (b"1" if pair[0] == "{" else b"")
        + closing.encode() * depth
        + b"}"
    )
    if len(body) > 1 << 20:
        body = b'{"payload":' + b"[" * depth
    assert broker.ask("POST", f"/agents/{new_name()}/send", body).status == status


def test_brackets_in_strings_do_not_count_as_depth(broker):
    assert (
        broker.ask(
            "POST", f"/agents/{new_name()}/send", {"payload": "[" * 1000 + '\\"[{' * 100}
        ).status
        == 202
    )
    assert broker.ask("POST", f"/agents/{new_name()}/send", {"payload": [[]] * 500}).status == 202


@pytest.mark.parametrize("name", ["ticketId", "agentId"])
def test_an_id_may_have_128_characters(broker, name):
    for length, status in [(128, 202), (129, 400)]:
        odd = "".join(["é", new_name()]).ljust(length, "x")
        agent, body = (
            (odd, {"payload": 1})
            if name == "agentId"
            else (new_name(), {"payload": 1, "ticketId": odd})
        )
        path = f"/agents/{agent.replace('é', '%C3%A9')}/send"
        assert broker.ask("POST", path, body).status == status


def test_a_head_has_a_timeout(start):
    broker = start(BRIDGE_HEAD_TIMEOUT=200)
    with broker.line() as line:
        line.send(b"GET /health HTTP/1.1\r\nHost:")
        check_closed_or_408(line)
    with broker.line() as line:
        assert line.ask("GET", "/health").status == 200
        line.send(b"GET")
        check_closed_or_408(line)


def test_a_body_has_a_timeout(start):
    broker = start(BRIDGE_BODY_TIMEOUT=200)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "20")])
        check_closed_or_408(line)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"5\r\n{", [("Transfer-Encoding", "chunked")])
        check_closed_or_408(line)
    assert broker.pending("a") == []


def test_an_idle_connection_has_a_timeout(start):
    broker = start(BRIDGE_IDLE_TIMEOUT=200, BRIDGE_HEAD_TIMEOUT=60000)
    with broker.line() as line:
        assert line.ask("GET", "/health").status == 200
        assert line.is_closed()
    with broker.line() as line:
        assert line.is_closed(), "even a connection without any request"


def test_a_waiting_request_is_not_idle(start):
    broker = start(
        BRIDGE_IDLE_TIMEOUT=100,
        BRIDGE_HEAD_TIMEOUT=100,
        BRIDGE_BODY_TIMEOUT=100,
        BRIDGE_SSE_HEARTBEAT=60000,
    )
    with broker.line() as line, broker.agent_stream("b") as stream:
        stream.read_block()
        line.request("GET", "/agents/a/tickets/pending?waitMs=700")
        assert line.read_answer().json == []
        broker.send("b", "the stream is still open")
        assert stream.read_event().json["payload"] == "the stream is still open"


def check_closed_or_408(line) -> None:
    """RFC 9110 15.5.9 allows both: a 408 and a close, or only a close."""
    if not line.is_closed():
        check_problem(line.read_answer(), 408)
        assert line.is_closed()


def test_the_number_of_connections_is_bounded(start):
    broker = start(BRIDGE_CONNECTIONS_MAX=3)
    lines = [broker.line() for _ in range(3)]
    try:
        for line in lines:
            assert line.ask("GET", "/health").status == 200
        with broker.line() as extra:
            check_problem(extra.ask("GET", "/health"), 503)
            assert extra.is_closed()
    finally:
        for line in lines:
            line.close()
    wait_until(
        lambda: broker.ask("GET", "/health").status == 200, "room after the others are closed"
    )


def test_the_number_of_agents_of_a_subscriber_is_bounded(start):
    broker = start(BRIDGE_SUPERVISE_MAX=2)
    for agent in ("ann", "bob", "bob"):
        path = f"/agents/{agent}/subscribe"
        assert broker.ask("POST", path, {"subscriber": "boss"}).status == 204
    answer = broker.ask("POST", "/agents/cyd/subscribe", {"subscriber": "boss"})
    assert "subscriber 'boss' has 2 agents" in check_problem(answer, 429)["detail"]
    assert broker.ask("DELETE", "/agents/ann/subscribe?subscriber=boss").status == 204
    assert broker.ask("POST", "/agents/cyd/subscribe", {"subscriber": "boss"}).status == 204


@pytest.mark.parametrize("whose", ["agent", "subscriber"])
def test_the_number_of_streams_of_an_agent_or_a_subscriber_is_bounded(broker, whose):
    """The refusal is a 503, so that watchers change to long-polls.

    It names the agent or the subscriber, and the remedy.
    """
    name, other = new_name(), new_name()
    paths = {"agent": "/agents/{}/tickets/stream", "subscriber": "/tickets/stream?subscriber={}"}
    path = paths[whose]
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(broker.stream(path.format(name))) for _ in range(64)]
        for stream in streams:
            stream.read_block()
        answer = broker.ask("GET", path.format(name))
        detail = check_problem(answer, 503)["detail"]
        assert f"{whose} {name!r} has 64" in detail and "waitMs" in detail
        assert answer.field("retry-after")
        with broker.stream(path.format(other)) as stream:
            stream.read_block()
        streams[0].close()
        asked = ("HEAD", path.format(name))
        wait_until(lambda: broker.ask(*asked).status == 200, "room after one is closed")

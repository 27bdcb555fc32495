"""Replies: they wake all waiting requests, are kept in the ticket, and go to the origin."""

from __future__ import annotations

import time

import pytest
from running import new_name, stages

from conformance.shapes import check_problem, check_ticket


def reply(broker, ticket_id, payload="done", **more):
    return broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": payload, **more})


def test_a_reply_is_kept_in_the_ticket(broker):
    agent = new_name()
    ticket_id = broker.send(agent, "question")
    answer = reply(broker, ticket_id, {"text": "42"}, metadata={"model": "x"})
    assert answer.status == 204 and answer.body == b""
    ticket = broker.ask("GET", f"/replies/{ticket_id}")
    assert ticket.status == 200
    check_ticket({key: value for key, value in ticket.json.items() if key != "history"})
    assert ticket.json["status"] == "responded"
    assert ticket.json["response"]["payload"] == {"text": "42"} and ticket.json["response"][
        "metadata"
    ] == {"model": "x"}
    assert broker.pending(agent) == [], "a ticket with a reply is not pending"


def test_a_reply_may_follow_the_acknowledgement(broker):
    ticket_id = broker.send(new_name(), 1)
    broker.acknowledge(ticket_id)
    assert reply(broker, ticket_id).status == 204
    assert stages(broker.ticket(ticket_id)) == ["accepted", "acknowledged", "replied"]
    late = broker.acknowledge(ticket_id)
    assert late.status == 200 and late.json == {"ticketId": ticket_id, "status": "responded"}


def test_the_evidence_of_an_acknowledgement_after_the_reply_is_kept(broker):
    """A fast agent may reply first. Then the evidence is kept once and the status stays."""
    ticket_id = broker.send(new_name(), 1)
    assert reply(broker, ticket_id, "done").status == 204
    for _ in range(2):
        answer = broker.ask(
            "POST",
            f"/tickets/{ticket_id}/acknowledge",
            {"watcher": "w", "evidence": {"pane": "%1"}},
        )
        assert (answer.status, answer.json) == (200, {"ticketId": ticket_id, "status": "responded"})
    ticket = broker.ticket(ticket_id)
    assert stages(ticket) == ["accepted", "replied", "injected", "acknowledged"] and ticket[
        "history"
    ][-1]["evidence"] == {"pane": "%1"}
    assert ticket["status"] == "responded" and ticket["response"]["payload"] == "done"


@pytest.mark.parametrize("payload", [None, "", 0, False, [], {}], ids=repr)
def test_an_empty_reply_is_a_reply(broker, payload):
    ticket_id = broker.send(new_name(), 1)
    assert reply(broker, ticket_id, payload).status == 204
    assert broker.ticket(ticket_id)["response"]["payload"] == payload
    assert broker.ask("GET", f"/replies/{ticket_id}?waitMs=10").status == 200


def test_a_second_reply_is_409_and_a_repeated_one_is_accepted(broker):
    ticket_id = broker.send(new_name(), 1)
    reply(broker, ticket_id, "first")
    check_problem(reply(broker, ticket_id, "second"), 409)
    assert reply(broker, ticket_id, "first").status == 204, (
        "the response to the first one may be lost"
    )
    assert broker.ticket(ticket_id)["response"]["payload"] == "first"


def test_a_bad_reply_is_refused(broker):
    ticket_id = broker.send(new_name(), 1)
    check_problem(reply(broker, "no-such-ticket"), 404)
    for body in (
        b"",
        b"{}",
        b"[]",
        b"{",
        {"payload": 1},
        {"ticketId": ticket_id},
        {"ticketId": 5, "payload": 1},
        {"ticketId": ticket_id, "payload": 1, "metadata": []},
    ):
        check_problem(broker.ask("POST", "/replies", body), 400)
    assert broker.ticket(ticket_id)["status"] == "pending"


def test_unknown_tickets_are_404(broker):
    for path in ("", "?waitMs=10", "/wait", "/stream"):
        check_problem(broker.ask("GET", f"/replies/no-such-ticket{path}"), 404)


def test_without_a_wait_the_ticket_is_returned_as_it_is(broker):
    ticket_id = broker.send(new_name(), 1)
    answer = broker.ask("GET", f"/replies/{ticket_id}")
    assert (
        answer.status == 200
        and answer.json["status"] == "pending"
        and answer.json["response"] is None
    )


def test_a_wait_without_a_reply_in_time_is_204(broker):
    ticket_id = broker.send(new_name(), 1)
    began = time.monotonic()
    answer = broker.ask("GET", f"/replies/{ticket_id}?waitMs=200")
    assert answer.status == 204 and answer.body == b""
    assert time.monotonic() - began >= 0.19


@pytest.mark.parametrize("query", ["waitMs=abc", "waitMs=-1"])
def test_bad_waits_are_400(broker, query):
    check_problem(broker.ask("GET", f"/replies/{broker.send(new_name(), 1)}?{query}"), 400)


def waiting(broker, path, fields=()):
    line = broker.line()
    line.request("GET", path, fields=fields)
    return line


def test_a_reply_wakes_all_waiting_requests(broker):
    ticket_id = broker.send(new_name(), 1, timeoutMs=60000)
    with (
        waiting(broker, f"/replies/{ticket_id}?waitMs=60000") as one,
        waiting(broker, f"/replies/{ticket_id}/wait") as other,
    ):
        with broker.stream(f"/replies/{ticket_id}/stream") as stream:
            stream.read_block()  # the stream is open
            reply(broker, ticket_id, "answer")
            for line in (one, other):
                answer = line.read_answer()
                assert answer.status == 200 and answer.json["response"]["payload"] == "answer"
            event = stream.read_event()
            assert event.event == "reply"
            assert (
                event.json["ticketId"] == ticket_id
                and event.json["response"]["payload"] == "answer"
            )
            assert stream.read_event() is None, "the stream ends after one event"


def test_a_wait_lasts_for_the_timeout_of_the_ticket(broker):
    ticket_id = broker.send(new_name(), 1, timeoutMs=200)
    began = time.monotonic()
    check_problem(broker.ask("GET", f"/replies/{ticket_id}/wait"), 408)
    assert time.monotonic() - began >= 0.19
    assert broker.ticket(ticket_id)["status"] == "pending"


def test_a_request_after_the_reply_gets_it_at_once(broker):
    ticket_id = broker.send(new_name(), 1)
    reply(broker, ticket_id, "early")
    assert broker.ask("GET", f"/replies/{ticket_id}/wait").json["response"]["payload"] == "early"
    assert (
        broker.ask("GET", f"/replies/{ticket_id}?waitMs=60000").json["response"]["payload"]
        == "early"
    )
    with broker.stream(f"/replies/{ticket_id}/stream") as stream:
        assert stream.read_event().json["response"]["payload"] == "early"
        assert stream.read_event() is None


def test_a_reply_stream_times_out_cleanly(broker):
    ticket_id = broker.send(new_name(), 1, timeoutMs=150)
    with broker.stream(f"/replies/{ticket_id}/stream") as stream:
        assert stream.head.field("content-type") == "text/event-stream"
        assert stream.read_event().event == "timeout"
        assert stream.read_event() is None
    assert broker.ticket(ticket_id)["status"] == "pending"


def test_a_reply_becomes_a_ticket_to_a_registered_origin(broker):
    boss, worker = new_name(), new_name()
    broker.register(boss)
    ticket_id = broker.send(
        worker,
        "question",
        metadata={"origin": boss, "threadId": "thread-7", "private": "not the reply's"},
    )
    with broker.agent_stream(boss) as stream:
        assert (
            reply(
                broker, ticket_id, {"answer": [1]}, metadata={"model": "x", "origin": worker}
            ).status
            == 204
        )
        pushed = stream.read_event().json
    check_ticket(pushed)
    assert (
        pushed["agentId"] == boss
        and pushed["payload"] == {"answer": [1]}
        and pushed["originAgent"] == worker
    )
    assert pushed["metadata"] == {
        "model": "x",
        "origin": worker,
        "threadId": "thread-7",
        "replyTo": ticket_id,
        "isReply": True,
    }
    assert pushed["expectReply"] is False and pushed["status"] == "pending"
    assert [ticket["ticketId"] for ticket in broker.pending(boss)] == [pushed["ticketId"]]
    assert reply(broker, ticket_id, {"answer": [1]}).status == 204
    reply(broker, ticket_id, "again")
    assert len(broker.pending(boss)) == 1, "a second reply makes no second ticket"


def test_the_brokers_metadata_overrides_that_of_the_reply(broker):
    boss = new_name()
    broker.register(boss)
    ticket_id = broker.send(new_name(), 1, metadata={"origin": boss, "threadId": "true"})
    reply(broker, ticket_id, 1, metadata={"threadId": "false", "replyTo": "x", "isReply": False})
    metadata = broker.pending(boss)[0]["metadata"]
    assert (metadata["threadId"], metadata["replyTo"], metadata["isReply"]) == (
        "true",
        ticket_id,
        True,
    )


def test_a_reply_to_an_unregistered_origin_makes_no_ticket(broker):
    boss = new_name()
    ticket_id = broker.send(new_name(), 1, metadata={"origin": boss})
    assert reply(broker, ticket_id).status == 204
    assert broker.pending(boss) == []


@pytest.mark.parametrize("origin", [5, None, ["a"], {"a": 1}, "", "a\nb", "x" * 200], ids=repr)
def test_an_invalid_origin_is_refused_or_ignored(broker, origin):
    """Any client can set the metadata. An origin that cannot be an agent must not cause a 500."""
    answer = broker.ask(
        "POST", f"/agents/{new_name()}/send", {"payload": 1, "metadata": {"origin": origin}}
    )
    assert answer.status in (202, 400), answer
    if answer.status == 202:
        assert reply(broker, answer.json["ticketId"]).status == 204
        assert isinstance(broker.ticket(answer.json["ticketId"])["originAgent"], str)


def test_a_reply_and_its_ticket_are_kept_together_after_kill_minus_nine(start):
    broker = start()
    boss, worker = new_name(), new_name()
    broker.register(boss)
    ticket_id = broker.send(worker, 1, metadata={"origin": boss})
    reply(broker, ticket_id, "kept")
    broker.kill()
    broker.start()
    assert broker.ticket(ticket_id)["response"]["payload"] == "kept"
    assert [ticket["metadata"]["replyTo"] for ticket in broker.pending(boss)] == [ticket_id]


def test_the_latency_is_from_the_send_to_the_reply(broker):
    ticket_id = broker.send(new_name(), 1)
    assert "latencyMs" not in broker.ticket(ticket_id)
    reply(broker, ticket_id)
    assert 0 <= broker.ticket(ticket_id)["latencyMs"] < 60000

"""Sends: which are accepted, which are refused, and the ticketId as an idempotency key."""

from __future__ import annotations

import concurrent.futures
import json
from urllib.parse import quote

import pytest
from running import new_name, stages

from conformance.shapes import check_problem, check_ticket


def test_a_send_returns_202_with_three_keys(broker):
    agent = new_name()
    broker.register(agent)
    answer = broker.ask("POST", f"/agents/{agent}/send", {"payload": "hello"})
    assert answer.status == 202
    assert set(answer.json) == {"ticketId", "status", "waitEndpoint"}
    ticket_id = answer.json["ticketId"]
    assert answer.json["status"] == "pending"
    assert answer.json["waitEndpoint"] == f"/replies/{ticket_id}/stream"
    assert isinstance(ticket_id, str) and 0 < len(ticket_id) <= 128


def test_a_send_to_an_unknown_name_returns_known_false(broker):
    """A name is unknown while it is not registered and has no receiver.

    For a known name, the response has no member `known`.
    """
    for register in (
        lambda agent: broker.register(agent),
        lambda agent: broker.pending(agent),
        lambda agent: broker.ask("POST", f"/agents/{agent}/subscribe"),
    ):
        agent, body = new_name(), {"payload": 1, "ticketId": new_name()}
        first = broker.ask("POST", f"/agents/{agent}/send", body)
        assert first.status == 202 and first.json["known"] is False
        assert broker.ask("POST", f"/agents/{agent}/send", body).json == first.json
        assert broker.ask("GET", f"/agents/{agent}/tickets/pending?observe=1").json
        assert broker.ask("POST", f"/agents/{agent}/send", body).json["known"] is False
        register(agent)
        assert "known" not in broker.ask("POST", f"/agents/{agent}/send", {"payload": 2}).json
    broker.register(agent)
    broker.ask("DELETE", f"/agents/{agent}")
    answer = broker.ask("POST", f"/agents/{agent}/send", {"payload": 3})
    assert answer.json["known"] is False, "it was removed and has no receiver"


def test_a_ticket_has_default_values(broker):
    agent = new_name()
    ticket = broker.ticket(broker.send(agent, "hello"))
    check_ticket(ticket, with_history=True)
    assert ticket["agentId"] == ticket["targetAgent"] == agent
    assert ticket["originAgent"] == "ui" and ticket["metadata"] == {}
    assert ticket["expectReply"] is True and ticket["timeoutMs"] == 30000
    assert ticket["status"] == "pending" and ticket["response"] is None
    assert stages(ticket) == ["accepted"]


def test_every_field_is_kept(broker):
    agent, ticket_id = new_name(), "mine-" + new_name()
    metadata = {"origin": "boss", "threadId": "t-1", "nested": {"a": [1, 2.5, None, True]}}
    answer = broker.ask(
        "POST",
        f"/agents/{agent}/send",
        {
            "payload": "x",
            "ticketId": ticket_id,
            "metadata": metadata,
            "expectReply": False,
            "timeoutMs": 1234,
            "ttlMs": 600000,
        },
    )
    assert answer.status == 202 and answer.json["ticketId"] == ticket_id
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert ticket["metadata"] == metadata and ticket["originAgent"] == "boss"
    assert (
        ticket["expectReply"] is False and ticket["timeoutMs"] == 1234 and ticket["payload"] == "x"
    )


PAYLOADS = [
    None, True, False, 0, -1, 2**53, 2**63, 10**30, 1.5, -0.0, 1e300,
    "", "a\r\nb\nc\rd\x00e", "\u2028\u2029\u0085", "\U0001f600 ☃ é",
    "data: x\n\nid: 7\nevent: forged\n\n",
    [], {}, [[[]]], {"": {"": ""}}, {"a": [1, {"b": None}]}, "x" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda value: repr(value)[:30])
def test_any_json_payload_is_the_same_on_every_tier(broker, payload):
    agent = new_name()
    ticket_id = broker.send(agent, payload)
    expected = json.dumps(payload)
    assert json.dumps(broker.ticket(ticket_id)["payload"]) == expected
    assert json.dumps(broker.pending(agent)[0]["payload"]) == expected
    with broker.agent_stream(agent) as stream:
        event = stream.read_event()
        assert event.event == "ticket" and json.dumps(event.json["payload"]) == expected
        broker.send(agent, payload)
        assert json.dumps(stream.read_event().json["payload"]) == expected


def test_unknown_members_are_tolerated(broker):
    """Clients of the predecessor send more members than the table has."""
    assert (
        broker.ask(
            "POST", f"/agents/{new_name()}/send", {"payload": 1, "from": "x", "priority": 3}
        ).status
        == 202
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{}",
        b'{"metadata":{}}',
        b"{'payload':1}",
        b'{"payload":1,}',
        b'{"payload":1} x',
        b'{"payload":NaN}',
        b'{"payload":-Infinity}',
        b'{"payload":"\xff"}',
        b'{"payload":"\xed\xa0\x80"}',
        b'{"payload":"\x01"}',
        b'{"payload":01}',
        b'{"payload":1,"ticketId":""}',
        b'{"payload":1,"ticketId":5}',
        b'{"payload":1,"ticketId":"a\\u0000"}',
        b'{"payload":1,"ticketId":"a\\n"}',
        b'{"payload":1,"ticketId":"\\ud800"}',
        b'{"payload":1,"ticketId":"' + b"x" * 129 + b'"}',
        b'{"payload":1,"metadata":[]}',
        b'{"payload":1,"metadata":"m"}',
        b'{"payload":1,"expectReply":"no"}',
        b'{"payload":1,"expectReply":0}',
        b'{"payload":1,"timeoutMs":"1"}',
        b'{"payload":1,"timeoutMs":-1}',
        b'{"payload":1,"timeoutMs":true}',
        b'{"payload":1,"ttlMs":-5}',
        b'{"payload":1,"ttlMs":"1"}',
        b'{"payload":1,"ttlMs":true}',
        b'{"payload":1,"ttlMs":[]}',
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
def test_a_bad_body_is_400_and_stores_nothing(broker, body):
    agent = new_name()
    check_problem(broker.ask("POST", f"/agents/{agent}/send", body), 400)
    assert broker.pending(agent) == []


@pytest.mark.parametrize("name", ["origin", "threadId"])
def test_a_name_in_metadata_has_its_own_bound(broker, name):
    agent = new_name()
    broker.send(agent, metadata={name: "x" * 8192})
    answer = broker.ask(
        "POST", f"/agents/{agent}/send", {"payload": 1, "metadata": {name: "x" * 8193}}
    )
    assert f"metadata.{name} is 8193 characters long" in check_problem(answer, 400)["detail"]
    broker.send(agent, metadata={name: ["x" * 600]})  # a list is not a name
    assert len(broker.pending(agent)) == 2


def test_bad_agent_ids_are_400(broker):
    for agent in ("%00", "%0a", "%7f", "x" * 129, "%ff", "%c0%80", "%zz", "%4", "a%"):
        check_problem(broker.ask("POST", f"/agents/{agent}/send", {"payload": 1}), 400)


def test_the_wait_endpoint_works_for_any_id(broker):
    for odd in ("a/b", "a b", "é☃", "a%41", "?q#f"):
        ticket_id = odd + new_name()
        agent = new_name()
        answer = broker.ask("POST", f"/agents/{agent}/send", {"payload": 1, "ticketId": ticket_id})
        assert answer.status == 202 and answer.json["ticketId"] == ticket_id
        assert (
            broker.ask("GET", f"/tickets/{quote(ticket_id, safe='')}").json["ticketId"] == ticket_id
        )
        with broker.stream(answer.json["waitEndpoint"]) as stream:
            assert stream.head.status == 200, (odd, answer.json)
            assert (
                broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "done"}).status
                == 204
            )
            assert stream.read_event().event == "reply"


def test_the_same_id_and_body_is_one_ticket(broker):
    agent, ticket_id = new_name(), "key-" + new_name()
    body = {"payload": {"b": 1, "a": [2]}, "ticketId": ticket_id, "metadata": {"origin": "x"}}
    first = broker.ask("POST", f"/agents/{agent}/send", body)
    again = broker.ask("POST", f"/agents/{agent}/send", body)
    assert (again.status, again.json) == (first.status, first.json) == (202, first.json)
    assert len(broker.pending(agent)) == 1
    broker.acknowledge(ticket_id)
    late = broker.ask("POST", f"/agents/{agent}/send", body)
    assert late.status == 202 and late.json["ticketId"] == ticket_id
    assert broker.pending(agent) == [], "a repeated send must not bring a delivered ticket back"
    assert broker.ticket(ticket_id)["status"] == "delivered"


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "other"},
        {"metadata": {"a": 1}},
        {"expectReply": False},
        {"timeoutMs": 1},
        {"payload": None},
        {"payload": True},
    ],
    ids=repr,
)
def test_the_same_id_with_another_body_is_409(broker, change):
    agent, ticket_id = new_name(), "key-" + new_name()
    body = {"payload": 1, "ticketId": ticket_id}
    assert broker.ask("POST", f"/agents/{agent}/send", body).status == 202
    check_problem(broker.ask("POST", f"/agents/{agent}/send", {**body, **change}), 409)
    assert [ticket["payload"] for ticket in broker.pending(agent)] == [1]


def test_the_same_id_for_another_agent_is_409(broker):
    one, other, ticket_id = new_name(), new_name(), "key-" + new_name()
    broker.send(one, 1, ticketId=ticket_id)
    check_problem(
        broker.ask("POST", f"/agents/{other}/send", {"payload": 1, "ticketId": ticket_id}), 409
    )
    assert broker.pending(other) == []


def test_simultaneous_sends_of_one_id_make_one_ticket(broker):
    """All sends are received before the first one is on disk."""
    for _ in range(5):
        agent, ticket_id = new_name(), "race-" + new_name()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sends = [
                pool.submit(
                    broker.ask,
                    "POST",
                    f"/agents/{agent}/send",
                    {"payload": "same", "ticketId": ticket_id},
                )
                for _ in range(8)
            ]
            assert [send.result().status for send in sends] == [202] * 8
        assert len(broker.pending(agent)) == 1


def test_one_of_simultaneous_sends_of_an_id_with_different_bodies_succeeds(broker):
    for _ in range(5):
        agent, ticket_id = new_name(), "race-" + new_name()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sends = [
                pool.submit(
                    broker.ask,
                    "POST",
                    f"/agents/{agent}/send",
                    {"payload": number, "ticketId": ticket_id},
                )
                for number in range(8)
            ]
            statuses = [send.result().status for send in sends]
        assert sorted(statuses) == [202] + [409] * 7
        assert broker.pending(agent)[0]["payload"] == statuses.index(202), (
            "the ticket of the send with a 202 is kept"
        )


def test_an_idempotency_key_survives_a_restart(start):
    broker = start()
    agent, body = new_name(), {"payload": {"x": 1}, "ticketId": "key"}
    first = broker.ask("POST", f"/agents/{agent}/send", body)
    broker.kill()
    broker.start()
    assert broker.ask("POST", f"/agents/{agent}/send", body).json == first.json
    check_problem(broker.ask("POST", f"/agents/{agent}/send", {**body, "payload": {"x": 2}}), 409)
    broker.acknowledge("key")
    broker.kill()
    broker.start()
    assert broker.ask("POST", f"/agents/{agent}/send", body).status == 202
    assert broker.pending(agent) == []


def test_the_sends_of_one_connection_get_increasing_seqs(broker):
    """The order per agent is the order of seq. It is also the order of the responses."""
    agent = new_name()
    with broker.line() as line:
        for number in range(50):
            line.request("POST", f"/agents/{agent}/send", {"payload": number})
        assert [line.read_answer().status for _ in range(50)] == [202] * 50
    tickets = broker.pending(agent)
    assert [ticket["payload"] for ticket in tickets] == list(range(50))
    numbers = [ticket["seq"] for ticket in tickets]
    assert numbers == sorted(set(numbers))

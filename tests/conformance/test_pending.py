"""Polls and long-polls, with cursor and limit; acknowledgement; the page of a ticket; ttl."""

from __future__ import annotations

import datetime
import threading
import time

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import check_problem, check_ticket, is_at


def test_a_poll_returns_whole_tickets_oldest_first(broker):
    agent = new_name()
    sent = [broker.send(agent, number) for number in range(5)]
    tickets = broker.pending(agent)
    assert [ticket["ticketId"] for ticket in tickets] == sent
    for ticket in tickets:
        check_ticket(ticket)
        assert ticket["status"] == "pending"


def test_an_unknown_agent_has_no_pending_tickets(broker):
    assert broker.pending(new_name()) == []


def test_a_poll_removes_nothing(broker):
    agent = new_name()
    broker.send(agent, 1)
    assert broker.pending(agent) == broker.pending(agent) != []


def test_a_poll_has_a_cursor_and_a_limit(broker):
    agent = new_name()
    for number in range(6):
        broker.send(agent, number)
    everything = broker.pending(agent)
    middle = everything[2]["seq"]
    assert [ticket["payload"] for ticket in broker.pending(agent, f"?after={middle}")] == [3, 4, 5]
    assert [ticket["payload"] for ticket in broker.pending(agent, "?limit=2")] == [0, 1]
    assert [ticket["payload"] for ticket in broker.pending(agent, f"?limit=2&after={middle}")] == [
        3,
        4,
    ]
    assert [
        ticket["payload"]
        for ticket in broker.pending(agent, f"?limit=2&after={middle}&waitMs=1000")
    ] == [3, 4]
    assert broker.pending(agent, f"?after={everything[-1]['seq']}") == []
    assert broker.pending(agent, "?after=0") == everything
    broker.acknowledge(everything[3]["ticketId"])
    assert [ticket["payload"] for ticket in broker.pending(agent, f"?after={middle}")] == [4, 5], (
        "a cursor may be the seq of a finished ticket"
    )


@pytest.mark.parametrize(
    "query",
    [
        "waitMs=-1",
        "waitMs=abc",
        "waitMs=",
        "waitMs=1.5",
        "waitMs=0x10",
        "waitMs=1_000",
        "waitMs=%D9%A1",
        "waitMs=60001",
        "after=-1",
        "after=abc",
        "after=1e3",
        "limit=-1",
        "limit=abc",
        "after=1&after=2",
    ],
)
def test_bad_queries_are_400(broker, query):
    check_problem(broker.ask("GET", f"/agents/{new_name()}/tickets/pending?{query}"), 400)


def test_a_wait_of_zero_is_a_plain_poll(broker):
    assert broker.pending(new_name(), "?waitMs=0") == []


def test_a_long_poll_returns_nothing_at_its_timeout(broker):
    began = time.monotonic()
    answer = broker.ask("GET", f"/agents/{new_name()}/tickets/pending?waitMs=300")
    assert answer.status == 200 and answer.json == []
    assert time.monotonic() - began >= 0.29, "it must wait for the whole time"


def test_a_long_poll_returns_pending_tickets_at_once(broker):
    agent = new_name()
    broker.send(agent, 1)
    assert len(broker.pending(agent, "?waitMs=60000")) == 1


def waiting_long_polls(broker) -> int:
    return broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"]


def test_a_long_poll_is_woken_by_a_ticket(broker):
    agent = new_name()
    before = waiting_long_polls(broker)
    with broker.line() as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=60000")
        wait_until(lambda: waiting_long_polls(broker) > before, "the long-poll waits")
        ticket_id = broker.send(agent, "wake")
        assert [ticket["ticketId"] for ticket in line.read_answer().json] == [ticket_id]


def test_a_long_poll_waits_for_tickets_after_its_cursor(broker):
    agent = new_name()
    broker.send(agent, "old")
    before, seq = waiting_long_polls(broker), broker.pending(agent)[0]["seq"]
    with broker.line() as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=60000&after={seq}")
        wait_until(lambda: waiting_long_polls(broker) > before, "the long-poll waits")
        broker.send(agent, "new")
        assert [ticket["payload"] for ticket in line.read_answer().json] == ["new"]


def test_two_long_polls_of_one_agent_both_wake(broker):
    agent = new_name()
    before = waiting_long_polls(broker)
    with broker.line() as one, broker.line() as other:
        for line in (one, other):
            line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=60000")
        wait_until(lambda: waiting_long_polls(broker) == before + 2, "both wait")
        broker.send(agent, "for both")
        assert [line.read_answer().json[0]["payload"] for line in (one, other)] == ["for both"] * 2


def test_a_long_poll_whose_client_is_gone_is_removed(broker):
    before = waiting_long_polls(broker)
    with broker.line() as line:
        line.request("GET", f"/agents/{new_name()}/tickets/pending?waitMs=60000")
        wait_until(lambda: waiting_long_polls(broker) == before + 1, "the long-poll waits")
    wait_until(lambda: waiting_long_polls(broker) == before, "the long-poll is removed")


def test_polls_with_a_cursor_lose_and_repeat_nothing(broker):
    """A sender and a long-poller run at the same time. The poller only moves its cursor."""
    agent, total, seen, after = new_name(), 90, [], 0

    def publish():
        with broker.line() as line:
            for number in range(total):
                assert line.ask("POST", f"/agents/{agent}/send", {"payload": number}).status == 202

    sender = threading.Thread(target=publish)
    sender.start()
    while len(seen) < total:
        tickets = broker.pending(agent, f"?waitMs=10000&after={after}&limit=7")
        assert tickets, "a poll was empty before all tickets had come"
        seen += [ticket["payload"] for ticket in tickets]
        after = tickets[-1]["seq"]
    sender.join()
    assert seen == list(range(total))


def now() -> str:
    return (
        datetime.datetime.now(datetime.timezone.utc)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def test_an_acknowledged_ticket_is_delivered(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    answer = broker.acknowledge(ticket_id)
    assert answer.status == 200 and answer.json == {"ticketId": ticket_id, "status": "delivered"}
    assert broker.pending(agent) == []
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert ticket["status"] == "delivered" and stages(ticket) == ["accepted", "acknowledged"]
    again = broker.acknowledge(ticket_id)
    assert again.status == 200 and again.json == answer.json
    assert stages(broker.ticket(ticket_id)).count("acknowledged") == 1, "idempotent"


def test_the_evidence_of_an_acknowledgement_is_in_the_history(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    evidence = {"pane": "%3", "form": "agent", "submittedAt": now(), "verified": True}
    assert broker.acknowledge(ticket_id, {"watcher": "w-1", "evidence": evidence}).status == 200
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert evidence in [entry.get("evidence") for entry in ticket["history"]]
    assert "w-1" in [entry.get("by") for entry in ticket["history"]]
    assert "injected" in stages(ticket) and stages(ticket)[-1] == "acknowledged"


@pytest.mark.parametrize(
    "evidence", ["seen on the screen", ["%1"], {"submittedAt": "garbage"}, 7], ids=repr
)
def test_evidence_may_be_any_json_value(broker, evidence):
    ticket_id = broker.send(new_name(), 1)
    assert broker.acknowledge(ticket_id, {"watcher": "w-1", "evidence": evidence}).status == 200
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert stages(ticket) == ["accepted", "injected", "acknowledged"]
    assert [entry.get("evidence") for entry in ticket["history"]] == [None, evidence, evidence]
    assert broker.ask("GET", "/metrics").status == 200


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"5", {"watcher": 5}, {"watcher": "a\nb"}, {"watcher": ""}], ids=repr
)
def test_an_acknowledgement_with_a_bad_body_is_400(broker, body):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    check_problem(broker.acknowledge(ticket_id, body), 400)
    assert len(broker.pending(agent)) == 1


def test_unknown_tickets_are_404(broker):
    for method, path in [("GET", ""), ("POST", "/acknowledge"), ("POST", "/claim")]:
        body = {"watcher": "w"} if path == "/claim" else None
        check_problem(broker.ask(method, f"/tickets/no-such-ticket{path}", body), 404)


def test_tickets_may_be_acknowledged_in_any_order(broker):
    agent = new_name()
    sent = [broker.send(agent, number) for number in range(4)]
    broker.acknowledge(sent[2])
    broker.acknowledge(sent[0])
    assert [ticket["payload"] for ticket in broker.pending(agent)] == [1, 3]


def test_the_history_is_in_order(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    with broker.agent_stream(agent) as stream:
        stream.read_event()
    broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w-1"})
    broker.acknowledge(
        ticket_id, {"watcher": "w-1", "evidence": {"pane": "%1", "submittedAt": now()}}
    )
    broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "done"})
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert stages(ticket) == [
        "accepted",
        "streamed",
        "claimed",
        "injected",
        "acknowledged",
        "replied",
    ]
    claimed = ticket["history"][2]
    assert claimed["by"] == "w-1" and is_at(claimed["at"])


# -- ttl -------------------------------------------------------------------


def test_a_ticket_with_a_ttl_expires(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1, ttlMs=200)
    kept = broker.send(agent, 2)
    wait_until(lambda: broker.ticket(ticket_id)["status"] == "expired", "it expires")
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert stages(ticket) == ["accepted", "expired"]
    assert [entry["ticketId"] for entry in broker.pending(agent)] == [kept]
    with broker.agent_stream(agent) as stream:
        assert stream.read_event().json["ticketId"] == kept
    claim = broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"})
    assert claim.status == 409 and claim.json["status"] == "expired"


def test_without_a_ttl_no_timeout_removes_a_ticket(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1, timeoutMs=1)
    assert broker.ask("GET", f"/replies/{ticket_id}/wait").status == 408
    assert broker.ask("GET", f"/replies/{ticket_id}?waitMs=1").status == 204
    with broker.stream(f"/replies/{ticket_id}/stream") as stream:
        assert stream.read_event().event == "timeout"
    assert [ticket["status"] for ticket in broker.pending(agent)] == ["pending"]
    assert broker.ticket(ticket_id)["status"] == "pending"


def test_a_ticket_expires_while_no_broker_runs(start):
    broker = start()
    agent = new_name()
    short, long = broker.send(agent, 1, ttlMs=50), broker.send(agent, 2, ttlMs=600000)
    broker.kill()
    time.sleep(0.06)  # the ttl ends while no broker runs, so there is no event to wait for
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending(agent)] == [long]
    assert broker.ticket(short)["status"] == "expired"

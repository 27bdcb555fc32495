"""An operator drops one pending ticket, or purges all pending tickets of an agent."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import check_problem, check_ticket


def drop(broker, ticket_id: str, reason: str = ""):
    return broker.ask(
        "DELETE", f"/tickets/{ticket_id}" + (f"?{urlencode({'reason': reason})}" if reason else "")
    )


def test_a_dropped_ticket_is_never_delivered_and_has_a_reason(broker):
    agent = new_name()
    ticket_id, other = broker.send(agent, 1), broker.send(agent, 2)
    answer = drop(broker, ticket_id, "a slip")
    assert (answer.status, answer.json) == (200, {"dropped": 1, "status": "dropped"})
    ticket = broker.ticket(ticket_id)
    check_ticket(ticket, with_history=True)
    assert ticket["status"] == "dropped" and stages(ticket) == ["accepted", "dropped"]
    assert ticket["history"][-1]["evidence"] == {"reason": "a slip"}
    assert [each["ticketId"] for each in broker.pending(agent)] == [other]
    claim = broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"})
    assert claim.status == 409 and claim.json["status"] == "dropped"
    check_problem(broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": 1}), 409)
    assert drop(broker, ticket_id).json == {"dropped": 0, "status": "dropped"}, "only once"
    found = broker.ask("GET", f"/search?status=dropped&agent={agent}").json["tickets"]
    assert [each["ticketId"] for each in found] == [ticket_id]


def test_a_finished_ticket_is_not_dropped(broker):
    ticket_id = broker.send(new_name())
    broker.acknowledge(ticket_id)
    before = broker.ticket(ticket_id)
    assert drop(broker, ticket_id).json == {"dropped": 0, "status": "delivered"}
    assert broker.ticket(ticket_id) == before
    check_problem(drop(broker, "no-such-ticket"), 404)
    check_problem(drop(broker, ticket_id, "x" * 600), 400)


def test_a_dropped_ticket_that_was_injected_shows_both_stages(broker):
    """A running lease does not prevent the drop.

    The later acknowledgement of its watcher adds stages, but only once.
    """
    ticket_id = broker.send(new_name())
    broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"})
    assert drop(broker, ticket_id).json["dropped"] == 1
    for _ in range(2):
        answer = broker.acknowledge(ticket_id, {"watcher": "w", "evidence": {"pane": "%1"}})
        assert (answer.status, answer.json["status"]) == (200, "dropped")
    ticket = broker.ticket(ticket_id)
    assert stages(ticket) == ["accepted", "claimed", "dropped", "injected", "acknowledged"]
    assert ticket["status"] == "dropped"


@pytest.mark.parametrize("how", ["drop", "expire"])
def test_all_waits_for_its_reply_end(broker, how):
    ttl = {"ttlMs": 1500} if how == "expire" else {}
    ticket_id = broker.send(new_name(), timeoutMs=60000, **ttl)
    status = {"drop": "dropped", "expire": "expired"}[how]
    with broker.line() as poll, broker.line() as wait:
        with broker.stream(f"/replies/{ticket_id}/stream") as stream:
            stream.read_block()
            poll.request("GET", f"/replies/{ticket_id}?waitMs=60000&ended=1")
            wait.request("GET", f"/replies/{ticket_id}/wait")
            if how == "drop":
                drop(broker, ticket_id)
            polled = poll.read_answer()
            assert polled.status == 200 and (polled.json["status"], polled.json["response"]) == (
                status,
                None,
            )
            assert status in check_problem(wait.read_answer(), 408)["detail"]
            event = stream.read_event()
            assert (event.event, event.json["status"]) == ("timeout", status)
            assert stream.read_event() is None
    check_problem(broker.ask("GET", f"/replies/{ticket_id}/wait"), 408)
    assert broker.ask("GET", f"/replies/{ticket_id}?waitMs=60000&ended=1").json["status"] == status
    with broker.stream(f"/replies/{ticket_id}/stream") as late:
        assert late.read_event().event == "timeout"


def test_purge_drops_all_pending_tickets_of_one_agent(start):
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=2000)
    kept = broker.send("bob")
    with broker.line() as line:
        sent = [
            line.ask("POST", "/agents/lucy/send", {"payload": n}).json["ticketId"]
            for n in range(1100)
        ]
    broker.acknowledge(sent[0])

    def purge():
        return broker.ask("DELETE", "/agents/lucy/tickets/pending?reason=a+loop").json

    assert purge() == {"dropped": 1000, "left": 99}, "one request drops at most 1000"
    assert purge() == {"dropped": 99, "left": 0}
    assert purge() == {"dropped": 0, "left": 0}
    broker.kill()
    broker.start()
    assert broker.pending("lucy") == [] and [
        each["ticketId"] for each in broker.pending("bob")
    ] == [kept]
    assert broker.ticket(sent[0])["status"] == "delivered"
    for ticket_id in (sent[1], sent[-1]):
        ticket = broker.ticket(ticket_id)
        assert ticket["status"] == "dropped" and ticket["history"][-1]["evidence"] == {
            "reason": "a loop"
        }
    assert broker.metrics()["bridge_messages_queued_current"] == 1


def test_purge_makes_room_in_a_full_store(start):
    """A purge removes the tickets that use up the bytes. Then sends are accepted again."""
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_PENDING_BYTES=1 << 20)
    text = "x" * 90_000
    for agent in ("lucy", "bob"):
        broker.register(agent)
    assert (
        broker.send("lucy", text)
        and broker.ask("POST", "/agents/lucy/send", {"payload": text}).status == 429
    )
    assert broker.ask("DELETE", "/agents/lucy/tickets/pending").json == {"dropped": 1, "left": 0}
    broker.send("lucy", text)


def test_an_open_stream_continues_after_a_drop(broker):
    agent = new_name()
    with broker.agent_stream(agent) as stream:
        first = broker.send(agent, 1)
        assert stream.read_event().json["ticketId"] == first
        drop(broker, first)
        second = broker.send(agent, 2)
        assert stream.read_event().json["ticketId"] == second
        wait_until(lambda: broker.ticket(first)["status"] == "dropped", "it is dropped")


def test_a_drop_makes_an_event(broker):
    agent = new_name()
    with broker.stream(f"/events?agent={agent}") as events:
        events.read_block()
        ticket_id = broker.send(agent, 1)
        drop(broker, ticket_id)
        told = []
        while ("dropped", "dropped") not in told:
            event = events.read_event()
            told += [(event.json["stage"], event.json["status"])] if event.event == "stage" else []
    assert told == [("accepted", "pending"), ("dropped", "dropped")]


def test_an_older_client_does_not_take_a_dropped_ticket_for_a_reply(broker):
    """Without `ended=1`, a 200 means that there is a reply."""
    ticket_id = broker.send(new_name())
    drop(broker, ticket_id)
    assert broker.ask("GET", f"/replies/{ticket_id}?waitMs=50").status == 204
    assert broker.ask("GET", f"/replies/{ticket_id}?waitMs=50&ended=1").json["status"] == "dropped"

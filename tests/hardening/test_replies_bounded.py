"""A reply that becomes a ticket has the bounds of a send: queue, bytes and rate.

A refused reply can be repeated, so nothing is lost.
"""

from __future__ import annotations

from conformance.shapes import check_problem


def asked(broker, count: int, origin: str = "boss", to: str = "worker") -> list[str]:
    """Send `count` tickets from the origin. Return their ids."""
    broker.register(origin)
    return [broker.send(to, number, metadata={"origin": origin}) for number in range(count)]


def reply(broker, ticket_id: str, payload: object = "done"):
    return broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": payload})


def test_replies_count_toward_the_origins_queue(start):
    broker = start(BRIDGE_QUEUE_MAX=3)
    tickets = asked(broker, 3) + asked(broker, 2, to="other")
    for ticket_id in tickets[:3]:
        assert reply(broker, ticket_id).status == 204
    problem = check_problem(reply(broker, tickets[3]), 429)
    assert "boss" in problem["detail"] and "send it again" in problem["detail"]
    assert broker.ticket(tickets[3])["status"] == "pending" and len(broker.pending("boss")) == 3
    assert reply(broker, tickets[0]).status == 204, "a repeated reply makes no new ticket"
    broker.acknowledge(broker.pending("boss")[0]["ticketId"])
    assert reply(broker, tickets[3]).status == 204
    assert [each["metadata"]["replyTo"] for each in broker.pending("boss")] == tickets[1:4]


def test_replies_count_toward_the_origins_share_of_the_bytes(start):
    """Without this bound, 300 replies of 1 MiB to tickets of 200 bytes fill the broker."""
    broker = start(BRIDGE_RATE_LIMIT=0, BRIDGE_PENDING_BYTES=4 << 20)
    statuses = [reply(broker, ticket_id, "x" * 200_000).status for ticket_id in asked(broker, 12)]
    assert statuses == [204, 204] + [429] * 10, "a sixteenth of 4 MiB"
    broker.register("lucy")
    broker.send("lucy", "other agents are not affected")


def test_replies_are_limited_by_the_repliers_rate(start):
    broker = start(BRIDGE_RATE_LIMIT=0)
    tickets, other = asked(broker, 6), asked(broker, 1, to="other")
    stray = broker.send("worker", metadata={"origin": "not-registered"})
    broker.stop()
    broker.settings["BRIDGE_RATE_LIMIT"] = 5
    broker.start()
    answers = [reply(broker, ticket_id) for ticket_id in tickets]
    assert [answer.status for answer in answers] == [204] * 5 + [429]
    assert (
        "worker" in check_problem(answers[-1], 429)["detail"]
        and int(answers[-1].field("retry-after")) >= 1
    )
    assert broker.ticket(tickets[-1])["response"] is None
    assert reply(broker, other[0]).status == 204, "another replier has its own bucket"
    assert reply(broker, stray).status == 204, "a reply that becomes no ticket is not limited"
    broker.send("worker", "replies do not use up the rate of sends to the replier")

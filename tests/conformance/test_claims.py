"""Claims: two watchers never inject the same ticket, and the end of a lease frees the ticket."""

from __future__ import annotations

import concurrent.futures
import datetime

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import check_problem, is_at


def claim(broker, ticket_id, watcher="w-1", **more):
    return broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": watcher, **more})


def moment(text: str) -> float:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_a_claim_returns_its_lease(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    answer = claim(broker, ticket_id)
    assert answer.status == 200 and set(answer.json) == {"ticketId", "leaseUntilAt"}
    assert answer.json["ticketId"] == ticket_id and is_at(answer.json["leaseUntilAt"])
    claimed_at = [
        entry["at"] for entry in broker.ticket(ticket_id)["history"] if entry["stage"] == "claimed"
    ]
    assert 59.5 <= moment(answer.json["leaseUntilAt"]) - moment(claimed_at[0]) <= 60.5, (
        "the default lease is 60 s"
    )
    assert [ticket["status"] for ticket in broker.pending(agent)] == ["pending"], (
        "the ticket is pending until it is acknowledged"
    )


def test_another_watcher_gets_a_409_with_the_end_of_the_lease(broker):
    ticket_id = broker.send(new_name(), 1)
    held = claim(broker, ticket_id, "w-1")
    refused = claim(broker, ticket_id, "w-2")
    assert refused.status == 409
    assert refused.field("content-type").split(";")[0] == "application/problem+json"
    assert (
        refused.json["status"] == "pending"
        and refused.json["leaseUntilAt"] == held.json["leaseUntilAt"]
    )
    assert refused.json["error"] == refused.json["detail"] != ""


def test_the_same_watcher_renews_its_lease(broker):
    ticket_id = broker.send(new_name(), 1)
    first = claim(broker, ticket_id, leaseMs=1000)
    again = claim(broker, ticket_id, leaseMs=600000)
    assert (
        again.status == 200
        and moment(again.json["leaseUntilAt"]) > moment(first.json["leaseUntilAt"]) + 500
    )
    assert claim(broker, ticket_id, "w-2").json["leaseUntilAt"] == again.json["leaseUntilAt"]


def test_the_last_claim_in_the_history_has_the_end_of_its_lease(broker):
    ticket_id = broker.send(new_name(), 1)
    claim(broker, ticket_id, "w-1", leaseMs=1)
    wait_until(
        lambda: claim(broker, ticket_id, "w-2", leaseMs=1000).status == 200, "the first lease's end"
    )
    renewed = claim(broker, ticket_id, "w-2", leaseMs=60000)
    claims = [
        (entry["by"], entry.get("evidence"))
        for entry in broker.ticket(ticket_id)["history"]
        if entry["stage"] == "claimed"
    ]
    assert claims == [("w-1", None), ("w-2", {"leaseUntilAt": renewed.json["leaseUntilAt"]})], (
        "a renewal is not a stage"
    )
    broker.acknowledge(ticket_id)
    assert not any("evidence" in entry for entry in broker.ticket(ticket_id)["history"]), (
        "a finished ticket has no lease"
    )


def test_the_end_of_a_lease_frees_the_ticket(broker):
    ticket_id = broker.send(new_name(), 1)
    claim(broker, ticket_id, "w-1", leaseMs=150)
    assert claim(broker, ticket_id, "w-2").status == 409
    wait_until(
        lambda: claim(broker, ticket_id, "w-2", leaseMs=60000).status == 200, "the lease runs out"
    )
    assert claim(broker, ticket_id, "w-1").status == 409
    assert [
        entry.get("by")
        for entry in broker.ticket(ticket_id)["history"]
        if entry["stage"] == "claimed"
    ] == ["w-1", "w-2"]


def test_a_claim_of_a_finished_ticket_is_refused_with_its_status(broker):
    delivered, responded = broker.send(new_name(), 1), broker.send(new_name(), 1)
    broker.acknowledge(delivered)
    broker.ask("POST", "/replies", {"ticketId": responded, "payload": 1})
    for ticket_id, status in [(delivered, "delivered"), (responded, "responded")]:
        answer = claim(broker, ticket_id)
        assert answer.status == 409 and answer.json["status"] == status, answer
        assert answer.json.get("leaseUntilAt") is None


def test_a_claim_of_an_expired_ticket_is_refused(broker):
    ticket_id = broker.send(new_name(), 1, ttlMs=50)
    wait_until(lambda: broker.ticket(ticket_id)["status"] == "expired", "it expires")
    answer = claim(broker, ticket_id)
    assert answer.status == 409 and answer.json["status"] == "expired"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"watcher":""}',
        b'{"watcher":5}',
        b'{"watcher":"a\\u0000"}',
        b'{"watcher":"w","leaseMs":"1"}',
        b'{"watcher":"w","leaseMs":-1}',
        b'{"watcher":"w","leaseMs":true}',
        b'{"watcher":"w","leaseMs":1e99}',
    ],
    ids=lambda body: body.decode(),
)
def test_bad_claims_are_400(broker, body):
    ticket_id = broker.send(new_name(), 1)
    check_problem(broker.ask("POST", f"/tickets/{ticket_id}/claim", body), 400)
    assert stages(broker.ticket(ticket_id)) == ["accepted"]


def test_one_of_many_claims_at_once_succeeds(broker):
    for _ in range(5):
        ticket_id = broker.send(new_name(), 1)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda number: claim(broker, ticket_id, f"w-{number}").status, range(8))
            )
        assert sorted(answers) == [200] + [409] * 7


def test_claims_and_acknowledgements_survive_kill_minus_nine(start):
    broker = start()
    agent = new_name()
    held, done, replied = (broker.send(agent, number) for number in range(3))
    lease = claim(broker, held, "w-1", leaseMs=600000).json["leaseUntilAt"]
    broker.acknowledge(done, {"watcher": "w-1", "evidence": {"pane": "%1"}})
    broker.ask(
        "POST", "/replies", {"ticketId": replied, "payload": {"answer": 42}, "metadata": {"m": 1}}
    )
    before = [broker.ticket(ticket_id) for ticket_id in (held, done, replied)]
    broker.kill()
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending(agent)] == [held]
    refused = claim(broker, held, "w-2")
    assert refused.status == 409 and refused.json["leaseUntilAt"] == lease
    assert claim(broker, held, "w-1").status == 200
    assert claim(broker, done, "w-2").json["status"] == "delivered"
    after = [broker.ticket(ticket_id) for ticket_id in (held, done, replied)]
    assert after[1:] == before[1:], "status, response, latency and history are the same"
    assert [stage for stage in stages(after[0]) if stage != "streamed"][:2] == [
        "accepted",
        "claimed",
    ]

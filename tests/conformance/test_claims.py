"""Claims: two watchers never inject the same ticket, and a lease that runs out frees it."""

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


def test_claim(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    answer = claim(broker, ticket_id)
    assert answer.status == 200 and set(answer.json) == {"ticketId", "leaseUntilAt"}
    assert answer.json["ticketId"] == ticket_id and is_at(answer.json["leaseUntilAt"])
    claimed_at = [
        entry["at"] for entry in broker.ticket(ticket_id)["history"] if entry["stage"] == "claimed"
    ]
    assert 59.5 <= moment(answer.json["leaseUntilAt"]) - moment(claimed_at[0]) <= 60.5, (
        "60 s by default"
    )
    assert [ticket["status"] for ticket in broker.pending(agent)] == ["pending"], (
        "pending until acknowledged"
    )


def test_another_watcher_is_told_until_when(broker):
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


def test_the_same_watcher_renews(broker):
    ticket_id = broker.send(new_name(), 1)
    first = claim(broker, ticket_id, leaseMs=1000)
    again = claim(broker, ticket_id, leaseMs=600000)
    assert (
        again.status == 200
        and moment(again.json["leaseUntilAt"]) > moment(first.json["leaseUntilAt"]) + 500
    )
    assert claim(broker, ticket_id, "w-2").json["leaseUntilAt"] == again.json["leaseUntilAt"]


def test_the_last_claim_in_the_history_says_how_long_it_lasts(broker):
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
        "renewals are no stages of their own"
    )
    broker.acknowledge(ticket_id)
    assert not any("evidence" in entry for entry in broker.ticket(ticket_id)["history"]), (
        "once it is done there is no lease"
    )


def test_a_lease_that_runs_out_frees_it(broker):
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


def test_a_claim_on_what_is_done_says_which_status_it_has_reached(broker):
    delivered, responded = broker.send(new_name(), 1), broker.send(new_name(), 1)
    broker.acknowledge(delivered)
    broker.ask("POST", "/replies", {"ticketId": responded, "payload": 1})
    for ticket_id, status in [(delivered, "delivered"), (responded, "responded")]:
        answer = claim(broker, ticket_id)
        assert answer.status == 409 and answer.json["status"] == status, answer
        assert answer.json.get("leaseUntilAt") is None


def test_an_expired_ticket_is_dropped(broker):
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


def test_of_many_watchers_one_wins(broker):
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
    assert after[1:] == before[1:], "status, response, latency and history are what they were"
    assert [stage for stage in stages(after[0]) if stage != "streamed"][:2] == [
        "accepted",
        "claimed",
    ]

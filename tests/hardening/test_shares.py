"""Shares of BRIDGE_PENDING_BYTES, so that no agent uses up the memory of all.

Names without a receiver have a smaller share.
"""

from __future__ import annotations

import pytest
from conformance.shapes import check_problem
from running import stages, wait_until

MIB = 1 << 20
TEXT = "x" * 100_000


def fill(broker, agent: str, most: int = 500) -> int:
    """Send to the agent until a send is refused. Return how many were accepted."""
    with broker.line() as line:
        for count in range(most):
            answer = line.ask("POST", f"/agents/{agent}/send", {"payload": TEXT})
            if answer.status != 202:
                problem = check_problem(answer, 429)
                assert agent in problem["detail"] and "purge" in problem["detail"]
                assert "BRIDGE_PENDING_BYTES" in problem["detail"]
                return count
    raise AssertionError(f"{agent} was never refused")


@pytest.fixture
def broker(start):
    return start(BRIDGE_RATE_LIMIT=0, BRIDGE_PENDING_BYTES=32 * MIB)


def test_an_agent_gets_at_most_its_share(broker):
    broker.register("lucy"), broker.register("bob")
    taken = fill(broker, "lucy")
    assert 2 * MIB <= taken * 100_000 <= 2.3 * MIB, "a sixteenth of 32 MiB"
    broker.send("bob", TEXT)
    assert broker.metrics()['bridge_refusals_total{reason="agent_bytes"}'] == 1
    broker.acknowledge(broker.pending("lucy")[0]["ticketId"])
    broker.send("lucy", TEXT)


def test_an_acknowledgement_makes_room_and_a_restart_keeps_the_shares(broker):
    broker.register("lucy")
    sent = fill(broker, "lucy")
    broker.kill()
    broker.start()
    check_problem(broker.ask("POST", "/agents/lucy/send", {"payload": TEXT}), 429)
    for ticket in broker.pending("lucy"):
        broker.acknowledge(ticket["ticketId"])
    assert fill(broker, "lucy") == sent


def test_invented_names_leave_room_for_real_agents(broker):
    """Each invented name has a 64th, and all together have a quarter. Real agents continue."""
    broker.register("lucy")
    assert fill(broker, "typo") == 6, "a 64th of 32 MiB is 512 KiB"
    accepted = 0
    for number in range(200):
        answer = broker.ask("POST", f"/agents/invented-{number}/send", {"payload": TEXT})
        accepted += answer.status == 202
    check_problem(answer, 429)
    assert "invented-199" in answer.json["detail"] and "register" in answer.json["detail"]
    assert 8 * MIB <= (accepted + 6) * 100_000 <= 8.3 * MIB
    broker.send("lucy", TEXT)
    broker.kill()
    broker.start()
    check_problem(broker.ask("POST", "/agents/new/send", {"payload": TEXT}), 429)
    broker.send("lucy", TEXT)
    broker.register("new")
    broker.send("new", TEXT)
    assert broker.metrics()["bridge_messages_stray_bytes"] >= 8 * MIB


def test_one_ticket_fits_into_any_share(start):
    broker = start(BRIDGE_PENDING_BYTES=1024)
    broker.send("typo", TEXT)


def test_a_stray_ticket_expires_with_a_reason_in_its_history(start):
    broker = start(BRIDGE_STRAY_TTL=1)
    broker.register("lucy")
    lost, kept = broker.send("lcuy"), broker.send("lucy")
    wait_until(lambda: broker.ticket(lost)["status"] == "expired", "the stray ticket expires")
    ticket = broker.ticket(lost)
    assert stages(ticket) == ["accepted", "expired"]
    assert "registered" in ticket["history"][-1]["evidence"]["reason"]
    assert broker.ticket(kept)["status"] == "pending"


def test_the_waiting_age_ignores_unknown_agents(start):
    """A misspelled name must not raise an alert for ever. The counter of stray tickets shows it."""
    broker = start()
    broker.register("lucy")
    broker.send("lcuy")
    found = wait_until(
        lambda: (found := broker.metrics())["bridge_oldest_pending_age_seconds"] > 0.1 and found,
        "the stray ticket ages",
    )
    assert (
        found["bridge_oldest_waiting_age_seconds"] == 0
        and found["bridge_messages_stray_total"] == 1
    )
    broker.send("lucy")
    wait_until(
        lambda: broker.metrics()["bridge_oldest_waiting_age_seconds"] > 0, "lucy's ticket ages"
    )

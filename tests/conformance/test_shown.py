"""Stages that do not change the status, and waits for a stage.

`shown`: a terminal has shown the ticket. `aside`: its watcher delivers other tickets first.
"""

from __future__ import annotations

import socket
import threading

import pytest
from running import PATIENCE, new_name, stages, wait_until

from conformance.shapes import check_problem


def say(broker, ticket_id, **place):
    return broker.ask("POST", f"/tickets/{ticket_id}/shown", place or None)


def test_shown_is_a_stage_and_changes_nothing_else(broker):
    ticket_id = broker.send(new_name(), "look")
    before = broker.ticket(ticket_id)
    answer = say(broker, ticket_id, pane="%3", tty="/dev/pts/7", terminal="tmux-256color")
    assert (answer.status, answer.json) == (200, {"ticketId": ticket_id, "status": "pending"})
    ticket = broker.ticket(ticket_id)
    moment = ticket["history"][-1]
    assert (moment["stage"], moment["evidence"]) == (
        "shown",
        {"pane": "%3", "tty": "/dev/pts/7", "terminal": "tmux-256color"},
    )
    assert moment["at"].endswith("Z")
    assert {**ticket, "history": before["history"]} == before, "only the history changes"


def test_each_terminal_is_one_stage(broker):
    ticket_id = broker.send(new_name(), 1)
    for _ in range(3):
        assert say(broker, ticket_id, pane="%3", tty="/dev/pts/7").status == 200
    assert say(broker, ticket_id, tty="/dev/pts/8").status == 200
    assert say(broker, ticket_id).status == 200
    assert [moment.get("evidence") for moment in broker.ticket(ticket_id)["history"][1:]] == [
        {"pane": "%3", "tty": "/dev/pts/7"},
        {"tty": "/dev/pts/8"},
        {},
    ]


def test_shown_is_recorded_in_any_status(broker):
    ticket_id = broker.send(new_name(), 1)
    broker.acknowledge(ticket_id, {"watcher": "w"})
    assert say(broker, ticket_id, pane="%1").json["status"] == "delivered"
    assert broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "yes"}).status == 204
    assert say(broker, ticket_id, pane="%2").json["status"] == "responded"
    assert stages(broker.ticket(ticket_id)) == [
        "accepted",
        "acknowledged",
        "shown",
        "replied",
        "shown",
    ]


def test_a_bad_body_is_400_and_an_unknown_ticket_is_404(broker):
    ticket_id = broker.send(new_name(), 1)
    check_problem(say(broker, "no-such-ticket", pane="%1"), 404)
    for body in (b"[]", b"{", {"pane": 3}, {"tty": []}, {"terminal": "x" * 257}):
        check_problem(broker.ask("POST", f"/tickets/{ticket_id}/shown", body), 400)
    answer = broker.ask("GET", f"/tickets/{ticket_id}/shown")
    check_problem(answer, 405)
    assert stages(broker.ticket(ticket_id)) == ["accepted"]


def test_shown_is_kept_after_kill_minus_nine(start):
    broker = start()
    ticket_id = broker.send("lucy", 1)
    assert say(broker, ticket_id, pane="%3").status == 200
    broker.kill()
    broker.start()
    assert stages(broker.ticket(ticket_id)) == ["accepted", "shown"]


def waiting(broker, path):
    """Start a request that waits, in a thread. The result joins it and returns the response."""
    found = []
    thread = threading.Thread(
        target=lambda: found.append(broker.ask("GET", path, timeout=2 * PATIENCE))
    )
    thread.start()

    def join():
        thread.join(2 * PATIENCE)
        return found[0]

    return join


def test_a_wait_ends_at_its_stage_and_at_no_other(broker):
    ticket_id = broker.send(new_name(), 1)
    join = waiting(broker, f"/tickets/{ticket_id}?stage=shown&waitMs=60000")
    later = waiting(broker, f"/tickets/{ticket_id}?stage=replied&waitMs=60000")
    assert broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"}).status == 200
    assert say(broker, ticket_id, pane="%3").status == 200
    answer = join()
    assert (
        answer.status == 200
        and stages(answer.json)[-1] == "shown"
        and answer.json["awaited"] == "shown"
    )
    assert broker.ask("POST", "/replies", {"ticketId": ticket_id, "payload": "yes"}).status == 204
    assert stages(later().json)[-1] == "replied"


def test_a_wait_for_an_existing_stage_returns_at_once(broker):
    ticket_id = broker.send(new_name(), 1)
    say(broker, ticket_id, pane="%3")
    assert stages(broker.ask("GET", f"/tickets/{ticket_id}?stage=shown&waitMs=60000").json) == [
        "accepted",
        "shown",
    ]


def test_a_wait_returns_the_ticket_at_its_timeout(broker):
    ticket_id = broker.send(new_name(), 1)
    for wait in ("", "&waitMs=0", "&waitMs=20"):
        answer = broker.ask("GET", f"/tickets/{ticket_id}?stage=shown{wait}")
        assert answer.status == 200 and stages(answer.json) == ["accepted"]


@pytest.mark.parametrize(
    "query",
    ["stage=read", "stage=", "stage=shown&waitMs=60001", "stage=shown&waitMs=x", "waitMs=5"],
)
def test_a_bad_wait_is_400(broker, query):
    ticket_id = broker.send(new_name(), 1)
    check_problem(broker.ask("GET", f"/tickets/{ticket_id}?{query}"), 400)
    check_problem(broker.ask("GET", f"/tickets/no-such-ticket?{query}"), 404)


def test_a_wait_ends_when_its_client_is_gone(start):
    """The broker frees the connection. The later stage must not wake the wait."""
    broker = start()
    ticket_id = broker.send("lucy", 1)
    open_before = broker.metrics()["bridge_connections_open"]
    waiter = socket.create_connection(("127.0.0.1", broker.port))
    waiter.sendall(
        f"GET /tickets/{ticket_id}?stage=shown&waitMs=60000 HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{broker.port}\r\n\r\n".encode()
    )
    wait_until(
        lambda: broker.metrics()["bridge_connections_open"] > open_before, "the waiter's connection"
    )
    waiter.close()
    wait_until(lambda: broker.metrics()["bridge_connections_open"] == open_before, "its end")
    assert say(broker, ticket_id, pane="%3").status == 200


def test_a_broker_that_stops_answers_a_waiting_request(start):
    broker = start()
    ticket_id = broker.send("lucy", 1)
    with broker.line() as line:
        line.request("GET", f"/tickets/{ticket_id}?stage=shown&waitMs=60000")
        wait_until(
            lambda: broker.metrics()["bridge_connections_open"] > 1, "the waiter's connection"
        )
        broker.stop()
        answer = line.read_answer()
    assert answer.status == 200 and answer.json["status"] == "pending"


def set_aside(broker, ticket_id, watcher="w", **more):
    return broker.ask("POST", f"/tickets/{ticket_id}/aside", {"watcher": watcher, **more})


def test_a_ticket_set_aside_has_a_reason_and_no_lease(broker):
    agent = new_name()
    ticket_id = broker.send(agent, 1)
    broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"})
    for _ in range(2):
        answer = set_aside(broker, ticket_id, reason="it fails")
        assert (answer.status, answer.json) == (200, {"ticketId": ticket_id, "status": "pending"})
    ticket = broker.ticket(ticket_id)
    assert stages(ticket) == ["accepted", "claimed", "aside"]
    assert (ticket["history"][-1]["by"], ticket["history"][-1]["evidence"]) == (
        "w",
        {"reason": "it fails"},
    )
    assert [each["ticketId"] for each in broker.pending(agent)] == [ticket_id], "nothing is lost"
    assert broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "another"}).status == 200


def test_a_ticket_that_is_leased_to_another_or_finished_is_not_set_aside(broker):
    ticket_id = broker.send(new_name(), 1)
    broker.ask("POST", f"/tickets/{ticket_id}/claim", {"watcher": "w"})
    assert set_aside(broker, ticket_id, "another").json["leaseUntilAt"]
    broker.acknowledge(ticket_id)
    assert (set_aside(broker, ticket_id).status, set_aside(broker, ticket_id).json["status"]) == (
        409,
        "delivered",
    )
    check_problem(set_aside(broker, "no-such-ticket"), 404)
    for body in (
        {},
        {"watcher": 5},
        {"watcher": "w", "reason": 5},
        {"watcher": "w", "reason": "x" * 513},
    ):
        check_problem(broker.ask("POST", f"/tickets/{ticket_id}/aside", body), 400)

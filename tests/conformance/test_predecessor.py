"""The unchanged requests of the predecessor's three clients.

These are the tool server, the polling watcher and the registration script.
"""

from __future__ import annotations

import threading
import uuid

import pytest
from migration.old_deployment import call
from running import new_name


def test_the_requests_of_the_registration_script(broker):
    agent = new_name()
    status, shown = call(
        broker.url,
        "POST",
        "/agents/register",
        {"agentId": agent, "type": "claude", "metadata": {"session": "dev-lucy", "paneId": "0"}},
    )
    assert (
        status == 200
        and shown["agentId"] == agent
        and shown["metadata"] == {"session": "dev-lucy", "paneId": "0"}
    )
    status, agents = call(broker.url, "GET", "/agents")
    assert status == 200 and agent in [entry["agentId"] for entry in agents]
    assert call(broker.url, "POST", f"/agents/{agent}/heartbeat", {})[1]["status"] == "ok"
    assert call(broker.url, "POST", f"/agents/{agent}/heartbeat")[1]["status"] == "ok"


def test_the_requests_of_the_tool_server_and_the_watcher(broker):
    agent, ticket_id = new_name(), str(uuid.uuid4())
    call(broker.url, "POST", "/agents/register", {"agentId": agent})
    body = {
        "ticketId": ticket_id,
        "payload": {"text": "please"},
        "metadata": {"origin": "ui"},
        "expectReply": True,
        "timeoutMs": 30000,
    }
    status, accepted = call(broker.url, "POST", f"/agents/{agent}/send", body)
    assert status == 202 and accepted["ticketId"] == ticket_id
    assert call(broker.url, "GET", f"/replies/{ticket_id}?waitMs=100") == (204, None), (
        "these clients take a 204 for no reply yet"
    )

    answers = []
    waiter = threading.Thread(
        target=lambda: answers.append(call(broker.url, "GET", f"/replies/{ticket_id}?waitMs=5000"))
    )
    waiter.start()
    status, tickets = call(broker.url, "GET", f"/agents/{agent}/tickets/pending")
    assert status == 200 and [ticket["ticketId"] for ticket in tickets] == [ticket_id]
    assert (
        tickets[0]["payload"] == {"text": "please"}
        and tickets[0]["targetAgent"] == agent
        and tickets[0]["originAgent"] == "ui"
    )
    assert call(broker.url, "POST", f"/tickets/{ticket_id}/acknowledge") == (
        200,
        {"ticketId": ticket_id, "status": "delivered"},
    )
    assert call(broker.url, "GET", f"/agents/{agent}/tickets/pending") == (200, [])
    assert call(broker.url, "POST", "/replies", {"ticketId": ticket_id, "payload": "done"}) == (
        204,
        None,
    )
    waiter.join()
    status, ticket = answers[0]
    assert (
        status == 200
        and ticket["status"] == "responded"
        and ticket["response"]["payload"] == "done"
    )


@pytest.mark.parametrize(
    "method, path, body, status",
    [
        ("GET", "/replies/none", None, 404),
        ("POST", "/tickets/none/acknowledge", None, 404),
        ("POST", "/replies", {"ticketId": "none", "payload": 1}, 404),
        ("POST", "/agents/x/send", {"no": "payload"}, 400),
        ("POST", "/agents/nobody-registered/heartbeat", {}, 404),
    ],
)
def test_errors_have_the_key_that_those_clients_read(broker, method, path, body, status):
    code, error = call(broker.url, method, path, body)
    assert code == status and isinstance(error, str) and error


def test_a_send_to_an_unregistered_agent_is_accepted(broker):
    """The predecessor's broker returned 500. Store and forward returns 202."""
    assert call(broker.url, "POST", f"/agents/{new_name()}/send", {"payload": 1})[0] == 202

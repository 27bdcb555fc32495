"""The predecessor's three clients, as they call, unchanged: tool server, polling watcher, registration script."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
import uuid

import pytest

from running import new_name


def call(broker, method, path, body=None):
    """As those clients do it: a client library, JSON in and out, `error` read on failure."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(broker.url + path, data, {"Content-Type": "application/json", "Accept": "*/*", "User-Agent": "node"}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


def test_the_registration_script(broker):
    agent = new_name()
    status, shown = call(broker, "POST", "/agents/register", {"agentId": agent, "type": "claude", "metadata": {"session": "dev-lucy", "paneId": "0"}})
    assert status == 200 and shown["agentId"] == agent and shown["metadata"] == {"session": "dev-lucy", "paneId": "0"}
    status, agents = call(broker, "GET", "/agents")
    assert status == 200 and agent in [entry["agentId"] for entry in agents]
    assert call(broker, "POST", f"/agents/{agent}/heartbeat", {})[1]["status"] == "ok"
    assert call(broker, "POST", f"/agents/{agent}/heartbeat")[1]["status"] == "ok"


def test_the_tool_server_and_the_watcher(broker):
    agent, ticket_id = new_name(), str(uuid.uuid4())
    call(broker, "POST", "/agents/register", {"agentId": agent})
    body = {"ticketId": ticket_id, "payload": {"text": "please"}, "metadata": {"origin": "ui"}, "expectReply": True, "timeoutMs": 30000}
    status, accepted = call(broker, "POST", f"/agents/{agent}/send", body)
    assert status == 202 and accepted["ticketId"] == ticket_id
    assert call(broker, "GET", f"/replies/{ticket_id}?waitMs=100") == (204, None), "204 reads as: none yet"

    answers = []
    waiter = threading.Thread(target=lambda: answers.append(call(broker, "GET", f"/replies/{ticket_id}?waitMs=5000")))
    waiter.start()
    status, tickets = call(broker, "GET", f"/agents/{agent}/tickets/pending")
    assert status == 200 and [ticket["ticketId"] for ticket in tickets] == [ticket_id]
    assert tickets[0]["payload"] == {"text": "please"} and tickets[0]["targetAgent"] == agent and tickets[0]["originAgent"] == "ui"
    assert call(broker, "POST", f"/tickets/{ticket_id}/acknowledge") == (200, {"ticketId": ticket_id, "status": "delivered"})
    assert call(broker, "GET", f"/agents/{agent}/tickets/pending") == (200, [])
    assert call(broker, "POST", "/replies", {"ticketId": ticket_id, "payload": "done"}) == (204, None)
    waiter.join()
    status, ticket = answers[0]
    assert status == 200 and ticket["status"] == "responded" and ticket["response"]["payload"] == "done"


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
    code, error = call(broker, method, path, body)
    assert code == status and isinstance(error, str) and error


def test_nobody_need_be_registered(broker):
    """Its own broker said 500 here; store and forward says 202."""
    assert call(broker, "POST", f"/agents/{new_name()}/send", {"payload": 1})[0] == 202

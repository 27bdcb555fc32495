"""Agents: register, list, show, remove, heartbeat, and presence."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from running import new_name, wait_until

from conformance.shapes import check_agent, check_problem, is_at


def test_register_returns_the_agent(broker):
    agent = new_name()
    answer = broker.ask(
        "POST",
        "/agents/register",
        {
            "agentId": agent,
            "type": "coder",
            "metadata": {"session": "dev", "paneId": "0"},
            "heartbeatIntervalMs": 15000,
        },
    )
    assert answer.status == 200
    check_agent(answer.json)
    assert answer.json["agentId"] == agent and answer.json["type"] == "coder"
    assert answer.json["metadata"] == {"session": "dev", "paneId": "0"}
    assert answer.json["heartbeatIntervalMs"] == 15000
    shown = broker.ask("GET", f"/agents/{agent}")
    assert shown.status == 200
    check_agent(shown.json)
    assert {**shown.json, "status": ""} == {**answer.json, "status": ""}


def test_register_needs_only_the_id(broker):
    check_agent(broker.register(new_name()))


def test_registering_again_merges_metadata(broker):
    agent = new_name()
    broker.register(agent, type="coder", metadata={"kept": 1, "changed": 1})
    again = broker.register(agent, metadata={"changed": 2, "new": {"deep": [1]}})
    assert again["metadata"] == {"kept": 1, "changed": 2, "new": {"deep": [1]}}
    assert broker.ask("GET", f"/agents/{agent}").json["metadata"] == again["metadata"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"agentId": ""},
        {"agentId": 5},
        {"agentId": None},
        {"agentId": ["a"]},
        {"agentId": "a\nb"},
        {"agentId": "a\x00b"},
        {"agentId": "a\x7fb"},
        {"agentId": "a\x85b"},
        {"agentId": "x" * 129},
        {"agentId": "a", "type": 5},
        {"agentId": "a", "metadata": "text"},
        {"agentId": "a", "metadata": ["list"]},
        {"agentId": "a", "heartbeatIntervalMs": "soon"},
        {"agentId": "a", "heartbeatIntervalMs": -1},
        {"agentId": "a", "heartbeatIntervalMs": True},
        [],
        "a",
        None,
    ],
    ids=repr,
)
def test_register_refuses_a_bad_body(broker, body):
    check_problem(
        broker.ask("POST", "/agents/register", body if body is not None else b"null"), 400
    )


def test_register_without_a_body_is_400(broker):
    check_problem(broker.ask("POST", "/agents/register"), 400)


def test_an_id_may_be_128_characters(broker):
    agent = ("é" + new_name()).ljust(128, "z")
    assert broker.register(agent)["agentId"] == agent
    assert broker.ask("GET", f"/agents/{quote(agent)}").status == 200


@pytest.mark.parametrize(
    "odd", ["a/b", "a b", "ünïcode-☃", "a%41", "..", "?x=1#y", "a+b", "register2"]
)
def test_odd_ids_are_percent_decoded_once(broker, odd):
    agent = f"{odd}"
    broker.register(agent)
    shown = broker.ask("GET", f"/agents/{quote(agent, safe='')}")
    assert shown.status == 200 and shown.json["agentId"] == agent
    ticket = broker.send(quote(agent, safe=""), "hi")
    assert [entry["ticketId"] for entry in broker.pending(quote(agent, safe=""))] == [ticket]
    assert broker.ticket(ticket)["agentId"] == agent
    assert broker.ask("DELETE", f"/agents/{quote(agent, safe='')}").status == 204
    broker.acknowledge(ticket)


def test_the_list_filters_by_type_and_status(broker):
    kind, one, other = new_name(), new_name(), new_name()
    broker.register(one, type=kind)
    broker.register(other, type=new_name())
    whole = broker.ask("GET", "/agents")
    assert whole.status == 200 and isinstance(whole.json, list)
    for agent in whole.json:
        check_agent(agent)
    assert {one, other} <= {agent["agentId"] for agent in whole.json}
    assert [agent["agentId"] for agent in broker.ask("GET", f"/agents?type={kind}").json] == [one]
    assert broker.ask("GET", "/agents?type=no-such-type").json == []
    broker.ask("POST", f"/agents/{one}/heartbeat")
    assert one in {agent["agentId"] for agent in broker.ask("GET", "/agents?status=online").json}
    assert one not in {
        agent["agentId"] for agent in broker.ask("GET", "/agents?status=offline").json
    }
    assert [
        agent["agentId"] for agent in broker.ask("GET", f"/agents?status=online&type={kind}").json
    ] == [one]
    assert broker.ask("GET", f"/agents?status=offline&type={kind}").json == []


def test_an_unknown_agent_is_404(broker):
    agent = new_name()
    check_problem(broker.ask("GET", f"/agents/{agent}"), 404)
    check_problem(broker.ask("DELETE", f"/agents/{agent}"), 404)
    check_problem(broker.ask("POST", f"/agents/{agent}/heartbeat"), 404)


def test_removing_a_registration_removes_no_ticket(broker):
    agent = new_name()
    broker.register(agent)
    ticket = broker.send(agent, "stays")
    removed = broker.ask("DELETE", f"/agents/{agent}")
    assert removed.status == 204 and removed.body == b""
    check_problem(broker.ask("DELETE", f"/agents/{agent}"), 404)
    check_problem(broker.ask("GET", f"/agents/{agent}"), 404)
    assert agent not in {entry["agentId"] for entry in broker.ask("GET", "/agents").json}
    assert [entry["ticketId"] for entry in broker.pending(agent)] == [ticket]


def test_heartbeat(broker):
    agent = new_name()
    broker.register(agent)
    answer = broker.ask("POST", f"/agents/{agent}/heartbeat")
    assert answer.status == 200
    assert set(answer.json) == {"status", "lastHeartbeat"}
    assert answer.json["status"] == "ok" and is_at(answer.json["lastHeartbeat"])
    shown = broker.ask("GET", f"/agents/{agent}").json
    assert shown["status"] == "online" and shown["lastHeartbeat"] == answer.json["lastHeartbeat"]


@pytest.mark.parametrize(
    "body", [{}, {"tier": "sse"}, {"from": "the predecessor", "load": [1, 2]}], ids=repr
)
def test_heartbeat_accepts_any_object(broker, body):
    agent = new_name()
    broker.register(agent)
    assert broker.ask("POST", f"/agents/{agent}/heartbeat", body).status == 200


REPORT = {
    "tier": "sse",
    "session": "dev-lucy",
    "pane": "%3",
    "health": "busy",
    "queued": 2,
    "reconnects": 1,
    "sessionFailures": 3,
    "injectionErrors": 4,
    "cpuPercent": 0.5,
    "memoryBytes": 123456789,
}


def test_a_report_shows_on_the_debug_page_and_in_the_metrics(start):
    broker = start()
    agent = new_name()
    broker.register(agent)
    assert broker.ask("POST", f"/agents/{agent}/heartbeat", REPORT).status == 200
    status = broker.ask("GET", f"/debug/agent/{agent}/status").json
    assert status["tmuxSession"] == "dev-lucy" and status["sessionHealth"] == "busy"
    broker.ask(
        "POST", f"/agents/{agent}/heartbeat", {**REPORT, "health": "lost", "memoryBytes": 987654321}
    )
    assert broker.ask("GET", f"/debug/agent/{agent}/status").json["sessionHealth"] == "lost"
    shown = broker.metrics().values()
    assert 987654321 in shown and 123456789 not in shown, "only the latest report is shown"


def test_an_empty_heartbeat_keeps_the_latest_report(broker):
    agent = new_name()
    broker.register(agent)
    broker.ask("POST", f"/agents/{agent}/heartbeat", REPORT)
    broker.ask("POST", f"/agents/{agent}/heartbeat")
    assert broker.ask("GET", f"/debug/agent/{agent}/status").json["tmuxSession"] == "dev-lucy"


def test_an_agent_is_online_while_a_stream_is_open(start):
    """The heartbeat interval is 1 ms, so that only the stream can keep the agent online."""
    broker = start()
    agent = new_name()
    broker.register(agent, heartbeatIntervalMs=1)
    wait_until(
        lambda: broker.ask("GET", f"/agents/{agent}").json["status"] == "offline",
        "offline without a stream",
    )
    with broker.agent_stream(agent) as stream:
        stream.read_block()
        assert broker.ask("GET", f"/agents/{agent}").json["status"] == "online"
    wait_until(
        lambda: broker.ask("GET", f"/agents/{agent}").json["status"] == "offline",
        "offline after the stream is closed",
    )


def test_an_agent_is_online_while_a_long_poll_waits(start):
    broker = start()
    agent = new_name()
    broker.register(agent, heartbeatIntervalMs=1)
    with broker.line() as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=30000")
        wait_until(
            lambda: broker.ask("GET", f"/agents/{agent}").json["status"] == "online",
            "online while it waits",
        )
    wait_until(
        lambda: broker.ask("GET", f"/agents/{agent}").json["status"] == "offline",
        "offline after the long-poll is closed",
    )


def test_registrations_survive_a_restart(start):
    broker = start()
    agent = new_name()
    before = broker.register(
        agent, type="coder", metadata={"deep": {"x": [1, None]}}, heartbeatIntervalMs=777
    )
    broker.kill()
    broker.start()
    after = broker.ask("GET", f"/agents/{agent}").json
    for key in ("agentId", "type", "metadata", "heartbeatIntervalMs"):
        assert after[key] == before[key]
    broker.ask("DELETE", f"/agents/{agent}")
    broker.kill()
    broker.start()
    check_problem(broker.ask("GET", f"/agents/{agent}"), 404)

"""GET /overview, and observers that read tickets without receiving them.

test_live_events.py and test_search.py hold the other pages for observers.
"""

from __future__ import annotations

import json

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import check_problem, is_at, is_count

ROW_KEYS = {
    "agentId",
    "type",
    "registered",
    "status",
    "connection",
    "health",
    "session",
    "pane",
    "pending",
    "oldestPendingAt",
    "waiting",
    "queued",
    "lastHeartbeat",
}
TOTALS = {
    "accepted",
    "acknowledged",
    "replied",
    "expired",
    "dropped",
    "refused",
    "pending",
    "pendingBytes",
    "streams",
    "longpolls",
    "connections",
    "agents",
}
HOPS = ["streamed", "injected", "acknowledged", "delivered"]


def overview(broker, query=""):
    answer = broker.ask("GET", f"/overview{query}")
    assert answer.status == 200, answer
    return answer.json


def row_of(broker, agent):
    rows = overview(broker, f"?agent={agent}")["agents"]
    assert len(rows) == 1 and set(rows[0]) == ROW_KEYS
    return rows[0]


def check_row(row):
    assert set(row) == ROW_KEYS
    assert row["status"] in ("online", "offline") and row["connection"] in (
        "sse",
        "longpoll",
        "poll",
        "none",
    )
    assert row["health"] in (None, "healthy", "busy", "lost") and is_count(row["pending"])
    assert (row["oldestPendingAt"] is None) == (row["pending"] == 0)


def test_the_overview_has_its_shape(broker):
    agent = new_name()
    broker.register(agent, type="worker", metadata={"session": "dev", "paneId": "%3"})
    broker.send(agent, 1)
    found = overview(broker)
    assert set(found) == {
        "at",
        "version",
        "uptimeMs",
        "totals",
        "timeline",
        "latency",
        "agents",
        "truncated",
    }
    assert is_at(found["at"]) and is_count(found["uptimeMs"]) and found["truncated"] is False
    assert set(found["totals"]) == TOTALS | {"oldestPendingAt"} and all(
        is_count(found["totals"][name]) for name in TOTALS
    )
    assert is_at(found["totals"]["oldestPendingAt"])
    line = found["timeline"]
    assert line["stepMs"] == 1000 and is_at(line["fromAt"]) and line["fromAt"] < found["at"]
    assert all(len(line[name]) == 120 for name in ("accepted", "acknowledged", "p50Ms", "p99Ms"))
    assert list(found["latency"]) == HOPS and all(
        set(each) == {"count", "p50Ms", "p99Ms"} for each in found["latency"].values()
    )
    names = [row["agentId"] for row in found["agents"]]
    assert names == sorted(set(names)) and agent in names
    for row in found["agents"]:
        check_row(row)
    row = row_of(broker, agent)
    assert (row["type"], row["registered"], row["session"], row["pane"], row["pending"]) == (
        "worker",
        True,
        "dev",
        "%3",
        1,
    )


def test_the_overview_counts_what_happens(start):
    broker = start()
    first, second = broker.send("a", 1), broker.send("b", 2, expectReply=True)
    assert broker.ask("POST", "/agents/a/send", {}).status == 400
    with broker.agent_stream("a") as stream:
        stream.read_event()
        broker.acknowledge(
            first, {"watcher": "w", "evidence": {"submittedAt": "2001-01-01T00:00:00.000Z"}}
        )
        broker.ask("POST", "/replies", {"ticketId": second, "payload": "ok"})
        found = overview(broker)
    totals = found["totals"]
    expected = {
        "accepted": 2,
        "acknowledged": 1,
        "replied": 1,
        "expired": 0,
        "refused": 1,
        "pending": 0,
        "streams": 1,
    }
    assert {name: totals[name] for name in expected} == expected
    assert totals["oldestPendingAt"] is None
    assert sum(found["timeline"]["accepted"]) == 2 and sum(found["timeline"]["acknowledged"]) == 1
    assert [found["latency"][hop]["count"] for hop in HOPS] == [1, 1, 1, 1]
    assert found["latency"]["injected"]["p50Ms"] < 1, (
        "a clock that is years behind makes no negative latency"
    )
    assert sum(value is not None for value in found["timeline"]["p50Ms"]) == 1
    delivered = found["latency"]["delivered"]
    assert 0 < delivered["p50Ms"] <= delivered["p99Ms"]
    assert [row["agentId"] for row in found["agents"]] == ["a"], (
        "b has no pending ticket, no stream and no registration"
    )


def test_the_overview_can_be_limited_and_filtered_by_agent(start):
    broker = start()
    for agent in ("cy", "bo", "al"):
        broker.send(agent, 1)
    assert [row["agentId"] for row in overview(broker, "?agent=bo")["agents"]] == ["bo"]
    short = overview(broker, "?limit=2")
    assert [row["agentId"] for row in short["agents"]] == ["al", "bo"] and short[
        "truncated"
    ] is True
    check_problem(broker.ask("GET", "/overview?agent=nobody"), 404)
    for query in ("?limit=0", "?limit=10001", "?limit=x"):
        check_problem(broker.ask("GET", "/overview" + query), 400)


def test_the_overview_shows_what_a_watcher_waits_for(broker):
    agent = new_name()
    broker.register(agent)
    path = f"/agents/{agent}/heartbeat"
    waiting = {
        "ticketId": "t1",
        "reason": "the pane is at a password prompt (echo is off)",
        "sinceAt": "2026-01-01T12:04:11.000Z",
    }
    assert row_of(broker, agent)["waiting"] is None
    broker.ask(
        "POST",
        path,
        {"tier": "sse", "health": "busy", "session": "dev", "queued": 2, "waiting": waiting},
    )
    row = row_of(broker, agent)
    assert row["waiting"] == waiting and (row["health"], row["queued"], row["session"]) == (
        "busy",
        2,
        "dev",
    )
    for other in (None, "words", {"reason": 1, "sinceAt": "x"}, {"reason": "no time"}, []):
        broker.ask("POST", path, {"health": "healthy", "waiting": other})
        assert row_of(broker, agent)["waiting"] is None, other
    broker.ask(
        "POST",
        path,
        {
            "health": {"a": 1},
            "queued": True,
            "waiting": {"ticketId": 7, "reason": "r" * 100_000, "sinceAt": "s" * 1000, "more": 1},
        },
    )
    row = row_of(broker, agent)
    assert (
        set(row["waiting"]) == {"ticketId", "reason", "sinceAt"}
        and row["waiting"]["ticketId"] is None
    )
    assert len(row["waiting"]["reason"]) < 1000 and row["health"] is None


@pytest.mark.parametrize("number", [10**400, -1, 1 << 60], ids=["huge", "negative", "large"])
def test_an_invalid_number_of_a_report_is_not_shown(broker, number):
    """Such a number would make readers of the overview fail until the agent is removed."""
    agent = new_name()
    broker.register(agent)
    numbers = dict.fromkeys(["queued", "memoryBytes", "cpuPercent", "reconnects"], number)
    report = {"health": "healthy", **numbers}
    assert broker.ask("POST", f"/agents/{agent}/heartbeat", report).status == 200
    assert row_of(broker, agent)["queued"] is None and row_of(broker, agent)["health"] == "healthy"


def test_the_report_of_a_watcher_that_is_gone_is_not_shown(broker):
    agent = new_name()
    broker.register(agent, heartbeatIntervalMs=1000)
    broker.ask(
        "POST",
        f"/agents/{agent}/heartbeat",
        {"health": "healthy", "waiting": {"ticketId": None, "reason": "why", "sinceAt": "then"}},
    )
    assert row_of(broker, agent)["health"] == "healthy"
    row = wait_until(
        lambda: (row := row_of(broker, agent))["status"] == "offline" and row,
        "the watcher counts as gone",
    )
    assert row["health"] is None and row["waiting"] is None


def test_an_observer_changes_no_presence_and_no_stage(broker):
    agent = new_name()
    ticket = broker.send(agent, "hello")
    with broker.stream("/tickets/stream?observe=1") as stream:
        while json.loads(stream.read_event().data)["agentId"] != agent:
            pass
        assert [each["ticketId"] for each in broker.pending(agent, "?observe=1")] == [ticket]
        assert row_of(broker, agent)["connection"] == "none" and stages(broker.ticket(ticket)) == [
            "accepted"
        ]
    broker.pending(agent)
    assert row_of(broker, agent)["connection"] == "poll" and stages(broker.ticket(ticket)) == [
        "accepted",
        "streamed",
    ]
    for path in ("/tickets/stream?observe=x", f"/agents/{agent}/tickets/pending?observe=2"):
        check_problem(broker.ask("GET", path), 400)

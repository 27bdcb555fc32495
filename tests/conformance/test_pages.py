"""The health page and the debug pages."""

from __future__ import annotations

from running import new_name, wait_until

from conformance.shapes import check_problem, is_count


def test_health_has_its_shape(broker):
    answer = broker.ask("GET", "/health")
    assert answer.status == 200 and set(answer.json) == {"status", "agents", "tickets", "uptime"}
    assert (
        answer.json["status"] == "ok"
        and is_count(answer.json["agents"])
        and is_count(answer.json["tickets"])
    )
    assert isinstance(answer.json["uptime"], (int, float)) and answer.json["uptime"] >= 0


def test_health_counts_agents_and_tickets(start):
    broker = start()
    assert broker.ask("GET", "/health").json["agents"] == 0
    broker.register("a"), broker.register("b"), broker.register("a")
    assert broker.ask("GET", "/health").json["agents"] == 2
    assert broker.ask("GET", "/health").json["tickets"] == 0
    broker.send("a", 1)
    assert broker.ask("GET", "/health").json["tickets"] == 1


def test_the_connections_page_counts_streams_and_polls(start):
    broker = start()
    shape = broker.ask("GET", "/debug/connections").json
    assert set(shape) == {"sse", "longpoll", "polling"}
    assert (
        set(shape["sse"]) == {"active", "pending", "failed"}
        and set(shape["longpoll"]) == {"active", "waiting"}
        and set(shape["polling"]) == {"active"}
    )
    assert all(is_count(value) for part in shape.values() for value in part.values())
    assert shape["sse"]["active"] == shape["longpoll"]["waiting"] == shape["polling"]["active"] == 0
    streams = [broker.agent_stream(f"a{number}") for number in range(3)] + [
        broker.stream("/tickets/stream")
    ]
    for stream in streams:
        stream.read_block()
    broker.pending("polled-1"), broker.pending("polled-1"), broker.pending("polled-2")
    with broker.line() as line:
        line.request("GET", "/agents/waits/tickets/pending?waitMs=60000")
        wait_until(
            lambda: broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"] == 1,
            "one long-poll waits",
        )
        shape = broker.ask("GET", "/debug/connections").json
        assert shape["sse"]["active"] == 4 and shape["sse"]["pending"] == 0
        assert shape["longpoll"]["active"] >= 1
        assert shape["polling"]["active"] == 2, "it counts agents, not polls"
    for stream in streams:
        stream.close()
    wait_until(
        lambda: broker.ask("GET", "/debug/connections").json["sse"]["active"] == 0,
        "closed streams are removed",
    )


def test_the_agents_page_shows_its_connection_and_tickets(broker):
    agent = new_name()
    check_problem(broker.ask("GET", f"/debug/agent/{agent}/status"), 404)
    broker.register(agent)
    path = f"/debug/agent/{agent}/status"
    shape = broker.ask("GET", path).json
    assert set(shape) == {
        "connection",
        "lastHeartbeat",
        "pendingMessages",
        "tmuxSession",
        "sessionHealth",
    }
    assert shape["connection"] == "none" and shape["pendingMessages"] == 0
    broker.send(agent, 1), broker.send(agent, 2)
    assert broker.ask("GET", path).json["pendingMessages"] == 2
    broker.pending(agent)
    assert broker.ask("GET", path).json["connection"] == "poll"
    with broker.line() as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=60000&after={2**40}")
        wait_until(lambda: broker.ask("GET", path).json["connection"] == "longpoll", "longpoll")
        with broker.agent_stream(agent) as stream:
            stream.read_block()
            assert broker.ask("GET", path).json["connection"] == "sse", "the best tier counts"


def test_an_agent_that_was_only_sent_to_has_a_page(start):
    """This holds even without pending tickets, and after a restart of the broker."""
    broker = start()
    first, second = broker.send("ann", 1), broker.send("bob", 1)
    for agent, ticket, restarts in (("ann", first, False), ("bob", second, True)):
        if restarts:
            broker.ask("POST", "/agents/eve/subscribe", {"subscriber": "S"})
            broker.stop()
            broker.start()
            assert broker.ask("GET", "/debug/agent/eve/status").status == 200, (
                "its subscription was kept"
            )
        for pending in (1, 0):
            answer = broker.ask("GET", f"/debug/agent/{agent}/status")
            assert (
                answer.status == 200
                and answer.json["pendingMessages"] == pending
                and answer.json["connection"] == "none"
            )
            broker.acknowledge(ticket)

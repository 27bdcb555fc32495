"""GET /events: the stages of tickets and the changes of agents, while they happen."""

from __future__ import annotations

import json

from running import new_name, wait_until

from conformance.shapes import STAGES, check_problem, is_at
from conformance.test_observation import check_row, overview, row_of


class Events:
    """An open /events, read one event at a time."""

    def __init__(self, broker, query=""):
        self.stream = broker.stream(f"/events{query}")
        assert self.stream.head.status == 200
        self.stream.read_block()  # the opening

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def read(self, wanted=None):
        """Return the next event, or the next one with the name `wanted`."""
        while True:
            event = self.stream.read_event()
            assert event.id is None, "live events cannot be resumed"
            if wanted in (None, event.event):
                return json.loads(event.data)

    def read_stages(self, count):
        return [self.read("stage") for _ in range(count)]


def test_each_stage_of_a_ticket_is_an_event(broker):
    agent = new_name()
    with Events(broker, f"?agent={agent}") as events, broker.agent_stream(agent) as stream:
        ticket = broker.send(agent, "hello " * 100, metadata={"origin": "ann", "threadId": "T"})
        stream.read_event()
        broker.ask("POST", f"/tickets/{ticket}/claim", {"watcher": "w"})
        broker.acknowledge(
            ticket,
            {"watcher": "w", "evidence": {"pane": "%1", "submittedAt": "2026-01-01T00:00:00.000Z"}},
        )
        broker.ask("POST", "/replies", {"ticketId": ticket, "payload": {"done": True}})
        told = events.read_stages(6)
    assert [each["stage"] for each in told] == [
        stage for stage in STAGES if stage not in ("expired", "dropped")
    ]
    for each in told:
        assert {
            "ticketId",
            "seq",
            "agentId",
            "originAgent",
            "threadId",
            "stage",
            "at",
            "status",
        } <= set(each) and is_at(each["at"])
        assert (each["ticketId"], each["agentId"], each["originAgent"], each["threadId"]) == (
            ticket,
            agent,
            "ann",
            "T",
        )
    assert [each["status"] for each in told] == ["pending"] * 3 + ["delivered"] * 2 + ["responded"]
    assert (told[1]["by"], told[2]["by"], told[3]["evidence"]["pane"]) == ("sse", "w", "%1")
    assert {each["stage"]: each["preview"] for each in told if "preview" in each} == {
        "accepted": ("hello " * 100)[:200],
        "replied": '{"done":true}',
    }


def test_an_expired_ticket_makes_an_event(broker):
    agent = new_name()
    with Events(broker, f"?agent={agent}") as events:
        broker.send(agent, "brief", ttlMs=1)
        assert [(each["stage"], each["status"]) for each in events.read_stages(2)] == [
            ("accepted", "pending"),
            ("expired", "expired"),
        ]


def test_events_can_be_filtered_by_thread(broker):
    agent, thread = new_name(), new_name()
    with Events(broker, f"?thread={thread}") as events:
        broker.send(agent, "other")
        wanted = broker.send(agent, "ours", metadata={"threadId": thread})
        assert events.read()["ticketId"] == wanted


def test_each_change_of_an_agent_is_an_event(broker):
    agent = new_name()
    with Events(broker, f"?agent={agent}") as events:
        broker.register(agent)
        row = events.read("agent")
        check_row(row)
        assert (row["agentId"], row["status"], row["connection"]) == (agent, "online", "none"), (
            "a registration counts as a sign of life"
        )
        with broker.agent_stream(agent) as stream:
            stream.read_block()
            assert events.read("agent")["connection"] == "sse"
            broker.ask(
                "POST",
                f"/agents/{agent}/heartbeat",
                {
                    "health": "busy",
                    "waiting": {"ticketId": None, "reason": "why", "sinceAt": "then"},
                },
            )
            row = events.read("agent")
            assert row["health"] == "busy" and row["waiting"]["reason"] == "why"
        assert events.read("agent")["connection"] == "none"
        broker.ask("DELETE", f"/agents/{agent}")
        row = events.read("agent")
        assert (row["registered"], row["connection"], row["pending"]) == (False, "none", 0)


def test_a_reader_of_events_is_no_presence_and_can_be_refused(start):
    broker = start(BRIDGE_EVENTS_MAX=1)
    broker.send("a", 1)
    with Events(broker, "?agent=a"):
        assert row_of(broker, "a")["connection"] == "none"
        check_problem(broker.ask("GET", "/events"), 503)
    wait_until(lambda: overview(broker)["totals"]["streams"] == 0, "the closed reader is removed")
    with Events(broker):
        pass
    check_problem(broker.ask("GET", "/events?heartbeat=x"), 400)


def test_without_streams_there_are_no_events(start):
    check_problem(start(DISABLE_SSE="true").ask("GET", "/events"), 503)

"""The overview, the live events and the search, as people's programs read them."""

from __future__ import annotations

import json

import pytest
from running import new_name, stages, wait_until

from conformance.shapes import STAGES, check_problem, check_ticket, is_at, is_count

ROW_KEYS = {
    "agentId", "type", "registered", "status", "connection", "health", "session", "pane", "pending",
    "oldestPendingAt", "waiting", "queued", "lastHeartbeat",
}  # fmt: skip
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
        """The next event; of that name, when one is wanted."""
        while True:
            event = self.stream.read_event()
            assert event.id is None, "live only: there is nothing to come back to"
            if wanted in (None, event.event):
                return json.loads(event.data)

    def read_stages(self, count):
        return [self.read("stage") for _ in range(count)]


def test_overview_has_its_shape(broker):
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


def test_overview_counts_what_happens(start):
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
    assert {name: totals[name] for name in ("accepted", "acknowledged", "replied", "expired", "refused", "pending", "streams")} == {
        "accepted": 2, "acknowledged": 1, "replied": 1, "expired": 0, "refused": 1, "pending": 0, "streams": 1,
    }  # fmt: skip
    assert totals["oldestPendingAt"] is None
    assert sum(found["timeline"]["accepted"]) == 2 and sum(found["timeline"]["acknowledged"]) == 1
    assert [found["latency"][hop]["count"] for hop in HOPS] == [1, 1, 1, 1]
    assert found["latency"]["injected"]["p50Ms"] < 1, (
        "a clock that is years behind takes no time away"
    )
    assert sum(value is not None for value in found["timeline"]["p50Ms"]) == 1
    delivered = found["latency"]["delivered"]
    assert 0 < delivered["p50Ms"] <= delivered["p99Ms"]
    assert [row["agentId"] for row in found["agents"]] == ["a"], (
        "b has nothing pending, no stream and no registration"
    )


def test_overview_of_one_agent_of_few_and_of_nobody(start):
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


def test_what_a_watcher_waits_for(broker):
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
def test_a_number_that_makes_no_sense_is_not_passed_on(broker, number):
    """It broke whoever read it, until the agent was removed."""
    agent = new_name()
    broker.register(agent)
    numbers = dict.fromkeys(["queued", "memoryBytes", "cpuPercent", "reconnects"], number)
    report = {"health": "healthy", **numbers}
    assert broker.ask("POST", f"/agents/{agent}/heartbeat", report).status == 200
    assert row_of(broker, agent)["queued"] is None and row_of(broker, agent)["health"] == "healthy"


def test_nothing_is_told_of_the_pane_of_a_watcher_that_has_gone(broker):
    agent = new_name()
    broker.register(agent, heartbeatIntervalMs=1000)
    broker.ask(
        "POST",
        f"/agents/{agent}/heartbeat",
        {"health": "healthy", "waiting": {"ticketId": None, "reason": "why", "sinceAt": "then"}},
    )
    assert row_of(broker, agent)["health"] == "healthy"
    row = wait_until(
        lambda: (row := row_of(broker, agent))["status"] == "offline" and row, "it is given up"
    )
    assert row["health"] is None and row["waiting"] is None


def test_events_tell_a_tickets_story(broker):
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


def test_events_tell_of_a_ticket_that_expired(broker):
    agent = new_name()
    with Events(broker, f"?agent={agent}") as events:
        broker.send(agent, "brief", ttlMs=1)
        assert [(each["stage"], each["status"]) for each in events.read_stages(2)] == [
            ("accepted", "pending"),
            ("expired", "expired"),
        ]


def test_events_of_a_thread(broker):
    agent, thread = new_name(), new_name()
    with Events(broker, f"?thread={thread}") as events:
        broker.send(agent, "other")
        wanted = broker.send(agent, "ours", metadata={"threadId": thread})
        assert events.read()["ticketId"] == wanted


def test_events_tell_how_an_agent_fares(broker):
    agent = new_name()
    with Events(broker, f"?agent={agent}") as events:
        broker.register(agent)
        row = events.read("agent")
        check_row(row)
        assert (row["agentId"], row["status"], row["connection"]) == (agent, "online", "none"), (
            "a registration is a sign of life"
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


def test_events_are_no_presence_and_can_be_refused(start):
    broker = start(BRIDGE_EVENTS_MAX=1)
    broker.send("a", 1)
    with Events(broker, "?agent=a"):
        assert row_of(broker, "a")["connection"] == "none"
        check_problem(broker.ask("GET", "/events"), 503)
    wait_until(
        lambda: overview(broker)["totals"]["streams"] == 0, "the reader that went is forgotten"
    )
    with Events(broker):
        pass
    check_problem(broker.ask("GET", "/events?heartbeat=x"), 400)


def test_without_streams_there_are_no_events(start):
    check_problem(start(DISABLE_SSE="true").ask("GET", "/events"), 503)


def search(broker, query=""):
    answer = broker.ask("GET", f"/search{query}")
    assert answer.status == 200, answer
    assert set(answer.json) == {"tickets", "nextBefore"}
    for ticket in answer.json["tickets"]:
        check_ticket(ticket)
    return answer.json


def everything(broker, query):
    """All pages of a search, as ids."""
    found, before, pages = [], "", 0
    while before is not None:
        page = search(broker, f"?{query}{before and f'&before={before}'}")
        found += [ticket["ticketId"] for ticket in page["tickets"]]
        assert page["nextBefore"] is None or not before or page["nextBefore"] < before, (
            "it always goes on"
        )
        before, pages = page["nextBefore"], pages + 1
    return found, pages


@pytest.fixture(params=["disk", ":memory:"])
def searched(request, start):
    """A broker that looks at three tickets a time."""
    return start(db=":memory:" if request.param == ":memory:" else None, BRIDGE_SEARCH_ROWS=3)


def test_search_finds_by_every_filter(searched):
    broker = searched
    one = broker.send("ann", "Grüße, WELT", metadata={"origin": "bob", "threadId": "T"})
    two = broker.send("ann", {"text": 'she said "hi"\n'})
    three = broker.send("bob", ["pending"])
    broker.acknowledge(two)
    broker.ask("POST", "/replies", {"ticketId": one, "payload": "the ANSWER"})
    wanted = {
        "": [three, two, one], "agent=ann": [two, one], "origin=bob": [one], "thread=T": [one], "status=delivered": [two], "status=responded&agent=ann": [one],
        "q=GR%C3%9CSSE,": [one], "q=gr%C3%9C%C3%9Fe, welt".replace(" ", "%20"): [one], "q=answer": [one], "q=said%20%22hi%22": [two], "q=%22text%22:": [two],
        f"q={two.upper()}": [two], "q=hi%22%0A": [two], "q=nowhere": [], "agent=nobody": [], "q=pending": [three], "thread=": [],
    }  # fmt: skip
    for query, ids in wanted.items():
        assert everything(broker, query)[0] == ids, query


def test_search_goes_on_where_it_stopped(searched):
    broker = searched
    ids = [broker.send("ann", {"number": number}) for number in range(10)]
    for ticket in ids[::2]:
        broker.acknowledge(ticket)
    found, pages = everything(broker, "limit=2")
    assert found == ids[::-1] and pages >= 5
    found, pages = everything(broker, "q=%22number%22:0")
    assert found == ids[:1] and pages >= 4, "three rows a request, found or not"
    assert search(broker, "?before=0") == {"tickets": [], "nextBefore": None}
    assert [
        ticket["ticketId"] for ticket in search(broker, f"?before={2**53 - 1}&limit=1")["tickets"]
    ] == ids[-1:]


def test_search_looks_at_a_bounded_number_of_bytes(start):
    broker = start(BRIDGE_SEARCH_BYTES=5000)
    ids = [broker.send("ann", "x" * 4000) for _ in range(5)]
    found, pages = everything(broker, "limit=200")
    assert found == ids[::-1] and pages >= 3


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "before=-1", "before=x", "status=lost", "q=" + "x" * 1001, "q=a&q=b"],
)
def test_search_refuses_what_it_cannot_mean(broker, query):
    check_problem(broker.ask("GET", "/search?" + query), 400)


def test_whoever_only_looks_on_receives_nothing(broker):
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

"""The shared stream: all agents on one connection, or those that a subscriber's name has."""

from __future__ import annotations

import pytest
from running import new_name

from conformance.shapes import check_problem, check_ticket


def subscribe(broker, agent, name):
    answer = broker.ask("POST", f"/agents/{agent}/subscribe", {"subscriber": name})
    assert answer.status == 204 and answer.body == b"", answer


def payloads(events):
    return [event.json["ticket"]["payload"] for event in events]


@pytest.fixture
def own(start):
    """A broker for this test only, because the shared stream has the tickets of all tests."""
    return start()


def test_the_shared_stream_has_the_tickets_of_all_agents(own):
    own.send("a", 0)
    own.send("b", 1)
    with own.stream("/tickets/stream") as stream:
        assert stream.head.field("content-type") == "text/event-stream"
        events = stream.read_events(2)
        own.send("c", 2)
        events += stream.read_events(1)
    assert [event.json["agentId"] for event in events] == ["a", "b", "c"] and payloads(events) == [
        0,
        1,
        2,
    ]
    for event in events:
        assert set(event.json) == {"agentId", "ticket"} and event.event == "ticket"
        check_ticket(event.json["ticket"])
        assert (
            event.id == str(event.json["ticket"]["seq"])
            and event.json["ticket"]["agentId"] == event.json["agentId"]
        )


@pytest.mark.parametrize("how", ["header", "query"])
def test_one_cursor_serves_all_agents(own, how):
    for number in range(6):
        own.send("ab"[number % 2], number)
    with own.stream("/tickets/stream") as stream:
        cursor = stream.read_events(3)[-1].id
    query, fields = (
        (f"?after={cursor}", []) if how == "query" else ("", [("Last-Event-ID", cursor)])
    )
    with own.stream(f"/tickets/stream{query}", fields) as stream:
        assert payloads(stream.read_events(3)) == [3, 4, 5]


def test_a_named_stream_has_the_subscribed_agents_only(broker):
    name, mine, strange = new_name(), new_name(), new_name()
    subscribe(broker, mine, name)
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream:
        stream.read_block()
        broker.send(strange, "strange")
        broker.send(mine, "mine")
        assert payloads(stream.read_events(1)) == ["mine"]


def test_two_names_have_separate_subscriptions(broker):
    one, other, agent_one, agent_other = (new_name() for _ in range(4))
    subscribe(broker, agent_one, one)
    subscribe(broker, agent_other, other)
    with (
        broker.stream(f"/tickets/stream?subscriber={one}") as stream_one,
        broker.stream(f"/tickets/stream?subscriber={other}") as stream_other,
    ):
        stream_one.read_block(), stream_other.read_block()
        broker.send(agent_other, "for the other")
        broker.send(agent_one, "for the one")
        assert payloads(stream_one.read_events(1)) == ["for the one"]
        assert payloads(stream_other.read_events(1)) == ["for the other"]


def test_a_subscription_adds_the_backlog_to_an_open_stream_first(broker):
    name, agent = new_name(), new_name()
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream:
        stream.read_block()
        for number in range(3):
            broker.send(agent, number)
        subscribe(broker, agent, name)
        broker.send(agent, 3)
        assert payloads(stream.read_events(4)) == [0, 1, 2, 3]


def test_a_repeated_subscription_sends_nothing_twice(broker):
    name, agent = new_name(), new_name()
    broker.send(agent, 0)
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream:
        stream.read_block()
        subscribe(broker, agent, name)
        subscribe(broker, agent, name)
        broker.send(agent, 1)
        assert payloads(stream.read_events(2)) == [0, 1]
        broker.ask("DELETE", f"/agents/{agent}/subscribe?subscriber={name}")
        subscribe(broker, agent, name)
        broker.send(agent, 2)
        assert payloads(stream.read_events(1)) == [2], "a ticket is sent once on a connection"


def test_the_backlog_of_a_subscription_made_without_a_stream_is_sent(broker):
    """Its tickets are older than the cursor. The cursor alone would skip them silently."""
    name, first, second = new_name(), new_name(), new_name()
    broker.send(first, "old and owed")
    subscribe(broker, second, name)
    broker.send(second, "seen")
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream:
        event = stream.read_events(1)[0]
        assert event.json["ticket"]["payload"] == "seen"
    subscribe(broker, first, name)
    broker.send(second, "new")
    with broker.stream(
        f"/tickets/stream?subscriber={name}", [("Last-Event-ID", event.id)]
    ) as stream:
        assert sorted(payloads(stream.read_events(2))) == ["new", "old and owed"]
        broker.send(first, "live")
        assert payloads(stream.read_events(1)) == ["live"]


def test_owed_tickets_are_in_order_for_each_agent(broker):
    name, first, second = new_name(), new_name(), new_name()
    for number in range(3):
        broker.send(first, [1, number])
        broker.send(second, [2, number])
    cursor = broker.pending(second)[-1]["seq"]
    subscribe(broker, first, name)
    subscribe(broker, second, name)
    with broker.stream(f"/tickets/stream?subscriber={name}&after={cursor}") as stream:
        seen = payloads(stream.read_events(6))
    for sender in (1, 2):
        assert [number for source, number in seen if source == sender] == [0, 1, 2]


def test_an_unsubscribed_agent_is_no_longer_on_the_stream(broker):
    name, agent, other = new_name(), new_name(), new_name()
    subscribe(broker, agent, name)
    subscribe(broker, other, name)
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream:
        stream.read_block()
        answer = broker.ask("DELETE", f"/agents/{agent}/subscribe?subscriber={name}")
        assert answer.status == 204
        broker.send(agent, "unheard")
        broker.send(other, "heard")
        assert payloads(stream.read_events(1)) == ["heard"]
    assert len(broker.pending(agent)) == 1


def test_the_body_of_a_subscription_may_be_empty(broker):
    assert broker.ask("POST", f"/agents/{new_name()}/subscribe").status == 204
    assert broker.ask("POST", f"/agents/{new_name()}/subscribe", {}).status == 204
    assert broker.ask("DELETE", f"/agents/{new_name()}/subscribe").status == 204


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        {"subscriber": ""},
        {"subscriber": 5},
        {"subscriber": "a\nb"},
        {"subscriber": "x" * 129},
    ],
    ids=lambda body: repr(body)[:30],
)
def test_a_bad_subscriber_is_400(broker, body):
    check_problem(broker.ask("POST", f"/agents/{new_name()}/subscribe", body), 400)


@pytest.mark.parametrize(
    "query", ["subscriber=", "subscriber=%00", "subscriber=" + "x" * 129, "after=abc"]
)
def test_a_bad_query_is_400(broker, query):
    check_problem(broker.ask("GET", f"/tickets/stream?{query}"), 400)

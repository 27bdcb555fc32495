"""The subscriptions of a name, and polls of all its agents.

Polls and long-polls are the tiers below the shared stream.
"""

from __future__ import annotations

import threading

import pytest
from running import new_name, wait_until

from conformance.shapes import check_problem, check_ticket


def subscribe(broker, name, *agents):
    for agent in agents:
        assert broker.ask("POST", f"/agents/{agent}/subscribe", {"subscriber": name}).status == 204


def poll(broker, name, query=""):
    answer = broker.ask("GET", f"/subscribers/{name}/tickets/pending{query}")
    assert answer.status == 200, answer
    return answer.json


def payloads(tickets):
    return [ticket["payload"] for ticket in tickets]


def show(broker, name):
    answer = broker.ask("GET", f"/subscribers/{name}")
    assert answer.status == 200, answer
    assert (
        set(answer.json) == {"subscriber", "agents", "receivers"}
        and answer.json["subscriber"] == name
    )
    return answer.json


@pytest.fixture
def three(broker):
    """A subscriber's name, its two agents, and an agent without a subscription."""
    name, one, other, strange = (new_name() for _ in range(4))
    subscribe(broker, name, one, other)
    return name, one, other, strange


def test_an_unused_name_has_no_agents(broker):
    name = new_name()
    assert (
        show(broker, name) == {"subscriber": name, "agents": [], "receivers": 0}
        and poll(broker, name) == []
    )


def test_a_name_has_its_subscribed_agents_until_they_are_unsubscribed(broker, three):
    name, one, other, _ = three
    assert show(broker, name)["agents"] == sorted([one, other])
    broker.ask("DELETE", f"/agents/{one}/subscribe?subscriber={name}")
    assert show(broker, name)["agents"] == [other]


def test_the_receivers_of_a_name_are_its_streams_and_long_polls(broker, three):
    name = three[0]
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream, broker.line() as line:
        stream.read_block()
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(lambda: show(broker, name)["receivers"] == 2, "both are counted")
    wait_until(lambda: show(broker, name)["receivers"] == 0, "none is counted")


def test_a_watcher_is_told_how_many_other_processes_receive(broker, three):
    """Two connections of one process count once, and so do all that send no name."""
    name = three[0]

    def others(watcher):
        answer = broker.ask("GET", f"/subscribers/{name}?watcher={watcher}")
        assert set(answer.json) == {"subscriber", "agents", "receivers", "own", "others"}
        return answer.json["others"]

    path = f"/tickets/stream?subscriber={name}"
    with broker.stream(f"{path}&watcher=one") as first, broker.stream(f"{path}&watcher=one") as two:
        first.read_block(), two.read_block()
        assert (others("one"), others("two")) == (0, 1) and show(broker, name)["receivers"] == 2
        with broker.line() as line, broker.stream(path) as older, broker.stream(path) as oldest:
            older.read_block(), oldest.read_block()
            poll_path = f"/subscribers/{name}/tickets/pending?waitMs=300&watcher=two"
            line.request("GET", poll_path)
            wait_until(lambda: others("one") == 2, "the poller and the older ones")
            assert line.read_answer().json == []
            assert (others("one"), others("two")) == (2, 2), "it is about to poll again"
        wait_until(lambda: others("one") == 1, "the end of the older ones")
    wait_until(lambda: others("two") == 0, "the end of all streams")


def test_a_poll_returns_the_tickets_of_all_agents_in_the_order_of_seq(broker, three):
    name, one, other, strange = three
    for number in range(6):
        broker.send((one, other, strange)[number % 3], number)
    tickets = poll(broker, name)
    assert payloads(tickets) == [0, 1, 3, 4] and tickets == poll(broker, name), (
        "a poll removes nothing"
    )
    for ticket in tickets:
        check_ticket(ticket)
    cursor = tickets[1]["seq"]
    assert payloads(poll(broker, name, f"?after={cursor}")) == [3, 4]
    assert payloads(poll(broker, name, f"?after={cursor}&limit=1")) == [3]
    assert payloads(poll(broker, name, f"?after={cursor}&limit=1&waitMs=1000")) == [3]
    assert payloads(poll(broker, name, "?after=9007199254740991")) == [0, 1, 3, 4], (
        "a cursor beyond all seqs is from another store"
    )


def test_a_long_poll_is_woken_by_each_of_its_agents_and_by_no_other(broker, three):
    name, one, other, strange = three
    for agent in (one, other):
        cursor = max([0, *(ticket["seq"] for ticket in poll(broker, name))])
        with broker.line() as line:
            line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000&after={cursor}")
            wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
            broker.send(strange, "unheard")
            broker.send(agent, agent)
            assert payloads(line.read_answer().json) == [agent]


def test_a_long_poll_returns_nothing_at_its_timeout(broker, three):
    assert poll(broker, three[0], "?waitMs=200") == []


def test_an_agent_that_is_subscribed_later_wakes_the_long_poll(broker, three):
    """The waiting poll returns its later tickets, and its backlog after the cursor."""
    name, later = three[0], [new_name(), new_name()]
    with broker.line() as line:
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
        subscribe(broker, name, later[0])
        broker.send(later[0], "sent afterwards")
        assert payloads(line.read_answer().json) == ["sent afterwards"]
    cursor = poll(broker, name)[-1]["seq"]
    broker.send(later[1], "sent before")
    with broker.line() as line:
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000&after={cursor}")
        wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
        subscribe(broker, name, later[1])
        assert payloads(line.read_answer().json) == ["sent before"]


def test_an_unsubscribed_agent_does_not_wake_the_long_poll(broker, three):
    name, one, other, _ = three
    with broker.line() as line:
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
        broker.ask("DELETE", f"/agents/{one}/subscribe?subscriber={name}")
        broker.send(one, "unheard")
        broker.send(other, "heard")
        assert payloads(line.read_answer().json) == ["heard"]


def test_an_owed_ticket_does_not_end_a_long_poll_after_the_cursor(broker):
    """A stream repeats owed tickets until they are acknowledged.

    A long-poll after the cursor must wait, or it would become a busy loop.
    """
    name, agent = new_name(), new_name()
    broker.send(agent, "owed")
    subscribe(broker, name, agent)
    cursor = poll(broker, name)[-1]["seq"]
    assert poll(broker, name, f"?after={cursor}&waitMs=200") == []


def test_a_long_poll_connects_all_its_agents_and_counts_once(broker, three):
    name, one, other, _ = three
    before = broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"]
    with broker.line() as line:
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(
            lambda: (
                broker.ask("GET", "/debug/connections").json["longpoll"]["waiting"] == before + 1
            ),
            "the long-poll waits",
        )
        for agent in (one, other):
            assert (
                broker.ask("GET", f"/debug/agent/{agent}/status").json["connection"] == "longpoll"
            )


def test_polls_with_a_cursor_lose_and_repeat_nothing(broker, three):
    """Two senders and a poller run at the same time. The poller only moves its cursor."""
    name, one, other, _ = three
    total, seen, after = 60, [], 0

    def publish(agent):
        with broker.line() as line:
            for number in range(total // 2):
                assert (
                    line.ask("POST", f"/agents/{agent}/send", {"payload": [agent, number]}).status
                    == 202
                )

    senders = [threading.Thread(target=publish, args=(agent,)) for agent in (one, other)]
    for sender in senders:
        sender.start()
    while len(seen) < total:
        tickets = poll(broker, name, f"?waitMs=10000&after={after}&limit=7")
        assert tickets, "a poll was empty before all tickets had come"
        seen += payloads(tickets)
        after = tickets[-1]["seq"]
    for sender in senders:
        sender.join()
    for agent in (one, other):
        assert [number for target, number in seen if target == agent] == list(range(total // 2))


@pytest.mark.parametrize(
    "query", ["waitMs=-1", "waitMs=60001", "after=abc", "limit=0", "after=1&after=2"]
)
def test_bad_queries_are_400(broker, query):
    check_problem(broker.ask("GET", f"/subscribers/{new_name()}/tickets/pending?{query}"), 400)


@pytest.mark.parametrize(
    "path", ["/subscribers/%00", "/subscribers/" + "x" * 129, "/subscribers/%00/tickets/pending"]
)
def test_a_bad_name_is_400(broker, path):
    check_problem(broker.ask("GET", path), 400)


def test_other_methods_are_405(broker):
    answer = broker.ask("POST", "/subscribers/x/tickets/pending", {})
    check_problem(answer, 405)
    assert answer.field("allow") == "GET, HEAD, OPTIONS"

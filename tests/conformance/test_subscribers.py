"""What is subscribed under a name, and polling all of it: the tiers below the shared stream."""

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
    """A subscriber's name, two agents of its, and one that is not."""
    name, one, other, strange = (new_name() for _ in range(4))
    subscribe(broker, name, one, other)
    return name, one, other, strange


def test_a_name_that_nobody_used_has_nothing(broker):
    name = new_name()
    assert (
        show(broker, name) == {"subscriber": name, "agents": [], "receivers": 0}
        and poll(broker, name) == []
    )


def test_a_name_has_what_was_subscribed_and_loses_what_was_given_up(broker, three):
    name, one, other, _ = three
    assert show(broker, name)["agents"] == sorted([one, other])
    broker.ask("DELETE", f"/agents/{one}/subscribe?subscriber={name}")
    assert show(broker, name)["agents"] == [other]


def test_streams_and_long_polls_under_the_name_are_counted(broker, three):
    name = three[0]
    with broker.stream(f"/tickets/stream?subscriber={name}") as stream, broker.line() as line:
        stream.read_block()
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(lambda: show(broker, name)["receivers"] == 2, "both")
    wait_until(lambda: show(broker, name)["receivers"] == 0, "none")


def test_all_agents_of_the_name_in_the_order_of_seq(broker, three):
    name, one, other, strange = three
    for number in range(6):
        broker.send((one, other, strange)[number % 3], number)
    tickets = poll(broker, name)
    assert payloads(tickets) == [0, 1, 3, 4] and tickets == poll(broker, name), (
        "polling takes nothing away"
    )
    for ticket in tickets:
        check_ticket(ticket)
    cursor = tickets[1]["seq"]
    assert payloads(poll(broker, name, f"?after={cursor}")) == [3, 4]
    assert payloads(poll(broker, name, f"?after={cursor}&limit=1")) == [3]
    assert payloads(poll(broker, name, f"?after={cursor}&limit=1&waitMs=1000")) == [3]
    assert payloads(poll(broker, name, "?after=9007199254740991")) == [0, 1, 3, 4], (
        "a cursor of another store"
    )


def test_a_long_poll_is_woken_by_any_of_its_agents_and_by_no_other(broker, three):
    name, one, other, strange = three
    for agent in (one, other):
        cursor = max([0, *(ticket["seq"] for ticket in poll(broker, name))])
        with broker.line() as line:
            line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000&after={cursor}")
            wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
            broker.send(strange, "unheard")
            broker.send(agent, agent)
            assert payloads(line.read_answer().json) == [agent]


def test_a_long_poll_waits_as_long_as_it_was_asked_to(broker, three):
    assert poll(broker, three[0], "?waitMs=200") == []


def test_an_agent_that_joins_wakes_the_long_poll_that_waits(broker, three):
    """Its backlog has a seq beyond the cursor, or its tickets come later: both are heard by the poll that stands."""
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


def test_an_agent_that_was_given_up_no_longer_wakes(broker, three):
    name, one, other, _ = three
    with broker.line() as line:
        line.request("GET", f"/subscribers/{name}/tickets/pending?waitMs=60000")
        wait_until(lambda: show(broker, name)["receivers"] == 1, "the long-poll waits")
        broker.ask("DELETE", f"/agents/{one}/subscribe?subscriber={name}")
        broker.send(one, "unheard")
        broker.send(other, "heard")
        assert payloads(line.read_answer().json) == ["heard"]


def test_what_is_owed_beyond_the_cursor_is_no_busy_loop(broker):
    """A stream repeats what an agent is owed until it is acknowledged; a long-poll after the cursor waits."""
    name, agent = new_name(), new_name()
    broker.send(agent, "owed")
    subscribe(broker, name, agent)
    cursor = poll(broker, name)[-1]["seq"]
    assert poll(broker, name, f"?after={cursor}&waitMs=200") == []


def test_the_agents_are_online_by_long_poll_and_it_counts_once(broker, three):
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


def test_polling_by_cursor_loses_and_repeats_nothing(broker, three):
    """Two senders and a poller race; the poller never acknowledges, and moves by cursor only."""
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
        assert tickets, "nothing came, though not all has come"
        seen += payloads(tickets)
        after = tickets[-1]["seq"]
    for sender in senders:
        sender.join()
    for agent in (one, other):
        assert [number for who, number in seen if who == agent] == list(range(total // 2))


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

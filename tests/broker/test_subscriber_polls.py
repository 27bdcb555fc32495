"""Long-polls of subscribers with many agents: each waits under one key and is answered once."""

from __future__ import annotations

import asyncio
import json

import pytest
from virtual_clock import run

from bridge.broker.backlog import Backlog
from bridge.broker.subscriptions import LINGER
from bridge.errors import Reason, RequestError
from broker.seams import make_entry
from broker.small_server import SmallServer
from broker.talk import read_answers, request

AGENTS = [f"agent-{number}" for number in range(300)]


def poll(query: str) -> bytes:
    return request("GET", f"/subscribers/s/tickets/pending?{query}")


def publish(server, *entries) -> None:
    for entry in entries:
        server.services.hub.backlog(entry.agent_id)
    server.services.ledger.seq = entries[-1].seq
    server.services.hub.publish(entries)


def seqs(line, size: int) -> list:
    """Return the seqs in each response so far. An entry's data is its seq."""
    return [json.loads(body) for _, body in read_answers(line.received, ["GET"] * size)]


def supervised(loop) -> SmallServer:
    server = SmallServer(loop)
    for agent in AGENTS:
        server.services.subscriptions.subscribed("s", agent, 0)
    return server


def numbered(seq: int, agent: str):
    return make_entry(seq, agent, b"%d" % seq)


def test_a_long_poll_waits_once_for_any_number_of_agents():
    async def scenario(loop):
        server = supervised(loop)
        polls, lines = server.services.hub.polls, [server.connect() for _ in range(100)]
        for line in lines:
            line.send(poll("waitMs=60000&after=0"))
        assert (polls.total, len(polls._waiting), polls.by_subscriber.count("s")) == (100, 0, 100)
        assert all(agent in polls for agent in AGENTS), "a poll waits for each of them"
        publish(server, numbered(1, AGENTS[7]), numbered(2, AGENTS[3]))
        await asyncio.sleep(0.1)
        assert [seqs(line, 1) for line in lines] == [[[1, 2]]] * 100 and polls.total == 0

    run(scenario)


def test_a_long_poll_that_is_woken_without_a_ticket_keeps_waiting():
    """Its agents have changed, or the ticket was acknowledged before the poll ran."""

    async def scenario(loop):
        server = supervised(loop)
        polls, line = server.services.hub.polls, server.connect()
        line.send(poll("waitMs=60000&after=0"))
        server.services.subscriptions.unsubscribed("s", AGENTS[0])
        entry = numbered(1, AGENTS[1])
        publish(server, entry)
        server.services.hub.withdraw(entry)
        await asyncio.sleep(0.1)
        assert not line.received and polls.total == 1
        publish(server, numbered(2, AGENTS[0]))
        await asyncio.sleep(0.1)
        assert not line.received, "that agent is no longer subscribed"
        publish(server, numbered(3, AGENTS[2]))
        await asyncio.sleep(0.1)
        assert seqs(line, 1) == [[3]]

    run(scenario)


@pytest.mark.parametrize("ends", ["time", "peer"])
def test_a_long_poll_that_ends_while_it_is_woken_is_answered_once(ends):
    async def scenario(loop):
        server = supervised(loop)
        line = server.connect()
        line.send(poll("waitMs=1000&after=0"))
        await asyncio.sleep(1)  # its timeout ends in the iteration that wakes it
        publish(server, numbered(1, AGENTS[1]))
        if ends == "peer":
            line.abort()
        await asyncio.sleep(10)
        assert server.services.hub.polls.total == 0
        assert len(seqs(line, 1)) <= 1

    run(scenario)


def test_a_poll_of_many_backlogs_reads_only_what_it_returns(monkeypatch):
    reads = []
    read_after = Backlog.read_after

    def counting(backlog, seq, limit):
        found = read_after(backlog, seq, limit)
        reads.append(len(found))
        return found

    async def scenario(loop):
        server = supervised(loop)
        publish(server, *(numbered(seq, AGENTS[seq * 7 % 300]) for seq in range(1, 30001)))
        line = server.connect()
        monkeypatch.setattr(Backlog, "read_after", counting)
        line.send(poll("after=15000&limit=100"))
        assert seqs(line, 1) == [list(range(15001, 15101))]
        assert sum(reads) <= 2 * len(AGENTS) + 2 * 100 + 2

    run(scenario)


def test_subscriptions_are_bounded_by_name_by_agent_and_together():
    async def scenario(loop):
        subscriptions = SmallServer(loop, agents_max=70, supervise_max=3).services.subscriptions
        for number in range(3):
            subscriptions.check_room("one", f"agent-{number}")
            subscriptions.subscribed("one", f"agent-{number}", 0)
        check_refused(subscriptions, "one", "new", "subscriber 'one' has 3 agents")
        subscriptions.check_room("one", "agent-0")  # this subscription exists already
        for number in range(63):
            subscriptions.subscribed(f"name-{number}", "agent-0", 0)
        said = "agent 'agent-0' is subscribed under 64 names"
        check_refused(subscriptions, "{more}", "agent-0", said)
        for number in range(4):
            subscriptions.subscribed("other", f"agent-{number}", 0)
        check_refused(subscriptions, "new", "new", "there are 70 subscriptions")
        subscriptions.unsubscribed("one", "agent-0")
        subscriptions.unsubscribed("one", "agent-0")
        subscriptions.check_room("new", "new")
        subscriptions.subscribed("one", "agent-0", 0)
        check_refused(subscriptions, "new", "new", "there are 70 subscriptions")

    run(scenario)


def check_refused(subscriptions, name: str, agent: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        subscriptions.check_room(name, agent)
    assert refused.value.reason is Reason.SUBSCRIBERS_MAX and said in refused.value.detail


@pytest.mark.parametrize("ends", ["time", "peer"])
def test_a_long_poll_counts_as_a_receiver_for_a_while_after_its_end(ends):
    async def scenario(loop):
        server = supervised(loop)
        subscriptions, line = server.services.subscriptions, server.connect()

        def counts() -> tuple[int, int]:
            return subscriptions.receivers("s", loop.time()), subscriptions.others(
                "s", "another", loop.time()
            )

        line.send(poll("waitMs=20000&watcher=one"))
        for _ in range(19):
            await asyncio.sleep(1)
            assert counts() == (1, 1)
        if ends == "peer":
            line.abort()
        else:
            await asyncio.sleep(1)
        await asyncio.sleep(0.1)
        assert server.services.hub.polls.total == 0
        assert counts() == (1, 1), "it has just ended"
        await asyncio.sleep(LINGER - 0.2)
        assert counts() == (1, 1)
        await asyncio.sleep(0.2)
        assert counts() == (0, 0)
        for agent in AGENTS:
            subscriptions.unsubscribed("s", agent)
        assert not subscriptions._polled and not subscriptions._receivers._polled

    run(scenario)

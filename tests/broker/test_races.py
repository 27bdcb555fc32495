"""A request whose change lost a race is answered again, on the state that won.

Only a journal with several writers gives that outcome, so the scripted one plays it here. A later
answer must never rest on the change that lost.
"""

from __future__ import annotations

import asyncio

import pytest
from virtual_clock import run

from bridge.broker.entry import NEW
from bridge.broker.fronts.http import RACES_MAX
from bridge.broker.ledger import NewTicket
from bridge.broker.transitions import acknowledged, claimed
from bridge.ticket import Agent
from broker.small_server import SmallServer
from broker.talk import HEALTH, SEND, request, settle, statuses

CLAIM = request("POST", "/tickets/mine/claim", {"watcher": "w1"})
CLAIM_OF_ANOTHER = request("POST", "/tickets/mine/claim", {"watcher": "w2"})
REGISTER = request("POST", "/agents/register", {"agentId": "ann"})
SUBSCRIBE = request("POST", "/agents/ann/subscribe", {"subscriber": "sup"})


async def server_with_ticket(loop):
    server = SmallServer(loop)
    entry, _ = server.services.ledger.accept("lucy", NewTicket(1, {}, ticket_id="mine"))
    await settle(server)
    return server, entry


@pytest.mark.parametrize(
    ("state", "answer"),
    [
        (acknowledged(NEW, "w2", {}, 1), 409),
        (claimed(NEW, "w2", 60000, 1000.0, 1), 409),
        (claimed(NEW, "w1", 60000, 1000.0, 1), 200),
    ],
)
def test_the_request_is_answered_on_the_state_that_won(state, answer):
    async def scenario(loop):
        server, entry = await server_with_ticket(loop)
        line = server.connect()
        line.send(CLAIM + HEALTH)
        server.services.ledger.changed(entry, state, is_ours=False)
        server.journal.race()
        await settle(server)
        assert statuses(line, 2) == [answer, 200]

    run(scenario)


@pytest.mark.parametrize(
    ("asked", "answer"), [(SEND, 202), (CLAIM, 200), (REGISTER, 200), (SUBSCRIBE, 204)]
)
@pytest.mark.parametrize("races", [1, RACES_MAX, RACES_MAX + 1])
def test_a_request_is_answered_again_a_bounded_number_of_times(asked, answer, races):
    async def scenario(loop):
        server, _ = await server_with_ticket(loop)
        line, is_enough = server.connect(), races <= RACES_MAX
        for _ in range(2):  # the second request has as many tries of its own
            line.send(asked)
            for _ in range(races):
                server.journal.race()
                await asyncio.sleep(0)
            assert bool(server.journal.unwritten) is is_enough
            await settle(server)
        assert statuses(line, 2) == [answer if is_enough else 503] * 2
        assert is_enough or b"Retry-After" in line.received
        assert not line.is_closing()

    run(scenario)


def test_a_refusal_that_rests_on_a_lost_change_is_decided_again():
    async def scenario(loop):
        server, entry = await server_with_ticket(loop)
        first, second = server.connect(), server.connect()
        first.send(CLAIM)
        second.send(CLAIM_OF_ANOTHER)
        await asyncio.sleep(0.001)
        assert not second.received, "its 409 waits for the claim that it rests on"
        # Another broker ends the ticket, and so the first claim is lost.
        server.services.ledger.changed(entry, acknowledged(NEW, "w3", {}, 1), is_ours=False)
        server.journal.race()
        await settle(server)
        for line in (first, second):
            assert statuses(line, 1) == [409] and b"delivered already" in line.received

    run(scenario)


def test_a_send_that_lost_a_race_makes_one_ticket():
    async def scenario(loop):
        server = SmallServer(loop)
        line = server.connect()
        line.send(SEND)
        server.journal.race()
        line.close()
        await settle(server)
        assert len(server.services.hub.read("lucy", 0, 9)) == 1
        assert server.services.hub.backlogs["lucy"].reserved == 0

    run(scenario)


def reply_to(ticket_id: str) -> bytes:
    return request("POST", "/replies", {"ticketId": ticket_id, "payload": "done"})


async def server_with_questions(loop, **settings):
    """Two tickets from the registered agent `boss` to `lucy`, whose replies become tickets."""
    server = SmallServer(loop, **settings)
    server.services.registry.registered(Agent("boss"), 1)
    for ticket_id in ("mine", "other"):
        server.services.ledger.accept("lucy", NewTicket(1, {}, "boss", ticket_id=ticket_id))
    await settle(server)
    return server


@pytest.mark.parametrize("asked", [[SEND] * 3, [reply_to("mine"), reply_to("other")]])
@pytest.mark.parametrize("races", [0, 1, 5])
def test_a_request_that_lost_races_takes_one_token_of_its_rate(asked, races):
    async def scenario(loop):
        server = await server_with_questions(loop, rate_limit=len(asked) - 1)
        line = server.connect()
        line.send(asked[0])
        for _ in range(races):
            server.journal.race()
            await asyncio.sleep(0)
        await settle(server)
        for each in asked[1:]:
            line.send(each)
            await settle(server)
        found = statuses(line, len(asked))
        assert [status < 300 for status in found] == [True] * (len(asked) - 1) + [False]
        assert found[-1] == 429

    run(scenario)


def test_a_refusal_takes_no_token_so_the_answer_that_replaces_it_takes_one():
    async def scenario(loop):
        server = await server_with_questions(loop, rate_limit=1)
        operator, line = server.connect(), server.connect()
        operator.send(request("DELETE", "/tickets/mine"))
        line.send(reply_to("mine"))
        await asyncio.sleep(0.001)
        assert not line.received, "its 409 waits for the drop that it rests on"
        operator.abort()
        server.journal.race()
        await settle(server)
        line.send(reply_to("other"))
        await settle(server)
        assert statuses(line, 2) == [204, 429]

    run(scenario)


def test_a_change_carries_what_it_was_decided_on():
    async def scenario(loop):
        server, entry = await server_with_ticket(loop)
        records = []
        propose = server.journal.propose
        server.journal.propose = lambda record: records.append(record) or propose(record)
        line = server.connect()
        line.send(CLAIM + REGISTER)
        claim = entry.head
        await settle(server)
        line.send(CLAIM + REGISTER)
        await settle(server)
        known = server.services.registry.agents["ann"]
        assert [record.heads[0] for record in records[:3]] == [NEW, None, claim]
        assert records[3].heads[0].agent_id == known.agent_id

    run(scenario)

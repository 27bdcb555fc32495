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
from broker.house import SmallHouse
from broker.talk import HEALTH, SEND, request, settle, statuses

CLAIM = request("POST", "/tickets/mine/claim", {"watcher": "w1"})
CLAIM_OF_ANOTHER = request("POST", "/tickets/mine/claim", {"watcher": "w2"})
REGISTER = request("POST", "/agents/register", {"agentId": "ann"})
SUBSCRIBE = request("POST", "/agents/ann/subscribe", {"subscriber": "sup"})


async def house_with_ticket(loop):
    house = SmallHouse(loop)
    entry, _ = house.services.ledger.accept("lucy", NewTicket(1, {}, ticket_id="mine"))
    await settle(house)
    return house, entry


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
        house, entry = await house_with_ticket(loop)
        line = house.connect()
        line.send(CLAIM + HEALTH)
        house.services.ledger.changed(entry, state, is_ours=False)
        house.journal.race()
        await settle(house)
        assert statuses(line, 2) == [answer, 200]

    run(scenario)


@pytest.mark.parametrize(
    ("asked", "answer"), [(SEND, 202), (CLAIM, 200), (REGISTER, 200), (SUBSCRIBE, 204)]
)
@pytest.mark.parametrize("races", [1, RACES_MAX, RACES_MAX + 1])
def test_a_request_is_answered_again_a_bounded_number_of_times(asked, answer, races):
    async def scenario(loop):
        house, _ = await house_with_ticket(loop)
        line, is_enough = house.connect(), races <= RACES_MAX
        for _ in range(2):  # the second request has as many tries of its own
            line.send(asked)
            for _ in range(races):
                house.journal.race()
                await asyncio.sleep(0)
            assert bool(house.journal.unwritten) is is_enough
            await settle(house)
        assert statuses(line, 2) == [answer if is_enough else 503] * 2
        assert is_enough or b"Retry-After" in line.received
        assert not line.is_closing()

    run(scenario)


def test_a_refusal_that_rests_on_a_lost_change_is_decided_again():
    async def scenario(loop):
        house, entry = await house_with_ticket(loop)
        first, second = house.connect(), house.connect()
        first.send(CLAIM)
        second.send(CLAIM_OF_ANOTHER)
        await asyncio.sleep(0.001)
        assert not second.received, "its 409 waits for the claim that it rests on"
        # Another broker ends the ticket, and so the first claim is lost.
        house.services.ledger.changed(entry, acknowledged(NEW, "w3", {}, 1), is_ours=False)
        house.journal.race()
        await settle(house)
        for line in (first, second):
            assert statuses(line, 1) == [409] and b"delivered already" in line.received

    run(scenario)


def test_a_send_that_lost_a_race_makes_one_ticket():
    async def scenario(loop):
        house = SmallHouse(loop)
        line = house.connect()
        line.send(SEND)
        house.journal.race()
        line.close()
        await settle(house)
        assert len(house.services.hub.read("lucy", 0, 9)) == 1
        assert house.services.hub.backlogs["lucy"].reserved == 0

    run(scenario)


def test_a_change_carries_what_it_was_decided_on():
    async def scenario(loop):
        house, entry = await house_with_ticket(loop)
        records = []
        propose = house.journal.propose
        house.journal.propose = lambda record: records.append(record) or propose(record)
        line = house.connect()
        line.send(CLAIM + REGISTER)
        claim = entry.head
        await settle(house)
        line.send(CLAIM + REGISTER)
        await settle(house)
        known = house.services.registry.agents["ann"]
        assert [record.heads[0] for record in records[:3]] == [NEW, None, claim]
        assert records[3].heads[0].agent_id == known.agent_id

    run(scenario)

"""Rows that belong together are one record, which is kept and applied as a whole.

A reply and its ticket to the origin exist both, or neither of them. The methods that apply a record
need no own proposal before, so another broker's record could be applied too.
"""

from __future__ import annotations

import asyncio

import pytest
from virtual_clock import run

from bridge.broker.entry import NEW, Entry
from bridge.broker.journal.base import BirthRow, Commit, Record, RegistrationRow, SubscriptionRow
from bridge.broker.journal.group_commit import Group
from bridge.broker.ledger import NewTicket
from bridge.broker.transitions import acknowledged, replied
from bridge.ticket import Agent
from broker.seams import FULL, WALL_MS
from broker.small_server import SmallServer, make_services
from broker.stores import change_of, entry_of, row
from broker.talk import request, settle, statuses

REPLY = request("POST", "/replies", {"ticketId": "asked", "payload": "done"})


async def asked(server):
    """A ticket from the registered agent `boss` to `worker`."""
    server.services.registry.registered(Agent("boss"), 1)
    draft = NewTicket("please", {}, "boss", ticket_id="asked")
    entry, _ = server.services.ledger.accept("worker", draft)
    await settle(server)
    return entry


class OutOfMemory:
    """A journal for which memory runs out at the first record with a change."""

    def __init__(self, journal) -> None:
        self.propose, self._propose = self._fail, journal.propose

    def _fail(self, record):
        if not isinstance(record, BirthRow) and record.changes:
            raise MemoryError
        return self._propose(record)


def test_a_reply_that_cannot_be_proposed_makes_no_ticket():
    async def scenario(loop):
        server = SmallServer(loop)
        entry = await asked(server)
        propose, server.journal.propose = (
            server.journal.propose,
            OutOfMemory(server.journal).propose,
        )
        line = server.connect()
        line.send(REPLY)
        await settle(server)
        assert statuses(line, 1) == [500]
        assert not server.services.hub.read("boss", 0, 10) and entry.head is NEW
        assert "boss" not in server.services.hub.backlogs
        server.journal.propose = propose
        line.send(REPLY)
        await settle(server)
        assert statuses(line, 2) == [500, 204], "the same reply can be sent again"
        assert len(server.services.hub.read("boss", 0, 10)) == 1
        assert entry.state.response["payload"] == "done"

    run(scenario)


@pytest.mark.parametrize("error", [None, FULL])
def test_a_reply_and_its_ticket_are_proposed_as_one_record(error):
    async def scenario(loop):
        server, records = SmallServer(loop), []
        entry = await asked(server)
        propose = server.journal.propose
        server.journal.propose = lambda record: records.append(record) or propose(record)
        line = server.connect()
        line.send(REPLY)
        [record] = records
        assert [birth.agent_id for birth in record.births] == ["boss"]
        assert [change.seq for change in record.changes] == [entry.seq]
        await settle(server, error)
        is_kept = error is None
        assert statuses(line, 1) == [204 if is_kept else 503]
        assert (entry.state.response is not None) is is_kept
        assert len(server.services.hub.read("boss", 0, 10)) == is_kept

    run(scenario)


class NoRoom(list):
    def __iadd__(self, rows):
        raise MemoryError


@pytest.mark.parametrize("full", ["births", "changes", "agents", "subscriptions"])
def test_a_group_takes_all_rows_of_a_record_or_none(full):
    async def scenario():
        group = Group(Commit(asyncio.get_running_loop()), 0)
        group.add(row(1))
        setattr(group, full, NoRoom(getattr(group, full)))
        change = change_of(entry_of(row(2)), acknowledged(NEW, "w", {}, WALL_MS))
        agent, subscription = RegistrationRow("ann", "{}"), SubscriptionRow("sup", "ann", 3)
        with pytest.raises(MemoryError):
            group.add(Record([row(2)], [change], [agent], [subscription]))
        assert group.size == 1 and group.births == [row(1)]

    asyncio.run(scenario())


# -- records of another broker --------------------------------------------------------------


def foreign(seq: int, agent: str = "lucy") -> Entry:
    return entry_of(row(seq, agent))


def test_a_birth_that_was_not_proposed_here_is_applied():
    async def scenario(loop):
        services = make_services(loop)
        entry = foreign(7)
        services.ledger.hold(entry, None)
        assert services.ledger.find("t7") is None, "it is not born yet"
        services.ledger.born([entry])
        assert services.ledger.get("t7") is entry and services.hub.read("lucy", 0, 9) == [entry]
        assert services.hub.backlogs["lucy"].reserved == 0 and services.ledger.seq == 7
        own, _ = services.ledger.accept("lucy", NewTicket(1, {}))
        assert own.seq == 8
        refused = foreign(9, "eve")
        services.ledger.hold(refused, None)
        services.ledger.unborn([refused])
        assert services.ledger.find("t9") is None and "eve" not in services.hub.backlogs

    run(scenario)


def test_of_two_births_with_one_id_the_one_that_was_kept_stays():
    async def scenario(loop):
        ledger = make_services(loop).ledger
        own, _ = ledger.accept("lucy", NewTicket(1, {}, ticket_id="t7"))
        theirs = foreign(7)
        ledger.hold(theirs, None)
        ledger.born([theirs])
        ledger.unborn([own])
        assert ledger.get("t7") is theirs

    run(scenario)


def test_a_change_that_was_not_proposed_here_wins_over_an_own_one_that_waits():
    """The own one was decided on a state that is no more, so it will not be kept."""

    async def scenario(loop):
        services = make_services(loop)
        ledger, entry = services.ledger, foreign(1)
        ledger.hold(entry, None)
        ledger.born([entry])
        own = acknowledged(entry.head, "w", {}, 1)
        ledger.propose(entry, own)
        theirs = replied(NEW, "done", {}, 2)
        ledger.changed(entry, theirs, is_ours=False)
        assert entry.head is entry.state is theirs
        assert entry.commit is None, "a later refusal must not wait for the own change"
        ledger.unchanged(entry, own)
        assert entry.head is theirs and ledger.get("t1") is entry
        assert not services.hub.read("lucy", 0, 9) and not ledger._held

    run(scenario)


def test_a_registration_that_was_not_proposed_here_is_applied():
    async def scenario(loop):
        registry = make_services(loop).registry
        registry.registered(Agent("ann", type="theirs"), 100)
        assert registry.head("ann").type == "theirs" and registry.weight_with("bob", 0) == 100
        registry.propose("ann", Agent("ann", type="ours"), "{}", 30)
        registry.registered(Agent("ann", type="theirs again"), 200)
        assert registry.agents["ann"].type == "theirs again" and registry.head("ann").type == "ours"
        assert registry.weight_with("bob", 0) == 30, "the own one's weight counts from the start"
        registry.presence("ann")
        registry.removed("ann")
        assert "ann" not in registry.agents and not registry.is_served("ann")

    run(scenario)


def test_a_subscription_that_was_not_proposed_here_is_applied():
    async def scenario(loop):
        services = make_services(loop)
        services.subscriptions.subscribed("sup", "ann", 5)
        assert services.subscriptions.agents("sup") == {"ann": 5}
        services.subscriptions.unsubscribed("sup", "ann")
        assert services.subscriptions.agents("sup") == {}

    run(scenario)

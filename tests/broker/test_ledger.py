"""The ledger in single cases: encoding errors, failed writes, guessed ids, bounds and counters."""

from __future__ import annotations

import asyncio
import json

import pytest

from bridge.broker.journal.memory import MemoryJournal
from bridge.broker.ledger import Bounds, Ledger, NewTicket
from bridge.broker.metrics.counters import Metrics
from bridge.broker.transitions import acknowledged, replied
from bridge.errors import Reason, RequestError
from broker.seams import FULL, HandClock, PacedHub, ScriptedJournal


def on_disk(scenario, **bounds):
    """Run `scenario(ledger, journal, hub)` on a loop, with a scripted journal."""

    async def main():
        journal, hub = ScriptedJournal(), PacedHub()
        await scenario(
            Ledger(journal, hub, HandClock().clock(), Metrics(), Bounds(**bounds)), journal, hub
        )

    asyncio.run(main())


async def settled(journal, error=None):
    journal.settle(error)
    await asyncio.sleep(0)


@pytest.mark.parametrize("draft", [NewTicket(float("inf"), {}), NewTicket(1, {"x": float("nan")})])
def test_a_ticket_that_cannot_be_encoded_leaves_no_backlog(draft):
    """A sender can make up any agent name. A name without tickets must not stay in memory."""

    async def scenario(ledger, journal, hub):
        with pytest.raises(RequestError):
            ledger.accept("nobody", draft)
        assert not hub.backlogs and not ledger._held and not journal.unwritten

    on_disk(scenario)


def test_a_change_that_cannot_be_encoded_has_no_effect():
    async def scenario(ledger, journal, hub):
        entry, _ = ledger.accept("lucy", NewTicket(1, {}))
        await settled(journal)
        with pytest.raises(RequestError):
            ledger.propose(entry, acknowledged(entry.head, "w", {"n": float("inf")}, 1))
        assert entry.next is None and not entry.head.is_final and not journal.unwritten

    on_disk(scenario)


def test_a_row_that_the_journal_does_not_take_leaves_no_trace():
    """If memory runs out, a repeated send must not find a ticket that is never stored."""

    async def scenario(ledger, journal, hub):
        def no_memory(record):
            raise MemoryError

        draft = NewTicket(1, {}, ticket_id="mine")
        journal.propose, propose = no_memory, journal.propose
        with pytest.raises(MemoryError):
            ledger.accept("lucy", draft)
        assert not hub.backlogs and not ledger._held and not ledger._coming_bytes
        assert ledger.repeated("lucy", draft) is None
        journal.propose = propose
        entry, _ = ledger.accept("lucy", draft)
        await settled(journal)
        journal.propose = no_memory
        with pytest.raises(MemoryError):
            ledger.propose(entry, acknowledged(entry.head, "w", {}, 1))
        assert entry.head is entry.state and entry.commit.result() is None

    on_disk(scenario)


def test_a_failed_change_does_not_decide_a_later_response():
    """The disk was full for an acknowledgement and has room again. Then a repeated send is 202."""

    async def scenario(ledger, journal, hub):
        draft = NewTicket(1, {}, ticket_id="mine")
        entry, _ = ledger.accept("lucy", draft)
        await settled(journal)
        ledger.propose(entry, acknowledged(entry.head, "w", {}, 1))
        await settled(journal, FULL)
        _, commit = ledger.repeated("lucy", draft)
        assert commit is None or commit.result() is None

    on_disk(scenario)


def test_a_sender_cannot_take_an_id_that_the_broker_will_make():
    """From one id of the broker, the next ones can be guessed.

    A sender that takes such an id must not make the sends of others fail.
    """

    async def scenario(ledger, journal, hub):
        first, _ = ledger.accept("lucy", NewTicket(1, {}))
        guessed = first.ticket_id[:-8] + f"{int(first.ticket_id[-8:], 16) + 2:08x}"
        draft = NewTicket("mine", {}, ticket_id=guessed)
        try:
            if ledger.repeated("eve", draft) is None:
                ledger.accept("eve", draft)
        except RequestError as error:
            assert error.reason in (Reason.MALFORMED, Reason.CONFLICT)
        ledger.accept("lucy", NewTicket(2, {}))
        rows = [row.ticket_id for row in journal.unwritten[0].births]
        assert len(set(rows)) == len(rows), "one row twice fails the whole group on a real disk"

    on_disk(scenario)


def test_pending_bytes_include_tickets_that_are_not_yet_committed():
    async def scenario(ledger, journal, hub):
        taken = 0
        with pytest.raises(RequestError) as caught:
            for number in range(200):
                ledger.check_room(f"agent-{number}")
                ledger.accept(f"agent-{number}", NewTicket("x" * 1000, {}))
                taken += 1
        assert caught.value.reason is Reason.PENDING_BYTES and taken < 20

    on_disk(scenario, pending_bytes=10000)


def test_a_ticket_being_pruned_cannot_change_and_its_id_stays_taken():
    async def scenario(ledger, journal, hub):
        draft = NewTicket(1, {}, ticket_id="mine")
        entry, _ = ledger.accept("lucy", draft)
        await settled(journal)
        ledger.propose(entry, acknowledged(entry.head, "w", {}, 1000))
        await settled(journal)
        assert ledger.find("mine") is entry
        ledger.forget(1000)
        assert ledger.find("mine") is entry, "it is not older than the limit"
        ledger.forget(1001)
        assert journal.find("mine") is not None and ledger.find("mine") is None
        with pytest.raises(RequestError) as caught:
            ledger.get("mine")
        assert caught.value.reason is Reason.NOT_FOUND
        known, commit = ledger.repeated("lucy", draft)
        assert known.seq == entry.seq and commit is None

    on_disk(scenario)


def test_a_ticket_with_an_uncommitted_change_is_not_pruned():
    async def scenario(ledger, journal, hub):
        entry, _ = ledger.accept("lucy", NewTicket(1, {}))
        await settled(journal)
        ledger.propose(entry, acknowledged(entry.head, "w", {}, 1000))
        await settled(journal)
        ledger.propose(entry, replied(entry.head, "late", {}, 5000))
        ledger.forget(2000)
        assert ledger.find(entry.ticket_id) is entry
        await settled(journal)
        assert ledger.find(entry.ticket_id).state.response["payload"] == "late"

    on_disk(scenario)


def test_the_counters_count_committed_tickets_only():
    async def main():
        journal, metrics = ScriptedJournal(), Metrics()
        ledger = Ledger(journal, PacedHub(), HandClock().clock(), metrics, Bounds())
        ledger.accept("lucy", NewTicket(1, {}))
        await settled(journal, FULL)
        assert metrics.sent == 0
        ledger.accept("lucy", NewTicket(1, {}))
        await settled(journal)
        assert metrics.sent == 1

    asyncio.run(main())


def test_the_encoded_ticket_equals_ticket_to_json():
    """The ledger's template has the same keys in the same order as ticket.Ticket."""
    from bridge.ticket import Ticket

    async def scenario(ledger, journal, hub):
        draft = NewTicket(
            {"é": ["\ud800", 1.5, None]}, {"origin": 'a"b'}, 'a"b', 'id"1', False, 5, 7
        )
        entry, _ = ledger.accept('ag"ent', draft)
        fields = json.loads(entry.data)
        ticket = Ticket.from_json(fields)
        assert list(ticket.to_json()) == list(fields) and ticket.to_json() == fields
        assert (
            ticket.payload,
            ticket.metadata,
            ticket.origin,
            ticket.expect_reply,
            ticket.timeout_ms,
        ) == (draft.payload, draft.metadata, draft.origin, False, 5)
        assert journal.unwritten[0].births[0].body.encode() == entry.data

    on_disk(scenario)


def test_flush_of_the_memory_journal_waits_for_its_group():
    """`flush` ends after the group is settled. The server relies on this at start and stop."""

    async def scenario():
        journal = MemoryJournal()
        hub = PacedHub()
        ledger = Ledger(journal, hub, HandClock().clock(), Metrics(), Bounds())
        _, commit = ledger.accept("lucy", NewTicket(1, {}))
        await journal.flush()
        assert commit.result() is None

    asyncio.run(scenario())

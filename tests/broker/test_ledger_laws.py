"""The ledger on a scripted journal, against a naive model.

A failed group leaves no trace, a committed group is visible at once, and no decision is made
twice. The machine settles groups in order, at any time, with success or with an error. Its model
holds only what was committed.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.broker.ledger import Bounds, Ledger, NewTicket
from bridge.broker.metrics.counters import Metrics
from bridge.broker.transitions import acknowledged, claimed, replied
from bridge.errors import Reason, RequestError
from broker.seams import FULL, HandClock, PacedHub, ScriptedJournal

AGENTS, QUEUE_MAX, RETAINED = ["ann", "bob"], 5, 3


class LedgerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.journal, self.hub = ScriptedJournal(self.loop), PacedHub()
        self.hand, self.metrics = HandClock(), Metrics()
        self.ledger = Ledger(
            self.journal,
            self.hub,
            self.hand.clock(),
            self.metrics,
            Bounds(QUEUE_MAX, 1 << 20, RETAINED),
        )
        self.numbers = itertools.count(1)
        # By group, in order: (ticket id, "born", agent, seq) and (ticket id, verb, watcher, ms).
        self.on_way = []
        self.forgotten_ms = 0
        self.tickets = {}  # id -> {"agent", "seq", "status", "watcher", ...}: committed only
        self.ids = []

    def teardown(self) -> None:
        while self.journal.unwritten:
            self.settle(True)
        self.turn()
        assert self.ledger._held.keys() == {
            each for each, its in self.tickets.items() if its["status"] == "pending"
        }
        self.loop.close()

    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))

    def _note(self, *row) -> None:
        while len(self.on_way) < len(self.journal.unwritten):
            self.on_way.append([])
        self.on_way[-1].append(row)

    # -- requests -----------------------------------------------------------------

    @rule(agent=st.sampled_from(AGENTS), own_id=st.booleans())
    def send(self, agent, own_id):
        draft = NewTicket({"n": 1}, {}, ticket_id=f"mine-{next(self.numbers)}" if own_id else None)
        waiting = sum(
            its["agent"] == agent and its["status"] == "pending" for its in self.tickets.values()
        )
        coming = sum(row[1] == "born" and row[2] == agent for group in self.on_way for row in group)
        if waiting + coming >= QUEUE_MAX:
            with pytest.raises(RequestError) as caught:
                self.ledger.check_room(agent)
            assert caught.value.reason is Reason.QUEUE_FULL
            return
        self.ledger.check_room(agent)
        entry, commit = self.ledger.accept(agent, draft)
        assert not commit.is_done and entry.seq == self.ledger.seq
        self.ids.append((entry.ticket_id, agent))
        self._note(entry.ticket_id, "born", agent, entry.seq)

    @rule(data=st.data(), other=st.sampled_from(["nothing", "payload", "agent"]))
    def send_again(self, data, other):
        """Send an id again. It finds the same ticket, even if that is not committed yet.

        Another payload or agent is refused.
        """
        if not self.ids:
            return
        ticket_id, agent = data.draw(st.sampled_from(self.ids))
        draft = NewTicket({"n": 2 if other == "payload" else 1}, {}, ticket_id=ticket_id)
        exists = ticket_id in self.tickets or any(
            row[:2] == (ticket_id, "born") for group in self.on_way for row in group
        )
        before = len(self.journal.unwritten)
        if not exists:
            assert not ticket_id.startswith("mine") or self.ledger.repeated(agent, draft) is None
        elif other == "nothing":
            entry, commit = self.ledger.repeated(agent, draft)
            assert entry.ticket_id == ticket_id
            is_failed = commit is not None and commit.is_done and commit.result() is not None
            assert not is_failed, "a ticket on disk must not be answered with 503"
        else:
            with pytest.raises(RequestError) as caught:
                self.ledger.repeated("eve" if other == "agent" else agent, draft)
            assert caught.value.reason is Reason.CONFLICT
        assert len(self.journal.unwritten) == before

    @rule(
        data=st.data(),
        verb=st.sampled_from(["claim", "acknowledge", "reply"]),
        watcher=st.sampled_from(["w1", "w2"]),
    )
    def change(self, data, verb, watcher):
        if not self.ids:
            return
        ticket_id, _ = data.draw(st.sampled_from(self.ids))
        entry = self.ledger.find(ticket_id)
        is_visible = ticket_id in self.tickets and not self._is_forgotten(ticket_id)
        assert (entry is not None) == is_visible, "from its commit until it is forgotten"
        if entry is None:
            return
        head = self._head(ticket_id)
        try:
            if verb == "claim":
                state = claimed(entry.head, watcher, 10**9, self.hand.now, self.hand.wall_ms)
                assert head["status"] == "pending" and head["watcher"] in (None, watcher)
            elif verb == "reply":
                state = replied(entry.head, watcher, {}, self.hand.wall_ms)
                assert head["status"] in ("pending", "delivered")
            elif not entry.head.is_acknowledgeable:
                assert head["status"] != "pending" and head["is_acknowledged"]
                return
            else:
                assert not head["is_acknowledged"]
                state = acknowledged(entry.head, watcher, {}, self.hand.wall_ms)
        except RequestError as error:
            assert error.reason is Reason.CONFLICT
            assert head["status"] == "responded" or (
                verb == "claim"
                and (head["status"] != "pending" or head["watcher"] not in (None, watcher))
            )
            self._check_refusal_can_be_answered(ticket_id, entry)
            return
        self.ledger.propose(entry, state)
        self._note(ticket_id, verb, watcher, self.hand.wall_ms)

    def _head(self, ticket_id):
        """Return the model's ticket with all uncommitted changes applied."""
        head = dict(self.tickets[ticket_id])
        for group in self.on_way:
            for row in group:
                if row[0] == ticket_id and row[1] != "born":
                    self._apply(head, *row[1:])
        return head

    def _is_forgotten(self, ticket_id) -> bool:
        head = self._head(ticket_id)
        return head["status"] != "pending" and head["updated"] < self.forgotten_ms

    @staticmethod
    def _apply(ticket, verb, watcher, wall_ms) -> None:
        if verb == "claim":
            ticket["watcher"] = watcher
        else:
            ticket["updated"] = wall_ms
            ticket["is_acknowledged"] |= verb == "acknowledge"
            ticket["status"], ticket["watcher"] = (
                "responded" if verb == "reply" or ticket["status"] == "responded" else "delivered",
                None,
            )

    def _check_refusal_can_be_answered(self, ticket_id, entry) -> None:
        """A refusal waits for uncommitted changes. A settled commit must not make it a 503."""
        in_flight = any(row[0] == ticket_id for group in self.on_way for row in group)
        if not in_flight and entry.commit is not None:
            is_kept = entry.commit.is_done and entry.commit.result() is None
            assert is_kept, "a failed write must not decide a later response"

    @rule()
    def close_group(self):
        self.journal.close_group()

    @rule(is_kept=st.booleans())
    def settle(self, is_kept):
        if not self.journal.unwritten:
            return
        group = self.on_way.pop(0) if self.on_way else []
        self.journal.settle(None if is_kept else FULL)
        self.turn()
        if not is_kept:
            self.on_way.clear()
        for ticket_id, verb, *rest in group if is_kept else ():
            if verb == "born":
                self.tickets[ticket_id] = {
                    "agent": rest[0],
                    "seq": rest[1],
                    "status": "pending",
                    "watcher": None,
                    "is_acknowledged": False,
                }
            else:
                self._apply(self.tickets[ticket_id], verb, *rest)

    @rule(seconds=st.floats(0, 5), forget=st.booleans())
    def time_passes(self, seconds, forget):
        self.hand.advance(seconds)
        if forget:
            self.forgotten_ms = self.hand.wall_ms + 1
            self.ledger.forget(self.forgotten_ms)
            assert not self.ledger._finished

    # -- laws ----------------------------------------------------------------------

    @invariant()
    def what_is_visible_is_what_was_kept(self):
        pending = {
            agent: [each.ticket_id for each in self.hub.read(agent, 0, 10**6)] for agent in AGENTS
        }
        for agent in AGENTS:
            its = sorted(
                (each["seq"], ticket_id)
                for ticket_id, each in self.tickets.items()
                if each["agent"] == agent and each["status"] == "pending"
            )
            assert pending[agent] == [ticket_id for _, ticket_id in its]
        for ticket_id, its in self.tickets.items():
            if self._is_forgotten(ticket_id):
                assert self.ledger.find(ticket_id) is None
                continue
            entry = self.ledger.get(ticket_id)
            assert (entry.state.status, entry.seq) == (its["status"], its["seq"])
            assert (entry.state.claim and entry.state.claim.watcher) == its["watcher"]

    @invariant()
    def bounds_are_given_back(self):
        assert self.hub.pending == sum(its["status"] == "pending" for its in self.tickets.values())
        for agent in AGENTS:
            coming = sum(
                row[1] == "born" and row[2] == agent for group in self.on_way for row in group
            )
            backlog = self.hub.backlogs.get(agent)
            assert (backlog.reserved if backlog is not None else 0) == coming
        assert len(self.ledger._finished) <= RETAINED
        assert self.metrics.sent == len(self.tickets)


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=40)

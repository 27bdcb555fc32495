"""The inbox agrees with a naive model: nothing lost, nothing twice, in order, bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.ticket import Ticket
from bridge.watcher.inbox import NEXT_STAGE, Inbox, Stage, Step

CAPACITY, REMEMBERED = 5, 1000


def ticket(ticket_id: str, seq: int = 0, is_urgent: bool = False) -> Ticket:
    return Ticket(ticket_id, seq, "lucy", "text", {"priority": "urgent"} if is_urgent else {})


class InboxAgreesWithModel(RuleBasedStateMachine):
    """The model: a list of [seq, urgent, id] in order of arrival, and sets of what happened to ids."""

    def __init__(self):
        super().__init__()
        self.inbox = Inbox(CAPACITY, REMEMBERED)
        self.held: list[Ticket] = []
        self.injected: set[str] = set()
        self.finished: set[str] = set()

    def expected_head(self):
        waiting = sorted(self.held, key=lambda each: (each.ticket_id not in self.injected, not each.is_urgent, each.seq))
        return waiting[0].ticket_id if waiting else None

    @rule(number=st.integers(0, 30), seq=st.integers(0, 9), is_urgent=st.booleans())
    def offer(self, number, seq, is_urgent):
        offered = ticket(f"T{number}", seq, is_urgent)
        is_known = offered.ticket_id in self.finished or offered.ticket_id in {each.ticket_id for each in self.held}
        taken = self.inbox.offer(offered)
        assert taken == (is_known or len(self.held) < CAPACITY)
        if taken and not is_known:
            self.held.append(offered)

    @precondition(lambda self: self.held)
    @rule()
    def claim_head(self):
        head = self.inbox.head()
        if head.stage is Stage.INJECTED:
            with pytest.raises(ValueError):
                self.inbox.claim(head.ticket.ticket_id)
        else:
            self.inbox.claim(head.ticket.ticket_id)

    @precondition(lambda self: self.held)
    @rule()
    def inject_head(self):
        ticket_id = self.inbox.head().ticket.ticket_id
        if ticket_id in self.injected:
            with pytest.raises(ValueError):  # the law that matters most
                self.inbox.inject(ticket_id, {})
        else:
            self.inbox.inject(ticket_id, {})
            self.injected.add(ticket_id)

    @precondition(lambda self: self.held)
    @rule(action=st.sampled_from(["ack", "drop"]))
    def finish_head(self, action):
        ticket_id = self.inbox.head().ticket.ticket_id
        is_legal = (action == "ack") == (ticket_id in self.injected)
        if not is_legal:
            with pytest.raises(ValueError):
                getattr(self.inbox, action)(ticket_id)
            return
        getattr(self.inbox, action)(ticket_id)
        self.held = [each for each in self.held if each.ticket_id != ticket_id]
        self.finished.add(ticket_id)

    @precondition(lambda self: self.held)
    @rule(until=st.floats(0, 100))
    def hold_head(self, until):
        ticket_id = self.inbox.head().ticket.ticket_id
        self.inbox.hold(ticket_id, until)
        assert self.inbox.head().ticket.ticket_id == ticket_id  # its successors wait behind it

    @invariant()
    def head_and_size_agree(self):
        head = self.inbox.head()
        assert (head.ticket.ticket_id if head else None) == self.expected_head()
        assert len(self.inbox) == len(self.held) <= CAPACITY
        assert self.inbox.is_full == (len(self.held) == CAPACITY)


TestInbox = InboxAgreesWithModel.TestCase


@given(st.permutations(range(1, 8)))
def test_seq_is_the_order_whatever_the_arrival(order):
    inbox = Inbox(10, 10)
    for seq in order:
        inbox.offer(ticket(f"T{seq}", seq))
    left = []
    while inbox.head():
        ticket_id = inbox.head().ticket.ticket_id
        inbox.inject(ticket_id, {})
        inbox.ack(ticket_id)
        left.append(ticket_id)
    assert left == [f"T{seq}" for seq in range(1, 8)]


def test_tickets_of_a_broker_without_seq_keep_their_arrival():
    inbox = Inbox(10, 10)
    for name in "cab":
        inbox.offer(ticket(name))
    assert inbox.head().ticket.ticket_id == "c"


def test_an_acknowledgement_goes_before_an_urgent_ticket():
    inbox = Inbox(10, 10)
    inbox.offer(ticket("first", 1))
    inbox.inject("first", {})
    inbox.offer(ticket("urgent", 2, True))
    assert inbox.head().ticket.ticket_id == "first"


def test_memory_of_finished_ids_is_bounded_and_forgets_the_oldest():
    inbox = Inbox(10, 2)
    for name in "abc":
        inbox.offer(ticket(name))
        inbox.drop(name)
    assert [inbox.has_seen(name) for name in "abc"] == [False, True, True]


@given(st.sampled_from(Stage), st.sampled_from(Step))
def test_finished_is_final_and_injected_only_leads_to_an_ack(stage, action):
    after = NEXT_STAGE.get((stage, action))
    if stage is Stage.FINISHED:
        assert after is None
    if stage is Stage.INJECTED:
        assert after is (Stage.FINISHED if action is Step.ACK else None)

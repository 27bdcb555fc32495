"""The inbox agrees with a naive model: no ticket is lost or doubled, order and bounds are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bridge.ticket import Ticket
from bridge.watcher.inbox import NEXT_STAGE, Inbox, InboxStage, InboxStep

CAPACITY, REMEMBERED = 5, 1000


def ticket(ticket_id: str, seq: int = 0, is_urgent: bool = False) -> Ticket:
    return Ticket(ticket_id, seq, "lucy", "text", {"priority": "urgent"} if is_urgent else {})


class InboxAgreesWithModel(RuleBasedStateMachine):
    """The model: a list of tickets in order of arrival, and sets of the ids in each stage."""

    def __init__(self):
        super().__init__()
        self.inbox = Inbox(CAPACITY, REMEMBERED)
        self.held: list[Ticket] = []
        self.injected: set[str] = set()
        self.finished: set[str] = set()
        self.aside: dict[str, float] = {}  # held tickets that are set aside: id -> until when
        self.now = 0.0

    def head(self):
        return self.inbox.head(now=self.now)

    def in_line(self):
        return [each for each in self.held if each.ticket_id not in self.aside]

    def expected_head(self):
        waiting = sorted(
            self.held,
            key=lambda each: (
                each.ticket_id not in self.injected,
                self.now < self.aside.get(each.ticket_id, 0.0),
                not each.is_urgent,
                each.seq,
            ),
        )
        return waiting[0].ticket_id if waiting else None

    @rule(number=st.integers(0, 30), seq=st.integers(0, 9), is_urgent=st.booleans())
    def offer(self, number, seq, is_urgent):
        offered = ticket(f"T{number}", seq, is_urgent)
        is_known = offered.ticket_id in self.finished or offered.ticket_id in {
            each.ticket_id for each in self.held
        }
        taken = self.inbox.offer(offered)
        assert taken == (is_known or len(self.in_line()) < CAPACITY), (
            "a ticket that is set aside takes no place in the line"
        )
        if taken and not is_known:
            self.held.append(offered)

    @precondition(lambda self: self.held)
    @rule()
    def claim_head(self):
        head = self.head()
        if head.stage is InboxStage.INJECTED:
            with pytest.raises(ValueError):
                self.inbox.claim(head.ticket.ticket_id)
        else:
            self.inbox.claim(head.ticket.ticket_id)

    @precondition(lambda self: self.held)
    @rule()
    def inject_head(self):
        ticket_id = self.head().ticket.ticket_id
        if ticket_id in self.injected:
            # The most important law: no ticket is typed twice.
            with pytest.raises(ValueError):
                self.inbox.inject(ticket_id, {})
        else:
            self.inbox.inject(ticket_id, {})
            self.injected.add(ticket_id)

    @precondition(lambda self: self.held)
    @rule(action=st.sampled_from(["ack", "drop"]))
    def finish_head(self, action):
        ticket_id = self.head().ticket.ticket_id
        is_legal = (action == "ack") == (ticket_id in self.injected)
        if not is_legal:
            with pytest.raises(ValueError):
                getattr(self.inbox, action)(ticket_id)
            return
        getattr(self.inbox, action)(ticket_id)
        self.held = [each for each in self.held if each.ticket_id != ticket_id]
        self.finished.add(ticket_id)
        self.aside.pop(ticket_id, None)

    @precondition(lambda self: self.held)
    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, float("inf")]))
    def set_head_aside(self, seconds):
        ticket_id = self.head().ticket.ticket_id
        if ticket_id in self.injected:
            # Its text has been delivered: only the acknowledgement is missing.
            with pytest.raises(ValueError):
                self.inbox.set_aside(ticket_id, self.now + seconds)
            return
        is_allowed = ticket_id in self.aside or len(self.aside) < CAPACITY
        assert self.inbox.set_aside(ticket_id, self.now + seconds) == is_allowed
        if is_allowed:
            self.aside[ticket_id] = self.now + seconds

    @rule(seconds=st.sampled_from([1.0, 3.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @precondition(lambda self: self.held)
    @rule(until=st.floats(0, 100))
    def hold_head(self, until):
        ticket_id = self.head().ticket.ticket_id
        self.inbox.hold(ticket_id, until)
        assert self.head().ticket.ticket_id == ticket_id  # the tickets after it wait

    @invariant()
    def head_and_size_agree(self):
        head = self.head()
        assert (head.ticket.ticket_id if head else None) == self.expected_head()
        assert len(self.inbox) == len(self.held) <= 2 * CAPACITY
        assert self.inbox.room == CAPACITY - len(self.in_line()) >= 0
        assert self.inbox.is_full == (self.inbox.room == 0)


TestInbox = InboxAgreesWithModel.TestCase


@given(st.permutations(range(1, 8)))
def test_tickets_are_ordered_by_seq_and_not_by_arrival(order):
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


@given(st.permutations(range(1, 8)), st.sets(st.integers(1, 7)), st.data())
def test_tickets_set_aside_come_last_and_the_others_keep_their_order(order, poison, data):
    """In any order of arrival, no ticket is lost or doubled. Later tickets pass those set aside."""
    inbox, left, coming = Inbox(10, 10), [], list(order)
    while coming or inbox.head():
        if coming and (inbox.head() is None or data.draw(st.booleans())):
            seq = coming.pop()
            inbox.offer(ticket(f"T{seq}", seq))
            continue
        head = inbox.head()
        if head.ticket.seq in poison and head.aside_until is None:
            assert inbox.set_aside(head.ticket.ticket_id, float("inf"))
            continue
        in_line = [
            f"T{seq}" for seq in range(1, 8) if f"T{seq}" in inbox.held() and seq not in poison
        ]
        assert head.ticket.ticket_id == (in_line or sorted(inbox.held()))[0]
        inbox.drop(head.ticket.ticket_id)
        left.append(head.ticket.seq)
    assert sorted(left) == list(range(1, 8))


def test_a_ticket_set_aside_returns_to_its_place_when_its_time_is_over():
    inbox = Inbox(10, 10)
    for seq in (1, 2, 3):
        inbox.offer(ticket(f"T{seq}", seq))
    inbox.claim("T1")
    assert inbox.set_aside("T1", 60.0)
    assert [inbox.head(now=now).ticket.ticket_id for now in (0.0, 59.9, 60.0)] == ["T2", "T2", "T1"]
    assert inbox.head(lambda ticket_id: ticket_id == "T1").ticket.ticket_id == "T2", (
        "even if the sink holds the text of T1"
    )
    for name in ("T2", "T3"):
        inbox.drop(name)
    assert inbox.head().ticket.ticket_id == "T1" and inbox.head().stage is InboxStage.WAITING


def test_at_most_a_full_inbox_of_tickets_may_be_set_aside():
    inbox = Inbox(2, 10)
    for seq in range(1, 5):
        assert inbox.offer(ticket(f"T{seq}", seq))
        if seq <= 2:
            assert inbox.set_aside(f"T{seq}", float("inf"))
    assert not inbox.offer(ticket("T5", 5)), "the line is full"
    assert not inbox.set_aside("T3", float("inf")), "no more may be set aside"
    assert inbox.set_aside("T1", float("inf")), "T1 is set aside already, so it needs no room"
    inbox.drop("T2")
    assert inbox.set_aside("T3", float("inf")) and inbox.offer(ticket("T5", 5))


def test_the_pane_may_lower_the_number_of_tickets_set_aside():
    inbox = Inbox(10, 10)
    for seq in range(1, 4):
        inbox.offer(ticket(f"T{seq}", seq))
    assert [inbox.set_aside(f"T{seq}", 60.0, most=2) for seq in (1, 2, 3, 1)] == [
        True,
        True,
        False,
        True,
    ]
    assert inbox.head().ticket.ticket_id == "T3"


def test_tickets_without_seq_keep_their_order_of_arrival():
    inbox = Inbox(10, 10)
    for name in "cab":
        inbox.offer(ticket(name))
    assert inbox.head().ticket.ticket_id == "c"


def test_an_unacknowledged_ticket_comes_before_an_urgent_one():
    inbox = Inbox(10, 10)
    inbox.offer(ticket("first", 1))
    inbox.inject("first", {})
    inbox.offer(ticket("urgent", 2, True))
    assert inbox.head().ticket.ticket_id == "first"


def test_finished_ids_are_bounded_and_the_oldest_is_evicted():
    inbox = Inbox(10, 2)
    for name in "abc":
        inbox.offer(ticket(name))
        inbox.drop(name)
    assert [inbox.has_seen(name) for name in "abc"] == [False, True, True]


@given(st.sampled_from(InboxStage), st.sampled_from(InboxStep))
def test_finished_is_final_and_injected_leads_only_to_an_ack(stage, action):
    after = NEXT_STAGE.get((stage, action))
    if stage is InboxStage.FINISHED:
        assert after is None
    if stage is InboxStage.INJECTED:
        assert after is (InboxStage.FINISHED if action is InboxStep.ACK else None)


def test_an_injected_ticket_is_not_set_aside_even_if_no_more_may_be():
    inbox = Inbox(1, 8)
    inbox.offer(ticket("T-1", 1))
    assert inbox.set_aside("T-1", 5.0) and inbox.offer(ticket("T-2", 2))
    inbox.inject("T-2", {})
    with pytest.raises(ValueError):
        inbox.set_aside("T-2", 5.0)

"""A backlog against its model: a sorted list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bridge.broker.backlog import Backlog
from broker.seams import make_entry


class BacklogMachine(RuleBasedStateMachine):
    """append, remove (known, unknown, twice) and read do what a list in seq order would do."""

    @initialize(waiting=st.integers(0, 80))
    def begin(self, waiting):
        self.backlog, self.model, self.last = Backlog("lucy"), [], 0
        for _ in range(waiting):  # some code paths run only from 64 entries on
            self.append(1)

    @rule(step=st.integers(1, 3))
    def append(self, step):
        self.last += step
        entry = make_entry(self.last)
        self.backlog.append(entry)
        self.model.append(entry)

    @rule(data=st.data())
    def remove(self, data):
        if self.model:
            entry = data.draw(st.sampled_from(self.model))
            self.backlog.remove(entry)
            self.model.remove(entry)
            self.backlog.remove(entry)  # the second removal has no effect

    @rule(count=st.integers(1, 70))
    def remove_oldest(self, count):
        for entry in self.model[:count]:
            self.backlog.remove(entry)
        del self.model[:count]

    @rule(seq=st.integers(0, 400))
    def remove_a_stranger(self, seq):
        if seq not in [entry.seq for entry in self.model]:
            self.backlog.remove(make_entry(seq))

    @rule(after=st.integers(-1, 400), limit=st.integers(1, 90) | st.just((1 << 53) - 1))
    def read(self, after, limit):
        assert (
            self.backlog.read_after(after, limit)
            == [entry for entry in self.model if entry.seq > after][:limit]
        )

    @invariant()
    def looks_like_the_model(self):
        if hasattr(self, "model"):
            assert len(self.backlog) == len(self.model)
            assert self.backlog.oldest() is (self.model[0] if self.model else None)
            assert self.backlog.is_idle == (not self.model)


TestBacklog = BacklogMachine.TestCase


@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 8))
def test_the_bound_counts_held_and_reserved_tickets(held, reserved, queue_max):
    backlog = Backlog("lucy")
    for seq in range(1, held + 1):
        backlog.append(make_entry(seq))
    backlog.reserved = reserved
    assert backlog.has_room(queue_max) == (held + reserved < queue_max)
    assert backlog.is_idle == (held + reserved == 0)

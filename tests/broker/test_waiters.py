"""Waiters: each is woken once, by its own key, unless it cancelled; nothing stays behind."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from bridge.broker.waiters import Waiters

KEYS = st.sampled_from(["a", "b", "c"])


class WaitersMachine(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.waiters, self.model, self.woken = Waiters(), {}, []
        self.cancels = {}

    @rule(target=tokens, key=KEYS, waits_again=st.booleans())
    def wait(self, key, waits_again):
        token = object()

        def wake() -> None:
            self.woken.append(token)
            self.cancels[token]()  # as every front does, in either order
            if waits_again:  # a pipelined poll for the same key
                again = object()
                self.model[again] = key
                self.cancels[again] = self.waiters.wait(key, lambda: self.woken.append(again))

        self.model[token] = key
        self.cancels[token] = self.waiters.wait(key, wake)
        return token

    @rule(token=tokens)
    def cancel(self, token):
        self.cancels[token]()
        self.model.pop(token, None)

    @rule(key=KEYS)
    def wake(self, key):
        due = [token for token, its in self.model.items() if its == key]
        self.woken.clear()
        for token in due:
            del self.model[token]
        self.waiters.wake_all(key)
        assert sorted(map(id, self.woken)) == sorted(map(id, due))

    @invariant()
    def counts(self):
        assert self.waiters.total == len(self.model)
        for key in "abc":
            assert (key in self.waiters) == (key in self.model.values())
        assert len(self.waiters._waiting) == len(set(self.model.values())), "a key that nobody waits for costs nothing"


TestWaiters = WaitersMachine.TestCase

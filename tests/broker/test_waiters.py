"""Waiters: each is woken once, by its own key, unless it cancelled; nothing stays behind."""

from __future__ import annotations

from hypothesis import given
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


@given(st.lists(st.sampled_from(["wake", "hold", "cancel"]), max_size=12))
def test_a_wait_for_a_condition_wakes_once_when_it_holds_and_never_before(steps):
    waiters, woken, holds, is_over = Waiters(), [], False, False
    cancel = waiters.wait_until("a", lambda: holds, lambda: woken.append(True))
    for step in steps:
        holds = holds or step == "hold"
        if step == "wake":
            waiters.wake_all("a")
            is_over = is_over or holds
        elif step == "cancel":
            cancel()
            is_over = True
        assert ("a" in waiters) == (not is_over), "a wait that is over costs nothing"
    first_end = next((step for index, step in enumerate(steps) if step == "cancel" or (step == "wake" and "hold" in steps[:index])), "")
    assert woken == ([True] if first_end == "wake" else [])

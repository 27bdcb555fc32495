"""Waiters: each is woken once by its key unless it was cancelled, and leaves nothing behind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from bridge.broker.pace import TURN
from bridge.broker.waiters import Polls, Waiters
from broker.seams import PacedHub, make_entry

KEYS = st.sampled_from(["a", "b", "c"])


class WaitersMachine(RuleBasedStateMachine):
    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.hub = PacedHub()
        self.waiters, self.model, self.woken = Waiters(self.hub.pace), {}, []
        self.cancels = {}

    @rule(target=tokens, key=KEYS, waits_again=st.booleans())
    def wait(self, key, waits_again):
        token = object()

        def wake() -> None:
            self.woken.append(token)
            self.cancels[token]()  # fronts cancel before or after they are woken
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

    @rule(key=KEYS, share=st.sampled_from([0, 0.4, 2]), data=st.data())
    def wake(self, key, share, data):
        """A turn may have no time left for some waiters. Until they run they can be cancelled."""
        due = [token for token, its in self.model.items() if its == key]
        self.woken.clear()
        for token in due:
            del self.model[token]
        self.hub.pace.begin()
        self.hub.seconds_a_look = share * TURN
        self.waiters.wake_all(key)
        assert len(self.woken) >= min(len(due), 1 if share < 1 else 0)
        for token in due[:]:
            if token not in self.woken and data.draw(st.booleans()):
                due.remove(token)
                self.cancels[token]()
        self.hub.turns()
        assert sorted(map(id, self.woken)) == sorted(map(id, due))

    @invariant()
    def counts(self):
        assert self.waiters.total == len(self.model)
        for key in "abc":
            assert (key in self.waiters) == (key in self.model.values())
        assert len(self.waiters._waiting) == len(set(self.model.values())), (
            "a key without waiters uses no memory"
        )


TestWaiters = WaitersMachine.TestCase


@given(st.lists(st.sampled_from(["wake", "hold", "cancel"]), max_size=12))
def test_a_wait_for_a_condition_is_woken_once_when_it_holds(steps):
    hub = PacedHub()
    waiters, woken, holds, is_over = Waiters(hub.pace), [], False, False
    cancel = waiters.wait_until("a", lambda: holds, lambda: woken.append(True))
    for step in steps:
        holds = holds or step == "hold"
        if step == "wake":
            waiters.wake_all("a")
            hub.turns()
            is_over = is_over or holds
        elif step == "cancel":
            cancel()
            is_over = True
        assert ("a" in waiters) == (not is_over), "a finished wait is removed"
    first_end = next(
        (
            step
            for index, step in enumerate(steps)
            if step == "cancel" or (step == "wake" and "hold" in steps[:index])
        ),
        "",
    )
    assert woken == ([True] if first_end == "wake" else [])


NAMES = st.sampled_from(["one", "two"])
WAITS = st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "one", "two"])), max_size=6)
SUBSCRIPTIONS = st.lists(st.tuples(KEYS, NAMES, st.booleans()), max_size=12)


@given(SUBSCRIPTIONS, WAITS, KEYS)
def test_an_agent_wakes_its_own_polls_and_those_of_its_subscribers(changes, waits, agent):
    """A subscriber's poll waits under one key, even if its agents change while it waits."""
    hub, woken, of_agent = PacedHub(), [], {key: set() for key in "abc"}
    polls = Polls(hub.pace)
    for number, (of_subscriber, key) in enumerate(waits):
        waiters = polls.by_subscriber if of_subscriber else polls
        waiters.wait(key, lambda number=number: woken.append(number))
    assert polls.total == len(waits)
    for key, name, is_subscribed in changes:
        (polls.subscribed if is_subscribed else polls.unsubscribed)(key, name)
        (of_agent[key].add if is_subscribed else of_agent[key].discard)(name)
    assert all(set(polls.subscribers(key)) == of_agent[key] for key in "abc")
    keys = {True: of_agent[agent], False: {agent}}
    due = [number for number, (is_one, key) in enumerate(waits) if key in keys[is_one]]
    assert (agent in polls) == bool(due)
    polls.wake_all(agent)
    hub.turns()
    assert sorted(woken) == due and agent not in polls and polls.total == len(waits) - len(due)
    assert all(polls._subscribers.values()), "an agent without subscribers uses no memory"


def test_many_waiters_for_one_ticket_are_woken_over_several_turns():
    hub, woken = PacedHub(), []
    for number in range(2000):
        hub.polls.wait("lucy", lambda number=number: woken.append(number))
        hub.replies.wait("t1", lambda number=number: woken.append(-number))
    hub.backlog("lucy")
    hub.seconds_a_look = TURN / 50
    hub.publish([make_entry(1)])
    hub.replies.wake_all("t1")
    counts = [len(woken)]
    while hub.called:
        hub.turn()
        counts.append(len(woken))
        # Fifty looks may fall short of a turn by rounding.
    assert max(after - before for before, after in zip([0, *counts], counts)) <= 51
    assert sorted(woken) == sorted([*range(2000), *(-number for number in range(2000))])

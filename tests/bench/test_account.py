"""The account of a load test agrees with a naive model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.bench.account import Account
from bridge.settings import LoadSettings

TICKETS, CONNECTIONS = 6, 3
numbers, connections = st.integers(0, TICKETS - 1), st.integers(1, CONNECTIONS)
words = st.sampled_from(["accept", "refuse", "release"])
steps = st.lists(
    st.one_of(st.tuples(st.just("receive"), numbers, connections), st.tuples(words, numbers)),
    max_size=30,
)


@given(steps)
def test_counts_agree_with_a_list_of_events(steps):
    account, clock = Account(), iter(range(10_000))
    assert [account.post(next(clock)) for _ in range(TICKETS)] == list(range(TICKETS))
    arrivals, accepted, open_tickets, refused = {}, set(), set(range(TICKETS)), 0
    for step, number, *where in steps:
        if step == "receive":
            is_first = account.receive(number, *where, next(clock))
            assert is_first == (number not in arrivals)
            arrivals.setdefault(number, []).append(*where)
        elif step == "accept" and number not in accepted:
            account.accept(number, next(clock))
            accepted.add(number)
        elif step == "refuse":
            account.refuse(number, "send: 429")
            open_tickets.discard(number)
            refused += 1
        elif step == "release":
            account.release(number)
            open_tickets.discard(number)
    pairs = [(one, other) for each in arrivals.values() for one, other in zip(each, each[1:])]
    assert account.received == len(arrivals)
    assert account.doubled == sum(one == other for one, other in pairs)
    assert account.repeated == sum(one != other for one, other in pairs)
    assert account.lost() == sorted(accepted - set(arrivals))
    assert account.outstanding == len(open_tickets)
    assert account.errors == ({"send: 429": refused} if refused else {})


def close(account: Account, rate: int = 0):
    return account.close("http://127.0.0.1:1", LoadSettings(rate=rate), 2.0, 50.0, 0, "")


def test_latency_is_measured_to_the_first_arrival():
    account = Account()
    account.post(10.0)
    account.accept(0, 10.5)
    account.receive(0, 1, 11.0)
    account.receive(0, 2, 15.0)
    result = close(account)
    assert (result.latency.count, result.latency.max_ms, result.answers.max_ms) == (
        1,
        1000.0,
        500.0,
    )
    assert (result.received, result.doubled, result.repeated, result.is_clean) == (1, 0, 1, True)


def test_tickets_of_another_sender_are_counted_separately():
    account = Account()
    account.post(0.0)
    assert not account.receive(-1, 1, 1.0) and not account.receive(1, 1, 1.0)
    result = close(account)
    assert (result.strangers, result.received, result.is_clean) == (2, 0, False)


def test_a_send_without_a_response_is_not_counted_as_lost_and_may_arrive():
    account = Account()
    account.post(0.0)
    account.refuse(0, "send: no answer")
    assert account.lost() == []
    account.receive(0, 1, 1.0)
    result = close(account)
    assert (result.accepted, result.received, result.lost, result.is_clean) == (0, 1, 0, False)


def test_a_rate_that_was_not_reached_is_reported():
    account = Account()
    for _ in range(100):
        account.post(0.0)
    assert (
        close(account, rate=60).is_behind
        and not close(account, rate=50).is_behind
        and not close(account, rate=0).is_behind
    )

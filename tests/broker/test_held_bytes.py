"""The budget for the bytes that all connections hold, against a naive model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.fronts.held_bytes import HeldBytes

MOST = 1000


class Peer:
    """A connection: how many bytes it holds, and whether it was disconnected."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True
        self.held_bytes = 0


STEPS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 600), st.booleans()), max_size=60)


@given(STEPS)
def test_the_sum_is_bounded_and_no_small_connection_is_cut(steps):
    peers, held = [Peer() for _ in range(8)], HeldBytes(MOST)
    for number, size, is_told in steps:
        peer = peers[number]
        if peer.is_cut:
            peers[number] = peer = Peer()
        if not is_told:
            peer.held_bytes = min(size, peer.held_bytes)
            continue  # the peer has read, without a call of `note`
        peer.held_bytes = size
        before = {each: each.held_bytes for each in peers}
        held.note(peer, size)
        assert held.total <= MOST
        cut = [before[each] for each in peers if each.is_cut and before[each]]
        average = sum(before.values()) / max(1, sum(map(bool, before.values())))
        assert all(4 * each > average for each in cut)


@given(st.lists(st.integers(50, 99), min_size=2, max_size=30), st.integers(100, 400))
def test_the_longest_holder_is_cut_even_if_a_new_connection_holds_more(sizes, size):
    held, crowd, sender = HeldBytes(MOST), [Peer() for _ in sizes], Peer()
    for peer, its in zip(crowd, sizes):
        peer.held_bytes = its
        held.note(peer, its)
    for part in (size // 4, size // 2, size):  # the body comes in several reads
        sender.held_bytes = part
        held.note(sender, part)
    cut = [peer.is_cut for peer in crowd]
    assert not sender.is_cut and held.total <= MOST
    assert cut == sorted(cut, reverse=True), "the first ones are cut"


def test_bytes_that_were_read_meanwhile_are_not_counted():
    held, slow, quick = HeldBytes(MOST), Peer(), Peer()
    slow.held_bytes = 900
    held.note(slow, 900)
    slow.held_bytes = 10
    quick.held_bytes = 600
    held.note(quick, 600)
    assert not slow.is_cut and not quick.is_cut and held.total == 610


def test_a_connection_that_is_gone_holds_nothing():
    held, peer = HeldBytes(MOST), Peer()
    peer.held_bytes = 5
    held.note(peer, 5)
    held.note(peer, 0)
    assert held.total == 0

"""The budget for the bytes that all connections hold, against a naive model."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.fronts.held_bytes import HeldBytes
from broker.small_server import SmallServer
from broker.talk import HEALTH, request, settle, statuses

MOST = 1000


class Peer:
    """A connection: how many bytes it holds, and whether it was disconnected."""

    def __init__(self) -> None:
        self.held_bytes = 0
        self.is_cut = False

    def cut(self) -> int:
        self.is_cut = True
        self.held_bytes = 0
        return 0


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


BODY = 60_000  # bytes of a large body, which is answered in a later turn


def test_a_whole_request_in_line_that_must_give_way_is_503_and_its_connection_goes_on():
    async def scenario(loop):
        server, in_line = SmallServer(loop, connection_bytes=int(1.5 * BODY)), []
        server.budget.queue = in_line.append
        first, second = server.connect(), server.connect()
        for line in (first, second):
            line.send(request("POST", "/agents/lucy/send", {"payload": "x" * BODY}) + HEALTH)
        assert BODY < server.held.total < 1.2 * BODY, "the first body is dropped at once"
        while in_line:
            in_line.pop(0)()
        await settle(server)
        assert statuses(first, 2) == [503, 200] and b"Retry-After: " in first.received
        assert statuses(second, 2) == [202, 200]
        assert server.services.metrics.refusals["connection_bytes"] == 1
        assert server.held.total == 0
        for line in (first, second):
            line.send(HEALTH)
        assert statuses(first, 3)[2] == statuses(second, 3)[2] == 200

    run(scenario)


def test_a_connection_whose_request_was_dropped_may_be_gone_before_its_turn():
    async def scenario(loop):
        server, in_line = SmallServer(loop, connection_bytes=int(1.5 * BODY)), []
        server.budget.queue = in_line.append
        first, second = server.connect(), server.connect()
        for line in (first, second):
            line.send(request("POST", "/agents/lucy/send", {"payload": "x" * BODY}))
        first.abort()
        await asyncio.sleep(0)
        while in_line:
            in_line.pop(0)()
        await settle(server)
        assert not first.received and statuses(second, 1) == [202]
        assert server.held.total == 0

    run(scenario)

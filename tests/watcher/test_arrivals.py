"""What has no room is left with the broker and read later: each ticket once, in order, whatever comes in between."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.errors import BrokerUnreachable, Refused
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.arrivals import Arrivals
from bridge.watcher.inbox import Inbox
from bridge.watcher.ladder import Tier
from bridge.watcher.report import Vitals


def ticket(seq: int) -> Ticket:
    return Ticket(f"T{seq:03}", seq, "lucy", "hi")


class Backlog:
    """The broker of these tests: one agent's pending tickets, an answer cut short now and then, a failure when told so."""

    def __init__(self, most: int = 1000) -> None:
        self.pending_now: dict[int, Ticket] = {}
        self.failures: list[Exception] = []
        self.most, self.asked = most, 0

    async def pending(self, agent, after=0, wait_ms=0, limit=None):
        self.asked += 1
        await asyncio.sleep(0.001)
        if self.failures:
            raise self.failures.pop()
        return [each for seq, each in sorted(self.pending_now.items()) if seq > after][
            : min(limit, self.most)
        ]


class Desk:
    """Arrivals, an inbox and its emptying, by hand."""

    def __init__(self, capacity: int, most: int = 1000) -> None:
        self.backlog = Backlog(most)
        self.inbox = Inbox(capacity, 4096)
        self.arrivals = Arrivals(
            "lucy",
            self.backlog,
            self.inbox,
            Vitals("", "", Tier.STREAM),
            WatcherSettings(inbox_max=capacity, reconnect_base=5, reconnect_max=20),
        )
        self.taken: list[int] = []
        self.seq = 0

    def publish(self) -> None:
        self.seq += 1
        self.backlog.pending_now[self.seq] = ticket(self.seq)
        self.arrivals.take(ticket(self.seq))

    def deliver(self) -> bool:
        head = self.inbox.head()
        if head is None:
            return False
        self.inbox.inject(head.ticket.ticket_id, {})
        self.inbox.ack(head.ticket.ticket_id)
        del self.backlog.pending_now[head.ticket.seq]
        self.taken.append(head.ticket.seq)
        self.arrivals.has_room.set()
        return True

    async def drain(self) -> None:
        while self.backlog.pending_now:
            if not self.deliver():
                await asyncio.sleep(0.01)


@given(
    st.integers(1, 6),
    st.integers(1, 3),
    st.lists(st.sampled_from(["publish", "deliver", "pause", "fail"]), max_size=120),
)
def test_each_once_and_in_order(capacity, most, steps):
    async def scenario(loop):
        desk = Desk(capacity, most)
        running = asyncio.ensure_future(desk.arrivals.run())
        for step in steps:
            if step == "pause":
                await asyncio.sleep(0.002)
            elif step == "fail":
                desk.backlog.failures.append(BrokerUnreachable("gone"))
            else:
                getattr(desk, step)()
            assert len(desk.inbox) <= capacity
        await desk.drain()
        assert desk.taken == list(range(1, desk.seq + 1))
        desk.publish()
        await desk.drain()
        assert not running.done()
        running.cancel()

    run(scenario)


def test_nothing_is_asked_while_there_is_room():
    async def scenario(loop):
        desk = Desk(10)
        running = asyncio.ensure_future(desk.arrivals.run())
        for _ in range(30):
            desk.publish()
            await asyncio.sleep(0.01)
            desk.deliver()
        assert desk.backlog.asked == 0
        running.cancel()

    run(scenario)


def test_a_long_backlog_is_read_half_an_inbox_at_a_time():
    async def scenario(loop):
        desk = Desk(20)
        running = asyncio.ensure_future(desk.arrivals.run())
        for _ in range(400):
            desk.publish()
        await desk.drain()
        assert desk.taken == list(range(1, 401)) and desk.backlog.asked <= 400 / 10 + 2
        running.cancel()

    run(scenario)


def test_an_agent_that_joins_late_reads_what_was_sent_before():
    async def scenario(loop):
        desk = Desk(4)
        desk.backlog.pending_now = {seq: ticket(seq) for seq in range(1, 10)}
        desk.seq = 9
        running = asyncio.ensure_future(desk.arrivals.run())
        desk.arrivals.fall_behind()
        desk.publish()
        await desk.drain()
        assert desk.taken == list(range(1, 11))
        running.cancel()

    run(scenario)


def test_retry_after_is_honoured():
    async def scenario(loop):
        desk = Desk(4)
        desk.backlog.failures.append(Refused(429, "slow down", retry_after=7.0))
        desk.backlog.pending_now = {1: ticket(1)}
        running = asyncio.ensure_future(desk.arrivals.run())
        began = loop.time()
        desk.arrivals.fall_behind()
        await desk.drain()
        assert loop.time() - began >= 7.0
        running.cancel()

    run(scenario)


def test_what_was_left_is_known_and_what_was_passed_over_is_not():
    """How another store is found out: it has a pending ticket that lies before the cursor and was never received."""

    async def scenario(loop):
        desk = Desk(1)
        desk.publish()
        desk.publish()  # no room
        assert (
            desk.arrivals.knows(ticket(1))
            and desk.arrivals.knows(ticket(2))
            and not desk.arrivals.knows(Ticket("another", 1, "lucy", "hi"))
        )

    run(scenario)


def test_the_predecessors_tickets_are_left_without_a_word():
    """They have no seq, and come again with each poll."""

    async def scenario(loop):
        desk = Desk(1)
        for name in ("a", "b"):
            desk.arrivals.take(Ticket(name, 0, "lucy", "hi"))
        assert len(desk.inbox) == 1 and desk.arrivals.knows(Ticket("a", 0, "lucy", "hi"))
        running = asyncio.ensure_future(desk.arrivals.run())
        await asyncio.sleep(1)
        assert desk.backlog.asked == 0
        running.cancel()

    run(scenario)

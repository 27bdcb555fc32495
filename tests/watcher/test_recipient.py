"""Tickets that do not fit into the inbox stay with the broker and are read later.

Each ticket is delivered once and in order, whatever happens in between.
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.errors import BrokerUnreachable, Refused
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket
from bridge.watcher.inbox import Inbox
from bridge.watcher.recipient import Recipient
from bridge.watcher.report import Vitals
from bridge.watcher.tiers import Tier


def ticket(seq: int) -> Ticket:
    return Ticket(f"T{seq:03}", seq, "lucy", "hi")


class Backlog:
    """A fake broker: the pending tickets of one agent.

    A response holds at most `most` tickets, and an exception in `failures` is raised instead.
    """

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
    """Recipient and an inbox; the test calls `deliver` to remove the inbox's head."""

    def __init__(self, capacity: int, most: int = 1000) -> None:
        self.backlog = Backlog(most)
        self.inbox = Inbox(capacity, 4096)
        self.recipient = Recipient(
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
        self.recipient.take(ticket(self.seq))

    def deliver(self) -> bool:
        head = self.inbox.head()
        if head is None:
            return False
        self.inbox.inject(head.ticket.ticket_id, {})
        self.inbox.ack(head.ticket.ticket_id)
        del self.backlog.pending_now[head.ticket.seq]
        self.taken.append(head.ticket.seq)
        self.recipient.has_room.set()
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
def test_each_ticket_is_delivered_once_and_in_order(capacity, most, steps):
    async def scenario(loop):
        desk = Desk(capacity, most)
        running = asyncio.ensure_future(desk.recipient.run())
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


def test_no_request_is_made_while_the_inbox_has_room():
    async def scenario(loop):
        desk = Desk(10)
        running = asyncio.ensure_future(desk.recipient.run())
        for _ in range(30):
            desk.publish()
            await asyncio.sleep(0.01)
            desk.deliver()
        assert desk.backlog.asked == 0
        running.cancel()

    run(scenario)


def test_a_long_backlog_is_read_in_batches_of_half_an_inbox():
    async def scenario(loop):
        desk = Desk(20)
        running = asyncio.ensure_future(desk.recipient.run())
        for _ in range(400):
            desk.publish()
        await desk.drain()
        assert desk.taken == list(range(1, 401)) and desk.backlog.asked <= 400 / 10 + 2
        running.cancel()

    run(scenario)


def test_an_agent_that_joins_late_reads_its_backlog():
    async def scenario(loop):
        desk = Desk(4)
        desk.backlog.pending_now = {seq: ticket(seq) for seq in range(1, 10)}
        desk.seq = 9
        running = asyncio.ensure_future(desk.recipient.run())
        desk.recipient.fall_behind()
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
        running = asyncio.ensure_future(desk.recipient.run())
        began = loop.time()
        desk.recipient.fall_behind()
        await desk.drain()
        assert loop.time() - began >= 7.0
        running.cancel()

    run(scenario)


def test_a_ticket_without_room_counts_as_seen_and_a_ticket_before_the_cursor_does_not():
    """This is how the watcher detects a broker with another store.

    Such a broker has a pending ticket before the cursor that the watcher has never received.
    """

    async def scenario(loop):
        desk = Desk(1)
        desk.publish()
        desk.publish()  # no room
        assert (
            desk.recipient.knows(ticket(1))
            and desk.recipient.knows(ticket(2))
            and not desk.recipient.knows(Ticket("another", 1, "lucy", "hi"))
        )

    run(scenario)


def test_tickets_without_seq_that_do_not_fit_are_not_requested_again():
    """The predecessor's tickets have no seq, and each of its polls returns them again."""

    async def scenario(loop):
        desk = Desk(1)
        for name in ("a", "b"):
            desk.recipient.take(Ticket(name, 0, "lucy", "hi"))
        assert len(desk.inbox) == 1 and desk.recipient.knows(Ticket("a", 0, "lucy", "hi"))
        running = asyncio.ensure_future(desk.recipient.run())
        await asyncio.sleep(1)
        assert desk.backlog.asked == 0
        running.cancel()

    run(scenario)

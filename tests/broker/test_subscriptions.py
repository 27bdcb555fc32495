"""What a subscription is owed: the same in memory and on disk, and so the same after a restart.

A restart here is a second set of services. It takes over what a disk would hold.
"""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker import operations
from bridge.broker.journal.base import StoreContents
from bridge.broker.ledger import NewTicket
from bridge.broker.opening import take_over_store
from broker.seams import FULL, BoundedOutbox, ScriptedJournal
from broker.small_server import make_services

STEPS = st.lists(
    st.sampled_from(
        [
            *("send ann", "send bob", "subscribe ann", "subscribe bob", "leave ann"),
            *("close group", "settle", "fail", "connect", "disconnect"),
        ]
    ),
    max_size=40,
)


class Store(ScriptedJournal):
    """A journal that another broker can take over."""

    def load(self, wall_ms, now):
        pending = [self.find(row.ticket_id) for _, row in sorted(self.accepted.items())]
        rows = [(*key, owed) for key, owed in self.subscriptions.items()]
        return StoreContents(max(self.accepted, default=0), pending, [], rows)


class Supervisor:
    """Receives under the name `sup` at one broker after the other."""

    def __init__(self) -> None:
        self._outboxes, self._stream = [], None

    @property
    def seqs(self) -> list[int]:
        """All that it was sent."""
        return [seq for outbox in self._outboxes for seq in outbox.seqs]

    def connect(self, services) -> None:
        self.disconnect()
        cursor = max(self.seqs, default=0)
        self._outboxes.append(BoundedOutbox(1000))
        outbox = self._outboxes[-1]
        self._stream = operations.stream_subscriber(services, "sup", cursor, "", outbox)
        self._stream.catch_up()

    def disconnect(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class Scene:
    """A broker, its store and one supervisor."""

    def __init__(self, loop) -> None:
        self.loop, self.store, self.supervisor = loop, Store(loop), Supervisor()
        self.services = make_services(loop, self.store)

    async def take(self, *steps: str) -> None:
        for step in steps:
            verb, _, agent = step.partition(" ")
            if verb == "send":
                operations.send(self.services, agent, NewTicket("hi", {}))
            elif verb == "subscribe":
                operations.subscribe(self.services, agent, "sup", "")
            elif verb == "leave":
                operations.unsubscribe(self.services, agent, "sup", "")
            elif step == "close group":
                self.store.close_group()
            elif step in ("settle", "fail"):
                if self.store.unwritten:
                    self.store.settle(FULL if step == "fail" else None)
            elif step == "connect":
                self.supervisor.connect(self.services)
            else:
                self.supervisor.disconnect()
            await asyncio.sleep(0.01)

    async def settle_all(self) -> None:
        while self.store.unwritten:
            await self.take("settle")

    def restart(self) -> None:
        self.supervisor.disconnect()
        self.services = make_services(self.loop, self.store)
        take_over_store(self.services)

    def check(self) -> None:
        """Memory agrees with the disk."""
        kept = {agent: owed for (_, agent), owed in self.store.subscriptions.items()}
        assert self.services.subscriptions.agents("sup") == kept


@given(STEPS)
def test_memory_agrees_with_the_disk_and_no_ticket_is_lost_at_a_restart(steps):
    async def scenario(loop):
        scene = Scene(loop)
        for step in steps:
            await scene.take(step)
            scene.check()
        await scene.settle_all()
        scene.check()
        scene.restart()
        scene.check()
        await scene.take("connect")
        carried = scene.services.subscriptions.agents("sup")
        due = {seq for seq, row in scene.store.accepted.items() if row.agent_id in carried}
        assert due <= set(scene.supervisor.seqs)
        scene.supervisor.disconnect()

    run(scenario)


def test_a_ticket_that_came_with_the_subscription_is_not_lost_at_a_restart():
    async def scenario(loop):
        scene = Scene(loop)
        await scene.take("subscribe bob", "settle", "connect")
        # All in one commit group. The connection ends before the stream has caught up.
        await scene.take("send bob", "subscribe ann", "send ann", "send bob")
        scene.store.settle()
        scene.restart()
        await scene.take("connect")
        assert set(scene.supervisor.seqs) == {1, 2, 3}
        scene.check()
        scene.supervisor.disconnect()

    run(scenario)


def test_a_second_subscription_on_an_open_stream_is_owed_nothing_more():
    async def scenario(loop):
        scene = Scene(loop)
        await scene.take("subscribe ann", "settle", "connect", "send ann", "settle")
        await scene.take("subscribe ann", "settle")
        assert scene.supervisor.seqs == [1]
        scene.restart()
        await scene.take("connect")
        assert scene.supervisor.seqs == [1], "the cursor is past it"
        scene.supervisor.disconnect()

    run(scenario)


def test_a_ticket_after_the_subscription_is_not_sent_again_when_the_stream_reconnects():
    async def scenario(loop):
        scene = Scene(loop)
        await scene.take("connect", "subscribe ann", "send ann", "settle")
        assert scene.supervisor.seqs == [1]
        await scene.take("connect")
        assert scene.supervisor.seqs == [1]
        scene.restart()
        await scene.take("connect")
        assert scene.supervisor.seqs == [1]
        scene.supervisor.disconnect()

    run(scenario)

"""Expiry of tickets with a time to live, in virtual time.

A ticket expires at its time and not before. A running lease or a full disk delays the expiry.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_clock import run

from bridge.broker.expiry import LOOK_AGAIN, RUN_MAX, STRAY_GRACE
from bridge.broker.journal.base import StoreContents
from bridge.broker.ledger import NewTicket
from bridge.broker.transitions import acknowledged, claimed
from bridge.errors import StoreBusy
from broker.seams import make_entry
from broker.small_server import make_services


async def on_disk(services, error=None) -> None:
    while services.journal.unwritten:
        services.journal.settle(error)
    await asyncio.sleep(0)


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(1, 20000), st.sampled_from(["left", "acknowledged", "claimed"])),
        min_size=1,
        max_size=8,
    )
)
def test_each_ticket_expires_at_its_own_time(tickets):
    async def scenario(loop):
        services = make_services(loop)
        ledger, begin = services.ledger, loop.time()
        entries = [
            (ledger.accept("lucy", NewTicket(1, {}, ttl_ms=ttl_ms))[0], ttl_ms, fate)
            for ttl_ms, fate in tickets
        ]
        await on_disk(services)
        for entry, _, fate in entries:
            if fate == "acknowledged":
                ledger.propose(entry, acknowledged(entry.head, "", {}, 1))
            elif fate == "claimed":
                ledger.propose(
                    entry, claimed(entry.head, "w", 30000, loop.time(), services.clock.wall_ms())
                )
        await on_disk(services)
        dues = [30.0 if fate == "claimed" else ttl_ms / 1000 for ttl_ms, fate in tickets]
        # Shortly before and after each expiry, and each second.
        looks = {due + apart for due in dues for apart in (-0.06, 0.21)} | set(range(1, 32))
        for look in sorted(looks):
            await asyncio.sleep(max(0.0, begin + look - loop.time()))
            await on_disk(services)
            age = loop.time() - begin
            for (entry, _, fate), due in zip(entries, dues):
                if fate == "acknowledged":
                    assert entry.state.status == "delivered"
                elif abs(age - due) > 0.05:
                    assert entry.state.status == (
                        "expired" if age - 0.2 > due else entry.state.status
                    )
                    assert age > due or entry.state.status == "pending"
        expired = sum(fate != "acknowledged" for _, fate in tickets)
        assert services.metrics.expired == expired and services.hub.pending == 0

    run(scenario)


def test_a_full_disk_delays_the_expiry():
    async def scenario(loop):
        services = make_services(loop)
        entry, _ = services.ledger.accept("lucy", NewTicket(1, {}, ttl_ms=1000))
        await on_disk(services)
        await asyncio.sleep(1.5)
        assert entry.head.status == "expired" and entry.state.status == "pending"
        await on_disk(services, StoreBusy("full"))
        assert entry.head.status == "pending" and len(services.hub.read("lucy", 0, 9)) == 1
        await asyncio.sleep(LOOK_AGAIN + 0.1)
        await on_disk(services)
        assert entry.state.status == "expired" and not services.hub.backlogs

    run(scenario)


def test_a_stray_ticket_expires_if_its_agent_stays_unknown():
    async def scenario(loop):
        services = make_services(loop, stray_ttl=60)
        ledger, registry = services.ledger, services.registry
        lost, found = (
            ledger.accept(name, NewTicket(1, {}), is_stray=True)[0] for name in ("lcuy", "bob")
        )
        known = ledger.accept("lucy", NewTicket(1, {}))[0]
        own = ledger.accept("lcuy", NewTicket(1, {}, ttl_ms=600_000), is_stray=True)[0]
        await on_disk(services)
        await asyncio.sleep(59)
        registry.presence("bob")
        await asyncio.sleep(2)
        await on_disk(services)
        assert [entry.state.status for entry in (lost, found, known, own)] == [
            "expired",
            *["pending"] * 3,
        ]
        assert "registered" in lost.state.stages[-1]["evidence"]["reason"]
        await asyncio.sleep(500)
        await on_disk(services)
        assert found.state.status == "pending" and services.metrics.strays == 3

    run(scenario)


def test_after_a_start_a_stray_ticket_waits_for_its_watcher():
    async def scenario(loop):
        services = make_services(loop, stray_ttl=2 * int(STRAY_GRACE))
        old = make_entry(1, "lcuy")
        old.is_stray, old.accepted_at = True, loop.time() - 10 * STRAY_GRACE
        services.ledger.load(StoreContents(1, [old]))
        await asyncio.sleep(STRAY_GRACE - 1)
        assert not services.journal.unwritten
        await asyncio.sleep(2)
        await on_disk(services)
        assert old.state.status == "expired" and services.hub.stray_bytes == 0

    run(scenario)


def test_many_tickets_due_at_once_expire_over_several_iterations():
    async def scenario(loop):
        services = make_services(loop, queue_max=10**6)
        most = 2 * RUN_MAX + 10
        for _ in range(most):
            services.ledger.accept("lucy", NewTicket(1, {}, ttl_ms=1000))
        await on_disk(services)
        counts = [0]
        while counts[-1] < most:
            await asyncio.sleep(0 if counts[-1] else 1)
            counts.append(sum(entry.head.is_final for entry in services.hub.read("lucy", 0, most)))
        assert max(after - before for before, after in zip(counts, counts[1:])) <= RUN_MAX
        await on_disk(services)
        assert not services.hub.backlogs

    run(scenario)


def test_finished_tickets_are_removed_from_the_heap_before_their_time():
    async def scenario(loop):
        services = make_services(loop, queue_max=10**6)
        watch = services.ledger.on_time_to_live
        for _ in range(60):
            entries = [
                services.ledger.accept("lucy", NewTicket(1, {}, ttl_ms=10**10))[0]
                for _ in range(100)
            ]
            await on_disk(services)
            for entry in entries:
                services.ledger.propose(entry, acknowledged(entry.head, "", {}, 1))
            await on_disk(services)
            assert len(watch.__self__._heap) <= 2101

    run(scenario)

"""Leases: the watcher's name, when a claim ends, and when a refused claim is tried again."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from virtual_clock import run

from bridge.errors import BrokerUnreachable, Refused
from bridge.ticket import Ticket, check_id
from bridge.watcher.inbox import Inbox
from bridge.watcher.lease import ASK_BASE, ASK_CAP, SOONEST, Leases, seconds_until, watcher_name


def test_a_watcher_name_is_a_valid_id_and_new_each_time():
    assert check_id(watcher_name(), "watcher") and watcher_name() != watcher_name()


def test_seconds_until_a_moment():
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=100)
    assert 98 < seconds_until(then.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z") <= 100
    assert seconds_until("2001-01-01T00:00:00.000Z") < 0


@pytest.mark.parametrize("moment", [None, "", "soon", 5, "2001-01-01"])
def test_a_time_that_cannot_be_parsed_counts_as_one_second_away(moment):
    assert seconds_until(moment) == 1.0


class ClaimsOnly:
    """A fake broker that grants each claim, unless `answers` holds an exception to raise."""

    def __init__(self) -> None:
        self.answers: list[Exception] = []
        self.asked = 0

    async def claim(self, ticket_id, watcher, lease_ms):
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)


def leases_of(broker, loop, lease_ms: int = 9000) -> tuple[Leases, Inbox]:
    inbox = Inbox(5, 5)
    inbox.offer(Ticket("T-1", 1, "lucy", "text"))
    return Leases(broker, inbox, lease_ms, "w", clock=loop.time), inbox


def test_a_claim_is_held_for_its_lease_and_longer_while_it_is_renewed():
    async def scenario(loop):
        leases, inbox = leases_of(ClaimsOnly(), loop)
        assert leases.time_left() <= 0
        assert await leases.claim(inbox.head())
        await asyncio.sleep(8.9)
        assert leases.time_left() > 0
        await asyncio.sleep(0.2)
        assert leases.time_left() <= 0, "it was not renewed: another watcher may have it"
        assert await leases.claim(inbox.head()) and leases.time_left() > 0
        await leases.keep_while("T-1", asyncio.sleep(30.0))
        assert leases.time_left() > 0

    run(scenario)


@pytest.mark.parametrize(
    ("answer", "held"),
    [
        (Refused(409, "another has it"), False),
        (Refused(404, "gone"), False),
        (BrokerUnreachable("away"), True),
        (Refused(503, "disk full"), True),
    ],
)
def test_a_refused_renewal_ends_the_claim_and_a_failed_one_does_not(answer, held):
    async def scenario(loop):
        broker = ClaimsOnly()
        leases, inbox = leases_of(broker, loop)
        assert await leases.claim(inbox.head())
        broker.answers = [answer]
        await leases.keep_while("T-1", asyncio.sleep(4.0))
        assert broker.asked == 2 and (leases.time_left() > 0) is held

    run(scenario)


def test_a_ticket_that_another_watcher_finished_is_dropped_before_its_lease_ends():
    async def scenario(loop):
        broker = ClaimsOnly()
        broker.answers = [
            Refused(409, "held", {"status": "pending", "leaseUntilAt": "2999-01-01T00:00:00.000Z"})
        ] * 20 + [Refused(409, "done", {"status": "delivered"})]
        leases, inbox = leases_of(broker, loop, 60000)
        pauses = []
        while len(inbox):
            assert not await leases.claim(inbox.head())
            if len(inbox):
                pauses.append(inbox.head().held_until - loop.time())
                await asyncio.sleep(pauses[-1])
        assert len(pauses) == 20 and all(
            0.99 * SOONEST < pause < 1.01 * ASK_CAP for pause in pauses
        ), "the claim is retried at intervals, not in a tight loop"
        assert max(pauses) > ASK_BASE, "the intervals grow"

    run(scenario)


def test_a_lease_that_ends_soon_is_claimed_when_it_ends():
    async def scenario(loop):
        broker = ClaimsOnly()
        broker.answers = [
            Refused(409, "held", {"status": "pending", "leaseUntilAt": "2001-01-01T00:00:00.000Z"})
        ]
        leases, inbox = leases_of(broker, loop)
        assert not await leases.claim(inbox.head())
        assert inbox.head().held_until - loop.time() == pytest.approx(SOONEST)
        await asyncio.sleep(SOONEST)
        assert await leases.claim(inbox.head())

    run(scenario)


def test_a_broker_without_claims_counts_as_granting_them():
    async def scenario(loop):
        broker = ClaimsOnly()
        broker.answers = [Refused(404, "Cannot POST /tickets/T-1/claim")]
        leases, inbox = leases_of(broker, loop)
        assert await leases.claim(inbox.head()) and leases.time_left() > 0

    run(scenario)

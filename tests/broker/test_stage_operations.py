"""The operations that add one stage: an outcome says what will be on disk when its commit is."""

from __future__ import annotations

import pytest
from virtual_clock import run

from bridge.broker import operations, stage_operations
from bridge.broker.ledger import NewTicket
from bridge.broker.operations import Refusal
from bridge.errors import Reason, RequestError
from broker.small_server import make_services

PLACE = {"pane": "%1", "tty": "/dev/pts/1"}


def test_shown_is_one_stage_of_each_place():
    async def scenario(services, entry):
        for _ in range(2):  # the second time it is known
            noted = stage_operations.shown(services, "mine", PLACE)
            assert (noted.ticket_id, noted.status) == ("mine", "pending")
            assert noted.commit is not None, "the stage is not on disk yet, also for the second"
        services.journal.settle()
        assert stage_operations.shown(services, "mine", PLACE).commit is None
        assert [stage["stage"] for stage in entry.state.stages] == ["shown"]

    with_ticket(scenario)


def test_aside_of_another_watcher_is_a_refusal_that_waits_for_the_claim():
    async def scenario(services, entry):
        claimed = operations.claim(services, "mine", "w1", 60000)
        refusal = stage_operations.aside(services, "mine", "w2", "it fails")
        assert isinstance(refusal, Refusal) and refusal.error.reason is Reason.CONFLICT
        assert refusal.commit is claimed.commit
        noted = stage_operations.aside(services, "mine", "w1", "it fails")
        assert noted.status == "pending" and entry.head.claim is None

    with_ticket(scenario)


def test_a_dropped_ticket_is_dropped_once():
    async def scenario(services, entry):
        first = stage_operations.drop(services, "mine", "no use")
        second = stage_operations.drop(services, "mine", "no use")
        assert (first.dropped, first.status) == (1, "dropped")
        assert (second.dropped, second.status) == (0, "dropped")
        assert second.commit is first.commit, "both answers wait for the same change"

    with_ticket(scenario)


def test_a_purge_ends_the_oldest_tickets_and_counts_the_rest():
    async def scenario(services, entry):
        for _ in range(stage_operations.PURGE_MAX + 2):
            services.ledger.accept("lucy", NewTicket(1, {}))
        while services.journal.unwritten:
            services.journal.settle()
        outcome = stage_operations.purge(services, "lucy", "")
        assert (outcome.dropped, outcome.left) == (stage_operations.PURGE_MAX, 3)
        again = stage_operations.purge(services, "lucy", "")
        assert again.dropped == 0 and again.commit is outcome.commit, "it waits for the first"
        assert entry.head.status == "dropped" and outcome.commit is not None

    with_ticket(scenario)


def test_a_second_purge_waits_for_the_first():
    async def scenario(services, entry):
        first = stage_operations.purge(services, "lucy", "")
        assert (first.dropped, first.left) == (1, 0)
        again = stage_operations.purge(services, "lucy", "")
        assert again == (0, 0, first.commit)

    with_ticket(scenario)


def test_a_purge_of_an_unknown_name_ends_nothing():
    async def scenario(services, entry):
        assert stage_operations.purge(services, "nobody", "") == (0, 0, None)

    with_ticket(scenario)


@pytest.mark.parametrize("operation", ["shown", "aside", "drop"])
def test_an_unknown_ticket_is_not_found(operation):
    async def scenario(services, entry):
        given = {"shown": [{}], "aside": ["w1", "it fails"], "drop": [""]}[operation]
        with pytest.raises(RequestError) as caught:
            getattr(stage_operations, operation)(services, "none", *given)
        assert caught.value.reason is Reason.NOT_FOUND

    with_ticket(scenario)


def with_ticket(scenario):
    """Run the scenario with the services of a broker that has one pending ticket, `mine`."""

    async def prepared(loop):
        services = make_services(loop)
        entry, _ = services.ledger.accept("lucy", NewTicket(1, {}, ticket_id="mine"))
        services.journal.settle()
        await scenario(services, entry)

    run(prepared)

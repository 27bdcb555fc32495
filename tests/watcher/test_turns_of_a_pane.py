"""Agents that share a pane take turns: one ticket at a time, from claim to acknowledgement."""

from __future__ import annotations

import asyncio

import pytest
from fakes import wait_for
from running import Broker, new_name, package_launcher

from bridge.errors import PaneNotReady
from bridge.fifo_semaphore import FifoSemaphore
from watcher.crew import Crew, send, supervising


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        yield running


class SharedPane(Crew):
    """Sinks that share one pane. `steps` records claims and acknowledgements in their order."""

    def __init__(self, **before) -> None:
        super().__init__(**before)
        self.turns, self.steps = FifoSemaphore(1), []

    def __call__(self, assignment):
        sink = super().__call__(assignment)
        sink.turns = self.turns
        return sink

    def watch(self, client, monkeypatch, hold=None) -> None:
        """Record the client's claims and acknowledgements. `hold` is awaited before the latter."""
        claim, acknowledge = client.claim, client.acknowledge

        async def noted_claim(ticket_id, *args):
            self.steps.append(("claim", ticket_id))
            return await claim(ticket_id, *args)

        async def noted_acknowledge(ticket_id, *args):
            if hold is not None:
                await hold(ticket_id)
            answer = await acknowledge(ticket_id, *args)
            self.steps.append(("acknowledged", ticket_id))
            return answer

        monkeypatch.setattr(client, "claim", noted_claim)
        monkeypatch.setattr(client, "acknowledge", noted_acknowledge)


def test_no_ticket_is_claimed_while_another_one_is_being_delivered(served, monkeypatch):
    async def scenario():
        crew, agents = SharedPane(), [new_name() for _ in range(4)]
        sent = [ticket for agent in agents for ticket in await send(served, agent, 5)]
        async with supervising(served.url, crew, agents) as supervisor:
            crew.watch(supervisor._client, monkeypatch)
            await wait_for(
                lambda: sum(step == "acknowledged" for step, _ in crew.steps) == 20, "all"
            )
        steps = iter(crew.steps)
        pairs = list(zip(steps, steps))
        assert all(
            (one[0], other[0]) == ("claim", "acknowledged") and one[1] == other[1]
            for one, other in pairs
        ), crew.steps
        assert sorted(ticket for _, ticket in crew.steps[::2]) == sorted(sent)
        others = [
            agents.index(next(agent for agent in agents if ticket in crew.taken(agent)))
            for _, ticket in crew.steps[::2]
        ]
        assert len(set(others[:8])) == 4, "each agent gets a turn among the first eight"

    asyncio.run(scenario())


def test_a_missing_acknowledgement_keeps_the_turn_and_a_refusal_releases_it(served, monkeypatch):
    async def scenario():
        stuck, owes, other, owed = new_name(), new_name(), new_name(), asyncio.Event()

        async def refuse(ticket):
            raise PaneNotReady("a person is typing")

        async def hold(ticket_id):
            if ticket_id in crew.taken(owes):
                await owed.wait()

        crew = SharedPane(**{stuck: refuse})
        await send(served, stuck)
        async with supervising(served.url, crew, [stuck, owes, other]) as supervisor:
            crew.watch(supervisor._client, monkeypatch, hold)
            await wait_for(
                lambda: stuck in crew.sinks and len(crew.sinks[stuck][0].tried) > 2,
                "the agent that is refused several times",
            )
            first = await send(served, other)
            await wait_for(lambda: crew.taken(other) == first, "the other agent meanwhile")
            await send(served, owes)
            await wait_for(lambda: crew.taken(owes), "the ticket with a delayed acknowledgement")
            waits = await send(served, other)
            tries = len(crew.sinks[stuck][0].tried)
            await wait_for(lambda: len(crew.turns._waiting) == 2, "two agents waiting for a turn")
            assert crew.taken(other) == first and len(crew.sinks[stuck][0].tried) <= tries + 1
            owed.set()
            await wait_for(lambda: crew.taken(other) == first + waits, "the other")

    asyncio.run(scenario())


def test_an_agent_removed_while_it_waits_for_its_turn_takes_no_ticket(served, monkeypatch):
    async def scenario():
        owes, goes, stays, owed = new_name(), new_name(), new_name(), asyncio.Event()

        async def hold(ticket_id):
            await owed.wait()

        crew = SharedPane()
        async with supervising(
            served.url, crew, [owes, goes, stays], stop_timeout=50
        ) as supervisor:
            crew.watch(supervisor._client, monkeypatch, hold)
            await send(served, owes)
            await wait_for(lambda: crew.taken(owes), "the ticket with a delayed acknowledgement")
            left, sent = await send(served, goes), await send(served, stays)
            await wait_for(lambda: len(crew.turns._waiting) == 2, "two agents waiting for a turn")
            supervisor.assign(
                {agent: each for agent, each in supervisor.agents.items() if agent != goes}
            )
            await wait_for(lambda: crew.sinks[goes][0].leaves == 1, "its sink was closed")
            owed.set()
            await wait_for(lambda: crew.taken(stays) == sent, "the agent that stays")
        assert not crew.taken(goes) and [each["ticketId"] for each in served.pending(goes)] == left

    asyncio.run(scenario())


def test_leave_is_called_on_the_sink_however_a_run_ends(served):
    async def scenario():
        bad, failures = new_name(), [KeyError("oh")]

        async def crash(ticket):
            if failures:
                raise failures.pop()

        crew = Crew(**{bad: crash})
        async with supervising(served.url, crew, [bad]):
            sent = await send(served, bad)
            await wait_for(lambda: crew.taken(bad) == sent, "the second run")
            assert [sink.leaves for sink in crew.sinks[bad]] == [1, 0]
        assert [sink.leaves for sink in crew.sinks[bad]] == [1, 1]

    asyncio.run(scenario())

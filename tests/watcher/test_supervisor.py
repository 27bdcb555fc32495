"""A supervisor and a real broker: no agent disturbs another.

Agents join, leave, move, crash or are slow, and the others receive their tickets as before.
"""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, Predecessor, wait_for
from running import Broker, new_name, package_launcher

from bridge.errors import UsageError
from watcher.crew import TIERS, Crew, ask, roster, send, supervising, wait_subscribed


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        yield running


@pytest.mark.parametrize("tier", TIERS, ids=["sse", "longpoll", "poll"])
def test_each_agent_gets_its_own_tickets_in_order_on_every_tier(served, tier):
    async def scenario():
        crew, agents = Crew(), [new_name() for _ in range(3)]
        sent = {agent: await send(served, agent, 2) for agent in agents}
        async with supervising(served.url, crew, agents, **tier):
            for agent in agents:
                sent[agent] += await send(served, agent, 2)
            await wait_for(lambda: all(len(crew.taken(agent)) == 4 for agent in agents), "all")
        assert {agent: crew.taken(agent) for agent in agents} == sent

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS, ids=["sse", "longpoll", "poll"])
def test_agents_join_move_and_leave_without_effect_on_the_others(served, tier):
    async def scenario():
        crew, name, stays, moves, comes, goes = Crew(), new_name(), *(new_name() for _ in range(4))
        async with supervising(served.url, crew, [stays, moves, goes], name, **tier) as supervisor:
            await send(served, stays)  # moves the cursor before the next agent joins
            await wait_for(lambda: len(crew.taken(stays)) == 1, "the first")
            waiting = await send(served, comes, 2)
            supervisor.assign({**roster(stays, comes), **roster(moves, pane="1")})
            await wait_for(lambda: crew.taken(comes) == waiting, "the tickets sent before")
            await wait_subscribed(served, name, stays, moves, comes)
            more, left = (
                await send(served, comes) + await send(served, moves) + await send(served, stays),
                await send(served, goes),
            )
            await wait_for(
                lambda: (
                    [crew.taken(comes)[-1:], crew.taken(moves), crew.taken(stays)[1:]]
                    == [[each] for each in more]
                ),
                "one each",
            )
            assert [len(crew.sinks[agent]) for agent in (stays, moves, comes, goes)] == [
                1,
                2,
                1,
                1,
            ] and crew.sinks[moves][1].pane == "1"
            assert (
                not crew.taken(goes)
                and [
                    ticket["ticketId"]
                    for ticket in await ask(served, f"/agents/{goes}/tickets/pending")
                ]
                == left
            )
            supervisor.assign(roster(stays, goes))
            await wait_for(lambda: crew.taken(goes) == left, "the ticket of the returned agent")

    asyncio.run(scenario())


def test_a_crash_is_logged_and_restarts_only_its_own_agent(served, caplog):
    async def scenario():
        bad, good, failures = (
            new_name(),
            new_name(),
            [KeyError("oh"), UsageError("no such form"), ValueError("my")],
        )

        async def crash(ticket):
            if failures:
                raise failures.pop()

        crew = Crew(**{bad: crash})
        async with supervising(served.url, crew, [bad, good]):
            sent = await send(served, bad, 2)
            others = await send(served, good, 3)
            await wait_for(
                lambda: crew.taken(good) == others and crew.taken(bad) == sent, "all of both"
            )
        assert len(crew.sinks[bad]) == 4 and len(crew.sinks[good]) == 1
        assert (
            f"agent crashed agent={bad} crashes=1" in caplog.text
            and "ValueError: my" in caplog.text
            and f"agent failed agent={bad} failures=2" in caplog.text
        )

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_a_ticket_that_a_sink_has_taken_is_not_delivered_again_after_a_crash(served, monkeypatch):
    """The crash comes between sink and acknowledgement: the restarted agent only acknowledges."""

    async def scenario():
        agent, crew, crashes = new_name(), Crew(), [RuntimeError("after the sink")]
        async with supervising(served.url, crew, [agent]) as supervisor:
            acknowledge = supervisor._client.acknowledge

            async def crash(*args):
                if crashes:
                    raise crashes.pop()
                return await acknowledge(*args)

            monkeypatch.setattr(supervisor._client, "acknowledge", crash)
            sent = await send(served, agent, 2)
            await wait_for(
                lambda: len(crew.taken(agent)) == 2 and len(crew.sinks[agent]) == 2, "both"
            )
            await wait_for(
                lambda: not crashes and not supervisor._members[agent].tasks._inbox.room < 256,
                "the acknowledgements",
            )
        assert crew.taken(agent) == sent and not await ask(
            served, f"/agents/{agent}/tickets/pending"
        )

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS, ids=["sse", "longpoll", "poll"])
def test_a_slow_pane_and_a_full_inbox_delay_no_other_agent(served, tier):
    async def scenario():
        crew, slow, quick = Crew(), new_name(), new_name()
        async with supervising(served.url, crew, [slow, quick], inbox_max=4, **tier):
            await wait_for(lambda: slow in crew.sinks, "the start")
            crew.sinks[slow][0].is_ready.clear()
            sent = await send(served, slow, 20)
            others = await send(served, quick, 3)
            await wait_for(lambda: crew.taken(quick) == others, "the quick one")
            assert not crew.taken(slow)
            crew.sinks[slow][0].is_ready.set()
            sent += await send(served, slow, 5)
            await wait_for(lambda: len(crew.taken(slow)) == 25, "the slow one")
        assert crew.taken(slow) == sent

    asyncio.run(scenario())


def test_an_agent_removed_and_added_during_a_delivery_gets_the_ticket_once(served):
    """Both runs claim under one name, so the second must wait until the first has finished."""

    async def scenario():
        agent, begun, may_end = new_name(), asyncio.Event(), asyncio.Event()

        async def slow(ticket):
            begun.set()
            await may_end.wait()

        crew = Crew(**{agent: slow})
        async with supervising(served.url, crew, [agent], push_mode="longpoll") as supervisor:
            sent = await send(served, agent)
            await begun.wait()
            for _ in range(3):
                supervisor.assign({})
                await asyncio.sleep(0)
                supervisor.assign(roster(agent))
                await asyncio.sleep(0.01)
            sent += await send(served, agent)
            may_end.set()
            await wait_for(lambda: len(crew.taken(agent)) == 2, "both")
        assert crew.taken(agent) == sent and [len(sink.tried) for sink in crew.sinks[agent]] == [
            1,
            1,
        ], "no run began before the first had ended"

    asyncio.run(scenario())


@pytest.mark.parametrize("names", [["same", "same"], ["one", "other"]])
def test_two_supervisors_of_the_same_agents_deliver_each_ticket_once(served, names):
    async def scenario():
        tag, agents, crews = new_name(), [new_name() for _ in range(3)], [Crew(), Crew()]
        async with (
            supervising(served.url, crews[0], agents, f"{tag}-{names[0]}", lease=10000),
            supervising(served.url, crews[1], agents, f"{tag}-{names[1]}", lease=10000),
        ):
            sent = {agent: await send(served, agent, 4) for agent in agents}
            await wait_for(
                lambda: all(
                    len(crews[0].taken(agent) + crews[1].taken(agent)) == 4 for agent in agents
                ),
                "all",
            )
        for agent in agents:
            assert sorted(crews[0].taken(agent) + crews[1].taken(agent)) == sorted(sent[agent])

    asyncio.run(scenario())


def test_a_broker_that_lost_its_store_is_subscribed_again_and_loses_no_ticket(tmp_path):
    """Its subscriptions are gone and its seqs begin at 1, yet each new ticket must arrive."""
    broker = Broker(package_launcher(), ":memory:", BRIDGE_RATE_LIMIT=0).start()

    async def scenario():
        crew, agents, loop = Crew(), ["a", "b"], asyncio.get_running_loop()
        async with supervising(broker.url, crew, agents, "mine"):
            for _ in range(3):
                await send(broker, "a", 3)
            await wait_for(lambda: len(crew.taken("a")) == 9, "the first nine")
            broker.kill()
            broker.flags = ["--port", str(broker.port)]
            await loop.run_in_executor(None, broker.start)
            sent = await send(broker, "b", 2)
            await wait_for(lambda: crew.taken("b") == sent, "the new ones")
            sent = await send(broker, "a", 2)
            await wait_for(lambda: crew.taken("a")[9:] == sent, "the others")

    try:
        asyncio.run(scenario())
    finally:
        broker.stop()


def test_the_predecessors_broker_is_polled_for_each_agent():
    async def scenario():
        old, crew = Predecessor(), Crew()
        for number in range(3):
            old.add(f"a-{number}", "a")
            old.add(f"b-{number}", "b")
        async with (
            FakeBroker(old) as broker,
            supervising(broker.url, crew, ["a", "b"], inbox_max=2),
        ):
            await wait_for(lambda: len(old.acknowledged) == 6, "all")
            old.add("b-3", "b")
            await wait_for(lambda: len(old.acknowledged) == 7, "a new one")
        assert crew.taken("a") == ["a-0", "a-1", "a-2"] and crew.taken("b") == [
            "b-0",
            "b-1",
            "b-2",
            "b-3",
        ]

    asyncio.run(scenario())


def test_a_hundred_agents_share_a_few_connections(served):
    """They register, subscribe and report over them, and are silent afterwards."""

    async def scenario():
        crew, agents, name = Crew(), [new_name() for _ in range(100)], new_name()
        most, connections = 0, "bridge_connections_open"
        async with supervising(served.url, crew, agents, name, pane_check=10000):
            for _ in range(1000):
                metrics = await asyncio.get_running_loop().run_in_executor(None, served.metrics)
                most = max(most, metrics[connections])
                online = [
                    each
                    for each in await ask(served, "/agents?status=online")
                    if each["agentId"] in set(agents)
                ]
                if len(online) == 100:
                    break
            assert len(online) == 100 and most <= 8 + 1 + 2, (
                "eight for requests, the stream, and those of this test"
            )
            await wait_subscribed(served, name, *agents)
            sent = {agent: await send(served, agent) for agent in agents[::10]}
            await wait_for(
                lambda: all(crew.taken(agent) == sent[agent] for agent in sent), "one each"
            )

    asyncio.run(scenario())


def test_agents_over_the_limit_are_logged_and_served_when_there_is_room(served, caplog):
    async def scenario():
        crew, agents = Crew(), [new_name() for _ in range(3)]
        async with supervising(served.url, crew, agents, agents_max=2) as supervisor:
            assert list(supervisor.agents) == agents[:2] and f"agent={agents[2]}" in caplog.text
            supervisor.assign(roster(*agents[1:]))
            sent = await send(served, agents[2])
            await wait_for(lambda: crew.taken(agents[2]) == sent, "the third")

    caplog.set_level("WARNING", "bridge.watcher")
    asyncio.run(scenario())


def test_stop_finishes_the_current_delivery_of_each_agent(served):
    async def scenario():
        agents, begun, may_end = [new_name() for _ in range(3)], [], asyncio.Event()

        async def slow(ticket):
            begun.append(ticket)
            await may_end.wait()

        crew = Crew(**dict.fromkeys(agents, slow))
        async with supervising(served.url, crew, agents) as supervisor:
            sent = {agent: await send(served, agent, 2) for agent in agents}
            await wait_for(lambda: len(begun) == 3, "one of each")
            supervisor.stop()
            await asyncio.sleep(0.7)  # so long that the stop repeats its cancellation
            may_end.set()
        for agent in agents:
            assert crew.taken(agent) == sent[agent][:1]
            assert [
                ticket["ticketId"]
                for ticket in await ask(served, f"/agents/{agent}/tickets/pending")
            ] == sent[agent][1:]

    asyncio.run(scenario())

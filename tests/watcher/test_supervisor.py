"""A supervisor and a real broker: each agent's troubles are its own, whoever comes, goes, moves, crashes or stays slow."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from bridge.client.broker import BrokerClient
from bridge.errors import UsageError
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import within
from bridge.watcher.roster import Assignment
from bridge.watcher.supervisor import Supervisor
from fakes import PATIENCE, FakeBroker, Predecessor, wait_for
from running import Broker, new_name, package_launcher
from watcher.scripted import QUICK, ScriptedSink


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0) as running:
        yield running


class Crew:
    """Sinks by agent; each life's is kept, newest last."""

    def __init__(self, **before) -> None:
        self.sinks: dict[str, list[ScriptedSink]] = {}
        self.before = before

    def __call__(self, assignment: Assignment) -> ScriptedSink:
        sink = ScriptedSink(self.before.get(assignment.agent))
        sink.session, sink.pane = assignment.session, assignment.pane
        self.sinks.setdefault(assignment.agent, []).append(sink)
        return sink

    def taken(self, agent: str) -> list[str]:
        return [ticket for sink in self.sinks.get(agent, ()) for ticket in sink.taken]


def roster(*agents: str, pane: str = "0") -> dict[str, Assignment]:
    return {agent: Assignment(agent, "dev-" + agent, pane) for agent in agents}


@contextlib.asynccontextmanager
async def supervising(url, crew, agents, name=None, agents_max=1000, **settings):
    client = BrokerClient(ClientSettings(broker_url=url))
    supervisor = Supervisor(name or new_name(), client, crew, WatcherSettings(**{**QUICK, **settings}), agents_max)
    supervisor.assign(agents if isinstance(agents, dict) else roster(*agents))
    running = asyncio.ensure_future(supervisor.run())
    try:
        yield supervisor
    finally:
        supervisor.stop()
        await within(PATIENCE, running)


async def send(served, agent, count=1):
    loop = asyncio.get_running_loop()
    return [await loop.run_in_executor(None, served.send, agent) for _ in range(count)]


async def ask(served, path, method="GET", body=None):
    answer = await asyncio.get_running_loop().run_in_executor(None, served.ask, method, path, body)
    return answer.json if answer.body else None


async def wait_subscribed(served, name, *agents):
    for _ in range(1000):
        if (await ask(served, f"/subscribers/{name}"))["agents"] == sorted(agents):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is not subscribed to {agents}")


TIERS = [{}, {"push_mode": "longpoll"}, {"push_mode": "poll"}]


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
def test_agents_come_move_and_go_and_the_others_notice_nothing(served, tier):
    async def scenario():
        crew, name, stays, moves, comes, goes = Crew(), new_name(), *(new_name() for _ in range(4))
        async with supervising(served.url, crew, [stays, moves, goes], name, **tier) as supervisor:
            await send(served, stays)  # the cursor has moved when the next one comes
            await wait_for(lambda: len(crew.taken(stays)) == 1, "the first")
            waiting = await send(served, comes, 2)
            supervisor.assign({**roster(stays, comes), **roster(moves, pane="1")})
            await wait_for(lambda: crew.taken(comes) == waiting, "what was sent before it came")
            await wait_subscribed(served, name, stays, moves, comes)
            more, left = await send(served, comes) + await send(served, moves) + await send(served, stays), await send(served, goes)
            await wait_for(lambda: [crew.taken(comes)[-1:], crew.taken(moves), crew.taken(stays)[1:]] == [[each] for each in more], "one each")
            assert [len(crew.sinks[agent]) for agent in (stays, moves, comes, goes)] == [1, 2, 1, 1] and crew.sinks[moves][1].pane == "1"
            assert not crew.taken(goes) and [ticket["ticketId"] for ticket in await ask(served, f"/agents/{goes}/tickets/pending")] == left
            supervisor.assign(roster(stays, goes))
            await wait_for(lambda: crew.taken(goes) == left, "the one that is back")

    asyncio.run(scenario())


def test_a_crash_is_logged_and_its_agent_begins_anew_and_the_others_never_notice(served, caplog):
    async def scenario():
        bad, good, failures = new_name(), new_name(), [KeyError("oh"), UsageError("no such form"), ValueError("my")]

        async def crash(ticket):
            if failures:
                raise failures.pop()

        crew = Crew(**{bad: crash})
        async with supervising(served.url, crew, [bad, good]):
            sent = await send(served, bad, 2)
            others = await send(served, good, 3)
            await wait_for(lambda: crew.taken(good) == others and crew.taken(bad) == sent, "all of both")
        assert len(crew.sinks[bad]) == 4 and len(crew.sinks[good]) == 1
        assert f"agent crashed agent={bad} crashes=1" in caplog.text and "ValueError: my" in caplog.text and f"agent failed agent={bad} failures=2" in caplog.text

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_what_a_sink_has_taken_is_never_given_to_the_sink_of_the_next_life(served, monkeypatch):
    """It crashes between the sink and the acknowledgement: the next life only acknowledges."""

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
            await wait_for(lambda: len(crew.taken(agent)) == 2 and len(crew.sinks[agent]) == 2, "both")
            await wait_for(lambda: not crashes and not supervisor._members[agent].watch._inbox.room < 256, "the acknowledgements")
        assert crew.taken(agent) == sent and not await ask(served, f"/agents/{agent}/tickets/pending")

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS, ids=["sse", "longpoll", "poll"])
def test_a_slow_pane_and_a_full_inbox_delay_nobody_else(served, tier):
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


def test_removed_in_the_middle_of_a_delivery_and_named_again_it_gets_the_ticket_once(served):
    """Both lives claim under one name, so the second must wait until the first has finished."""

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
        assert crew.taken(agent) == sent and [len(sink.tried) for sink in crew.sinks[agent]] == [1, 1], "no life began before the first had ended"

    asyncio.run(scenario())


def test_what_an_earlier_run_left_is_cleared_away_unless_somebody_receives_under_the_name(served, caplog):
    async def scenario():
        name, old, new, theirs = (new_name() for _ in range(4))
        await ask(served, f"/agents/{old}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, Crew(), [new], name):
            await wait_subscribed(served, name, new)
            crew = Crew()
            async with supervising(served.url, crew, [theirs], name):
                await wait_for(lambda: caplog.text.count("another process receives under the same name") == 1, "the warning")
                await wait_subscribed(served, name, new, theirs)
                sent = await send(served, theirs)
                await wait_for(lambda: crew.taken(theirs) == sent, "the other's")
            await wait_subscribed(served, name, new, theirs)  # it may be wanted again in a moment; the next one to connect clears it away

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_taken_for_an_earlier_run_just_before_it_connected_it_subscribes_again(served):
    """Another one of the name saw it subscribe, and nobody receive."""

    async def scenario():
        name, mine = new_name(), new_name()
        crew = Crew()
        async with supervising(served.url, crew, [mine], name, tier_holds=1000):
            for _ in range(1000):
                if (await ask(served, f"/subscribers/{name}"))["receivers"]:
                    break
                await asyncio.sleep(0.01)
            await ask(served, f"/agents/{mine}/subscribe?subscriber={name}", "DELETE")
            assert (await ask(served, f"/subscribers/{name}"))["agents"] == []
            sent = await send(served, mine)
            await wait_for(lambda: crew.taken(mine) == sent, "the ticket")

    asyncio.run(scenario())


def test_who_has_subscribed_and_is_about_to_connect_is_not_taken_for_an_earlier_run(served):
    async def scenario():
        name, mine, theirs = (new_name() for _ in range(3))
        await ask(served, f"/agents/{theirs}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, Crew(), [mine], name, tier_holds=60000):
            for _ in range(1000):
                told = await ask(served, f"/subscribers/{name}")
                if told["receivers"]:
                    break
                await asyncio.sleep(0.01)
            assert told["agents"] == sorted([mine, theirs]), "as they were when he connected"

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def before_streams_open(served):
    """The URL of a proxy that passes everything on, and holds back each stream before its first byte."""

    async def pass_on(reader, writer):
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n")
        if b"/tickets/stream" in head:
            await reader.read()
        else:
            far, near = await asyncio.open_connection("127.0.0.1", served.port)
            near.write(head)
            await asyncio.wait([asyncio.ensure_future(pass_on(reader, near)), asyncio.ensure_future(pass_on(far, writer))], return_when=asyncio.FIRST_COMPLETED)
            near.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def test_nobody_is_given_up_by_one_who_has_not_connected_himself(served):
    """His stream does not open, and his agents change; whoever is there looks like a run that is over."""

    async def scenario():
        name, other, first, second, third = (new_name() for _ in range(5))
        await ask(served, f"/agents/{other}/subscribe", "POST", {"subscriber": name})
        async with before_streams_open(served) as url, supervising(url, Crew(), [first], name, first_byte=60000) as supervisor:
            await wait_subscribed(served, name, other, first)
            for roster_now in ([first, second], [first, second, third]):  # with the second change the pass for the first is over
                supervisor.assign(roster(*roster_now))
                await wait_subscribed(served, name, other, *roster_now)

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS[:2], ids=["sse", "longpoll"])
def test_a_second_one_of_the_name_does_not_deafen_a_long_poller(served, tier):
    """Between two polls nobody seems to receive."""

    async def scenario():
        name, mine, theirs = (new_name() for _ in range(3))
        crew = Crew()
        async with supervising(served.url, crew, [mine], name, push_mode="longpoll", longpoll_wait=50) as supervisor:
            pending_of = supervisor._client.pending_of

            async def far(*words, **more):
                await asyncio.sleep(0.2)  # a slow network
                return await pending_of(*words, **more)

            supervisor._client.pending_of = far
            await wait_subscribed(served, name, mine)
            async with supervising(served.url, Crew(), [theirs], name, **tier) as second:
                await wait_for(lambda: second._intake.receiving, "the second one's connection")
                for number in range(3):  # with each change the pass for the one before is over
                    theirs_now = [theirs, *(f"{theirs}-{other}" for other in range(number))]
                    second.assign(roster(*theirs_now))
                    await wait_subscribed(served, name, mine, *theirs_now)
                sent = await send(served, mine)
                await wait_for(lambda: crew.taken(mine) == sent, "the ticket")

    asyncio.run(scenario())


def test_who_comes_late_and_was_subscribed_before_gets_what_waits_before_what_comes(served, monkeypatch):
    """An earlier run left its subscription: a new ticket comes through the connection before the backlog has been read."""

    async def scenario():
        crew, name, stays, late = Crew(), new_name(), new_name(), new_name()
        await ask(served, f"/agents/{late}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, crew, [stays], name, tier_holds=60000) as supervisor:
            sent = await send(served, late)
            await send(served, stays)
            await wait_for(lambda: crew.taken(stays), "the cursor is past what waits")
            monkeypatch.setattr(BrokerClient, "subscriber", slowly(BrokerClient.subscriber))
            supervisor.assign(roster(stays, late))
            sent += await send(served, late)
            await wait_for(lambda: len(crew.taken(late)) == 2, "both")
        assert crew.taken(late) == sent

    def slowly(method):
        async def slow(*given):
            await asyncio.sleep(0.5)
            return await method(*given)

        return slow

    asyncio.run(scenario())


@pytest.mark.parametrize("names", [["same", "same"], ["one", "other"]])
def test_two_supervisors_of_the_same_agents_share_and_never_double(served, names):
    async def scenario():
        tag, agents, crews = new_name(), [new_name() for _ in range(3)], [Crew(), Crew()]
        async with supervising(served.url, crews[0], agents, f"{tag}-{names[0]}", lease=10000), supervising(served.url, crews[1], agents, f"{tag}-{names[1]}", lease=10000):
            sent = {agent: await send(served, agent, 4) for agent in agents}
            await wait_for(lambda: all(len(crews[0].taken(agent) + crews[1].taken(agent)) == 4 for agent in agents), "all")
        for agent in agents:
            assert sorted(crews[0].taken(agent) + crews[1].taken(agent)) == sorted(sent[agent])

    asyncio.run(scenario())


def test_a_broker_that_comes_back_without_its_memory_is_told_anew(tmp_path):
    """Its subscriptions are gone, its seqs begin anew: nothing may stay unheard."""
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


def test_the_predecessors_broker_is_polled_agent_by_agent():
    async def scenario():
        old, crew = Predecessor(), Crew()
        for number in range(3):
            old.add(f"a-{number}", "a")
            old.add(f"b-{number}", "b")
        async with FakeBroker(old) as broker, supervising(broker.url, crew, ["a", "b"], inbox_max=2):
            await wait_for(lambda: len(old.acknowledged) == 6, "all")
            old.add("b-3", "b")
            await wait_for(lambda: len(old.acknowledged) == 7, "a new one")
        assert crew.taken("a") == ["a-0", "a-1", "a-2"] and crew.taken("b") == ["b-0", "b-1", "b-2", "b-3"]

    asyncio.run(scenario())


def test_a_hundred_agents_are_no_storm(served):
    """They register, subscribe and report over a handful of connections, and are silent then."""

    async def scenario():
        crew, agents, name = Crew(), [new_name() for _ in range(100)], new_name()
        most, connections = 0, "bridge_connections_open"
        async with supervising(served.url, crew, agents, name, pane_check=10000):
            for _ in range(1000):
                metrics = await asyncio.get_running_loop().run_in_executor(None, served.metrics)
                most = max(most, metrics[connections])
                online = [each for each in await ask(served, "/agents?status=online") if each["agentId"] in set(agents)]
                if len(online) == 100:
                    break
            assert len(online) == 100 and most <= 8 + 1 + 2, "eight for requests, the stream, and those of this test"
            await wait_subscribed(served, name, *agents)
            sent = {agent: await send(served, agent) for agent in agents[::10]}
            await wait_for(lambda: all(crew.taken(agent) == sent[agent] for agent in sent), "one each")

    asyncio.run(scenario())


def test_more_agents_than_may_be_are_named_in_the_log_and_served_when_there_is_room(served, caplog):
    async def scenario():
        crew, agents = Crew(), [new_name() for _ in range(3)]
        async with supervising(served.url, crew, agents, agents_max=2) as supervisor:
            assert list(supervisor.agents) == agents[:2] and f"agent={agents[2]}" in caplog.text
            supervisor.assign(roster(*agents[1:]))
            sent = await send(served, agents[2])
            await wait_for(lambda: crew.taken(agents[2]) == sent, "the third")

    caplog.set_level("WARNING", "bridge.watcher")
    asyncio.run(scenario())


def test_stop_finishes_what_every_agent_has_under_way(served):
    async def scenario():
        agents, begun, may_end = [new_name() for _ in range(3)], [], asyncio.Event()

        async def slow(ticket):
            begun.append(ticket)
            await may_end.wait()

        crew = Crew(**{agent: slow for agent in agents})
        async with supervising(served.url, crew, agents) as supervisor:
            sent = {agent: await send(served, agent, 2) for agent in agents}
            await wait_for(lambda: len(begun) == 3, "one of each")
            supervisor.stop()
            await asyncio.sleep(0.7)  # longer than a stop takes to say it again
            may_end.set()
        for agent in agents:
            assert crew.taken(agent) == sent[agent][:1]
            assert [ticket["ticketId"] for ticket in await ask(served, f"/agents/{agent}/tickets/pending")] == sent[agent][1:]

    asyncio.run(scenario())

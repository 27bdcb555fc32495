"""When a watcher ends, the broker drops its report and its subscriptions under a shared name.

Agents that another watcher of the name has subscribed too stay subscribed.
"""

from __future__ import annotations

import asyncio

import pytest
from fakes import wait_for
from running import Broker, new_name, package_launcher, wait_until

from bridge.errors import PaneLost
from watcher.crew import TIERS, Crew, ask, send, supervising, wait_subscribed
from watcher.scripted import ScriptedSink, watching

GRACE = 300  # ms
NAMED_TIERS = ["sse", "longpoll", "poll"]
TIER_OF = dict(zip(NAMED_TIERS, TIERS))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(
        package_launcher(),
        tmp_path_factory.mktemp("store") / "bridge.db",
        BRIDGE_RATE_LIMIT=0,
        BRIDGE_WATCHER_GRACE=GRACE,
    ) as running:
        yield running


def lost_sink() -> ScriptedSink:
    sink = ScriptedSink()
    sink.session, sink.lost = "no-such-session", PaneLost("no session no-such-session")
    return sink


async def row(served, agent):
    return ((await ask(served, f"/overview?agent={agent}")).get("agents") or [{}])[0]


async def wait_row(served, agent, **wanted):
    for _ in range(1000):
        found = await row(served, agent)
        if wanted.items() <= found.items():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"timed out waiting for: {wanted}, found: {found}")


@pytest.mark.parametrize("tier", TIERS, ids=NAMED_TIERS)
def test_the_report_of_a_second_watcher_is_dropped_when_it_ends(served, tier):
    async def scenario():
        agent = new_name()
        async with watching(served.url, ScriptedSink(), agent, **tier):
            await wait_row(served, agent, health="healthy", session="dev-lucy")
            async with watching(served.url, lost_sink(), agent):
                await wait_row(served, agent, health="lost", session="no-such-session")
            await wait_row(served, agent, health="healthy", session="dev-lucy")
            status = await ask(served, f"/debug/agent/{agent}/status")
            assert (status["tmuxSession"], status["sessionHealth"]) == ("dev-lucy", "healthy")

    asyncio.run(scenario())


def test_the_report_of_the_last_watcher_is_kept(served):
    async def scenario():
        agent = new_name()
        async with watching(served.url, ScriptedSink(), agent):
            await wait_row(served, agent, health="healthy")
        await wait_row(served, agent, connection="none", session="dev-lucy")

    asyncio.run(scenario())


def test_a_report_without_a_watcher_name_is_kept_until_the_next_one(served):
    """An older watcher sends no name. Its latest report does not end with the watcher."""
    agent = new_name()
    served.register(agent)

    def say(**report):
        assert served.ask("POST", f"/agents/{agent}/heartbeat", report).status == 200
        return served.ask("GET", f"/debug/agent/{agent}/status").json["tmuxSession"]

    assert [
        say(session="one"),
        say(session="two"),
        say(session="three", watcher="w"),
        say(session="four"),
    ] == ["one", "two", "three", "four"]
    assert served.ask("POST", f"/agents/{agent}/heartbeat", {"watcher": 5}).status == 400


def test_a_heartbeat_ends_with_the_watcher_that_sent_it(served):
    """It does not matter which watcher subscribed the agent, or unsubscribed it since."""
    agent = new_name()
    served.register(agent)

    def status():
        return served.ask("GET", f"/agents/{agent}").json["status"]

    with served.stream(f"/agents/{new_name()}/tickets/stream?watcher=passing"):
        assert (
            served.ask(
                "POST", f"/agents/{agent}/heartbeat", {"session": "one", "watcher": "passing"}
            ).status
            == 200
        )
        assert status() == "online"
    wait_until(lambda: status() == "offline", "the end of its heartbeat")
    assert served.ask("GET", f"/debug/agent/{agent}/status").json["tmuxSession"] == "one"


async def leave_no_stale_subscription(served, first, second):
    name, mine, both, theirs = (new_name() for _ in range(4))
    crew = Crew()
    async with supervising(served.url, crew, [mine, both], name, **first):
        await wait_subscribed(served, name, mine, both)
        async with supervising(served.url, Crew(), [both, theirs], name, **second):
            await wait_subscribed(served, name, mine, both, theirs)
            await wait_row(served, theirs, status="online")
        await wait_subscribed(served, name, mine, both)
        await wait_row(served, theirs, status="offline", connection="none", health=None)
        sent = [*await send(served, both), *await send(served, mine)]
        await wait_for(
            lambda: crew.taken(both) + crew.taken(mine) == sent,
            "the tickets of the first supervisor",
        )
    # The subscriptions of the last supervisor stay, for its restart.
    await wait_subscribed(served, name, mine, both)


@pytest.fixture(scope="module")
def outcomes(served):
    """The outcome of each pair of tiers: None, or the exception.

    The pairs run at the same time, because each of them waits once or twice for POLL_WINDOW.
    """
    pairs = [(first, second) for first in NAMED_TIERS[:2] for second in NAMED_TIERS]

    async def scenario():
        runs = [
            leave_no_stale_subscription(served, TIER_OF[first], TIER_OF[second])
            for first, second in pairs
        ]
        return dict(zip(pairs, await asyncio.gather(*runs, return_exceptions=True)))

    return asyncio.run(scenario())


@pytest.mark.parametrize("second", NAMED_TIERS)
@pytest.mark.parametrize("first", NAMED_TIERS[:2])
def test_a_second_supervisor_of_the_name_leaves_no_stale_subscription(outcomes, first, second):
    if outcomes[first, second] is not None:
        raise outcomes[first, second]


def test_a_restarted_broker_learns_again_which_supervisor_subscribed_an_agent(start):
    """The store does not hold this. Each supervisor sends it again when it connects."""
    broker = start(BRIDGE_WATCHER_GRACE=GRACE, BRIDGE_RATE_LIMIT=0)

    async def scenario():
        name, mine, theirs = (new_name() for _ in range(3))
        async with supervising(broker.url, Crew(), [mine], name):
            async with supervising(broker.url, Crew(), [theirs], name) as second:
                await wait_subscribed(broker, name, mine, theirs)
                await asyncio.get_running_loop().run_in_executor(None, restart)
                await wait_for(lambda: second._receiver.receiving, "the second one's connection")
                for _ in range(2000):
                    told = await ask(broker, f"/subscribers/{name}?watcher={second._watcher}")
                    if told["own"] == [theirs]:
                        break
                    await asyncio.sleep(0.01)
                assert told["own"] == [theirs] and told["receivers"] <= 2
            await wait_subscribed(broker, name, mine)

    def restart():
        broker.kill()
        broker.flags = ["--port", str(broker.port)]
        broker.start()

    asyncio.run(scenario())


def test_a_short_interruption_ends_no_subscription(served):
    """The watcher reconnects within the grace period, while another one stays connected."""
    name, theirs, canary = (new_name() for _ in range(3))
    for agent, watcher in ((theirs, "second"), (canary, "third")):
        assert (
            served.ask(
                "POST", f"/agents/{agent}/subscribe", {"subscriber": name, "watcher": watcher}
            ).status
            == 204
        )
    path = f"/tickets/stream?subscriber={name}"

    def agents():
        return served.ask("GET", f"/subscribers/{name}").json["agents"]

    with served.stream(f"{path}&watcher=first"):
        for _ in range(5):
            with served.stream(f"{path}&watcher=second") as stream:
                stream.read_block()
        with served.stream(f"{path}&watcher=second"):
            with served.stream(f"{path}&watcher=third") as stream:
                stream.read_block()
            wait_until(lambda: canary not in agents(), "the end of a watcher that left later")
            assert agents() == [theirs]
        wait_until(lambda: agents() == [], "the end of its subscriptions")
    assert served.ask("GET", f"/tickets/stream?subscriber={name}&watcher=").status == 400

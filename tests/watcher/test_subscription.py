"""Subscriptions under a name that another supervisor used before, or uses at the same time.

Also: in which order the tickets of such an agent are delivered.
"""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from fakes import wait_for
from running import Broker, new_name, package_launcher

from bridge.client.broker import BrokerClient
from watcher.crew import TIERS, Crew, ask, roster, send, supervising, wait_subscribed


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        yield running


def without_others(method):
    """`BrokerClient.subscriber` as an older broker answers it: a count, and not whose."""

    async def ask_older(*given):
        return {key: told for key, told in (await method(*given)).items() if key != "others"}

    return ask_older


@pytest.mark.parametrize("is_older", [False, True], ids=["by-identity", "by-count"])
def test_stale_subscriptions_are_removed_unless_another_process_receives_under_the_name(
    served, caplog, monkeypatch, is_older
):
    async def scenario():
        name, old, new, theirs = (new_name() for _ in range(4))
        await ask(served, f"/agents/{old}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, Crew(), [new], name):
            await wait_subscribed(served, name, new)
            crew = Crew()
            async with supervising(served.url, crew, [theirs], name):
                await wait_for(
                    lambda: caplog.text.count("another process receives under the same name") == 1,
                    "the warning",
                )
                await wait_subscribed(served, name, new, theirs)
                sent = await send(served, theirs)
                await wait_for(lambda: crew.taken(theirs) == sent, "the other's ticket")
            # The subscription is kept for a restart. The next supervisor that connects removes it.
            await wait_subscribed(served, name, new, theirs)

    if is_older:
        monkeypatch.setattr(BrokerClient, "subscriber", without_others(BrokerClient.subscriber))
    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_an_own_connection_that_the_broker_still_counts_is_no_other_process(served, caplog):
    """A stream that broke may stay open at the broker for a while, beside the new one."""

    async def scenario():
        name, old, mine = (new_name() for _ in range(3))
        await ask(served, f"/agents/{old}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, Crew(), [mine], name, tier_holds=3000) as supervisor:
            path = f"/tickets/stream?subscriber={name}&watcher={supervisor._watcher}"
            with served.stream(path) as broken:
                broken.read_block()
                await wait_subscribed(served, name, old, mine)
                await wait_subscribed(served, name, mine)

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())
    assert "another process receives" not in caplog.text


def test_a_process_that_sends_no_identity_is_another_one(served, caplog):
    async def scenario():
        name, old, mine = (new_name() for _ in range(3))
        await ask(served, f"/agents/{old}/subscribe", "POST", {"subscriber": name})
        with served.stream(f"/tickets/stream?subscriber={name}") as older:
            older.read_block()
            async with supervising(served.url, Crew(), [mine], name):
                await wait_for(
                    lambda: "another process receives under the same name" in caplog.text,
                    "the warning",
                )
                await wait_subscribed(served, name, old, mine)

    caplog.set_level("INFO", "bridge.watcher")
    asyncio.run(scenario())


def test_a_supervisor_whose_subscription_was_removed_subscribes_again(served):
    """Another supervisor of the name removed it as stale: subscribed, but not connected."""

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


def test_a_subscribed_supervisor_that_has_not_connected_yet_is_not_removed_as_stale(served):
    async def scenario():
        name, mine, theirs = (new_name() for _ in range(3))
        await ask(served, f"/agents/{theirs}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, Crew(), [mine], name, tier_holds=60000):
            for _ in range(1000):
                told = await ask(served, f"/subscribers/{name}")
                if told["receivers"]:
                    break
                await asyncio.sleep(0.01)
            assert told["agents"] == sorted([mine, theirs]), "unchanged by the connection"

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def before_streams_open(served):
    """The URL of a proxy that forwards all requests but streams. A stream never gets a byte."""

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
            await asyncio.wait(
                [
                    asyncio.ensure_future(pass_on(reader, near)),
                    asyncio.ensure_future(pass_on(far, writer)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            near.close()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def test_a_supervisor_that_is_not_connected_removes_no_subscription(served):
    """Its stream never opens, and its agents change. Other subscriptions look stale to it."""

    async def scenario():
        name, other, first, second, third = (new_name() for _ in range(5))
        await ask(served, f"/agents/{other}/subscribe", "POST", {"subscriber": name})
        async with (
            before_streams_open(served) as url,
            supervising(url, Crew(), [first], name, first_byte=60000) as supervisor,
        ):
            await wait_subscribed(served, name, other, first)
            # When the second change is visible, the update for the first one is complete.
            for roster_now in ([first, second], [first, second, third]):
                supervisor.assign(roster(*roster_now))
                await wait_subscribed(served, name, other, *roster_now)

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS[:2], ids=["sse", "longpoll"])
def test_a_second_supervisor_does_not_unsubscribe_a_long_poller(served, tier):
    """Between two polls a long-poller does not count as connected."""

    async def scenario():
        name, mine, theirs = (new_name() for _ in range(3))
        crew = Crew()
        async with supervising(
            served.url, crew, [mine], name, push_mode="longpoll", longpoll_wait=50
        ) as supervisor:
            pending_of = supervisor._client.pending_of

            async def far(*words, **more):
                await asyncio.sleep(0.2)  # a slow network
                return await pending_of(*words, **more)

            supervisor._client.pending_of = far
            await wait_subscribed(served, name, mine)
            async with supervising(served.url, Crew(), [theirs], name, **tier) as second:
                await wait_for(lambda: second._receiver.receiving, "the second one's connection")
                # When a change is visible, the update for the one before is complete.
                for number in range(3):
                    theirs_now = [theirs, *(f"{theirs}-{other}" for other in range(number))]
                    second.assign(roster(*theirs_now))
                    await wait_subscribed(served, name, mine, *theirs_now)
                sent = await send(served, mine)
                await wait_for(lambda: crew.taken(mine) == sent, "the ticket")

    asyncio.run(scenario())


def test_an_agent_that_was_subscribed_before_gets_its_backlog_before_new_tickets(
    served, monkeypatch
):
    """An earlier run left its subscription, so a new ticket may overtake the backlog.

    It arrives through the connection before the backlog has been read.
    """

    async def scenario():
        crew, name, stays, late = Crew(), new_name(), new_name(), new_name()
        await ask(served, f"/agents/{late}/subscribe", "POST", {"subscriber": name})
        async with supervising(served.url, crew, [stays], name, tier_holds=60000) as supervisor:
            sent = await send(served, late)
            await send(served, stays)
            await wait_for(lambda: crew.taken(stays), "a cursor past the waiting ticket")
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

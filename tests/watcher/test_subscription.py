"""Who is subscribed under a name that somebody had before, or has at the same time; and whose tickets come first."""

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


def test_what_an_earlier_run_left_is_cleared_away_unless_somebody_receives_under_the_name(
    served, caplog
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
                await wait_for(lambda: crew.taken(theirs) == sent, "the other's")
            await wait_subscribed(
                served, name, new, theirs
            )  # it may be wanted again in a moment; the next one to connect clears it away

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


def test_nobody_is_given_up_by_one_who_has_not_connected_himself(served):
    """His stream does not open, and his agents change; whoever is there looks like a run that is over."""

    async def scenario():
        name, other, first, second, third = (new_name() for _ in range(5))
        await ask(served, f"/agents/{other}/subscribe", "POST", {"subscriber": name})
        async with (
            before_streams_open(served) as url,
            supervising(url, Crew(), [first], name, first_byte=60000) as supervisor,
        ):
            await wait_subscribed(served, name, other, first)
            for roster_now in (
                [first, second],
                [first, second, third],
            ):  # with the second change the pass for the first is over
                supervisor.assign(roster(*roster_now))
                await wait_subscribed(served, name, other, *roster_now)

    asyncio.run(scenario())


@pytest.mark.parametrize("tier", TIERS[:2], ids=["sse", "longpoll"])
def test_a_second_one_of_the_name_does_not_deafen_a_long_poller(served, tier):
    """Between two polls nobody seems to receive."""

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
                await wait_for(lambda: second._intake.receiving, "the second one's connection")
                for number in range(3):  # with each change the pass for the one before is over
                    theirs_now = [theirs, *(f"{theirs}-{other}" for other in range(number))]
                    second.assign(roster(*theirs_now))
                    await wait_subscribed(served, name, mine, *theirs_now)
                sent = await send(served, mine)
                await wait_for(lambda: crew.taken(mine) == sent, "the ticket")

    asyncio.run(scenario())


def test_who_comes_late_and_was_subscribed_before_gets_what_waits_before_what_comes(
    served, monkeypatch
):
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

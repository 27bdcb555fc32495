"""The client reports that a terminal shows a ticket, and waits for such a report."""

from __future__ import annotations

import asyncio

import pytest
from fakes import FakeBroker, Predecessor, problem
from running import new_name

from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, Refused
from bridge.settings import ClientSettings


def ask(url: str, play):
    async def run():
        async with BrokerClient(ClientSettings(broker_url=url)) as client:
            return await play(client)

    return asyncio.run(run())


def test_wait_shown_returns_the_terminals(broker):
    ticket_id = broker.send(new_name(), 1)

    async def play(client):
        waiting = asyncio.ensure_future(client.wait_shown(ticket_id, 60))
        assert await client.shown(ticket_id, "%3", "/dev/pts/7") == {
            "ticketId": ticket_id,
            "status": "pending",
        }
        assert await waiting == [{"pane": "%3", "tty": "/dev/pts/7"}]
        await client.shown(ticket_id, tty="/dev/pts/8")
        assert await client.wait_shown(ticket_id, 0) == [
            {"pane": "%3", "tty": "/dev/pts/7"},
            {"tty": "/dev/pts/8"},
        ]

    ask(broker.url, play)


def test_wait_shown_returns_nothing_after_the_timeout(broker):
    ticket_id = broker.send(new_name(), 1)
    for seconds in (0, 0.02):
        assert ask(broker.url, lambda client: client.wait_shown(ticket_id, seconds)) == []
    with pytest.raises(Refused) as caught:
        ask(broker.url, lambda client: client.wait_shown("no-such-ticket", 1))
    assert caught.value.status == 404


def test_a_wait_longer_than_one_request_asks_again():
    """A response without the stage ends one request, but not the wait."""
    asked = []

    async def handler(request, writer):
        asked.append(request.query)
        history = [{"stage": "accepted"}] + (
            [{"stage": "shown", "evidence": {"pane": "%1"}}] if len(asked) == 3 else []
        )
        return 200, {"ticketId": "t", "awaited": "shown", "history": history}

    async def play():
        async with (
            FakeBroker(handler) as broker,
            BrokerClient(ClientSettings(broker_url=broker.url)) as client,
        ):
            assert await client.wait_shown("t", 3600) == [{"pane": "%1"}]

    asyncio.run(play())
    assert asked == [{"stage": "shown", "waitMs": "60000"}] * 3


def test_brokers_without_the_stage():
    async def older(request, writer):
        return 200, {"ticketId": "t", "history": [{"stage": "accepted"}]}

    async def foreign(request, writer):
        return 404, {"error": "Cannot GET"}

    async def forgets(request, writer):
        return problem(404, "no ticket 't'")

    async def play(handler):
        async with (
            FakeBroker(handler) as broker,
            BrokerClient(ClientSettings(broker_url=broker.url)) as client,
        ):
            return await client.wait_shown("t", 60)

    assert asyncio.run(play(older)) is None and asyncio.run(play(foreign)) is None
    assert asyncio.run(play(Predecessor())) is None
    with pytest.raises(Refused):
        asyncio.run(play(forgets))


def test_a_broker_that_closes_the_connection_is_unreachable():
    async def hangs_up(request, writer):
        return None

    async def play():
        async with (
            FakeBroker(hangs_up) as broker,
            BrokerClient(ClientSettings(broker_url=broker.url)) as client,
        ):
            with pytest.raises(BrokerUnreachable):
                await client.wait_shown("t", 60)

    asyncio.run(play())

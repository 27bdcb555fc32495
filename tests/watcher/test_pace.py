"""The rate limit of a pane: a burst of `rate` tickets, and then one each 60 / rate seconds."""

from __future__ import annotations

import asyncio

import pytest
from virtual_clock import run

from bridge.client.broker import BrokerClient
from bridge.settings import ClientSettings, TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.injection.evidence import Evidence
from bridge.tmux.injection.tenancy import Tenancy
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane_list import PaneList
from bridge.watcher.sinks.pane import PaneSink


class QuickInjector:
    """A fake injector whose pane is always ready. It records the time of each ticket."""

    def __init__(self) -> None:
        self.taken_at: list[float] = []

    async def inject(self, ticket, time_left, again=False):
        self.taken_at.append(asyncio.get_running_loop().time())
        return Evidence("dev:0.0 (%0)", "agent", "now", True)


async def take(count: int, rate: int) -> list[float]:
    injector = QuickInjector()
    tenancy = Tenancy("lucy", Tmux(), PaneList(Tmux()))
    sink = PaneSink(
        injector, tenancy, "dev", "0", rate, BrokerClient(ClientSettings()), TmuxSettings()
    )
    began = asyncio.get_running_loop().time()
    for number in range(count):
        await sink.deliver(Ticket(f"T-{number}", number, "lucy", "text"), lambda: 60.0)
    return [moment - began for moment in injector.taken_at]


def test_tickets_beyond_the_burst_wait_for_a_token():
    async def scenario(loop):
        taken = await take(9, rate=6)
        assert taken[:6] == pytest.approx([0.0] * 6)
        assert taken[6:] == pytest.approx([10.0, 20.0, 30.0])

    run(scenario)


def test_a_rate_of_zero_is_no_limit():
    async def scenario(loop):
        assert await take(500, rate=0) == pytest.approx([0.0] * 500)

    run(scenario)

"""Run a supervisor with scripted sinks, and make requests to its broker meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import time

from fakes import PATIENCE
from running import new_name

from bridge.client.broker import BrokerClient
from bridge.settings import ClientSettings, WatcherSettings
from bridge.tasks import within
from bridge.watcher.discovery.merge import Assignment
from bridge.watcher.supervisor import Supervisor
from watcher.scripted import QUICK, ScriptedSink

SUBSCRIBED_WITHIN = 60.0  # seconds


class Crew:
    """A factory of sinks. It keeps all sinks of each agent, one for each run, the newest last."""

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
    supervisor = Supervisor(
        name or new_name(), client, crew, WatcherSettings(**{**QUICK, **settings}), agents_max
    )
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
    """The broker may first wait for the end of POLL_WINDOW."""
    end = time.monotonic() + SUBSCRIBED_WITHIN
    while time.monotonic() < end:
        found = (await ask(served, f"/subscribers/{name}"))["agents"]
        if found == sorted(agents):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name} is subscribed to {found}, not to {agents}")


TIERS = [{}, {"push_mode": "longpoll"}, {"push_mode": "poll"}]

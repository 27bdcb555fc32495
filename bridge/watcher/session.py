"""`watch`: one agent on a connection of its own. Owns the tasks, and ends them in order.

    receiver  receives tickets              ends only by a fault of our own
    agent     delivers and reports          ends by a failure, or by the loss of the pane
                                            when `exit_on_loss` is set
    stop      waits for stop()              ends first in the normal case

The client is closed after all three.
"""

from __future__ import annotations

import asyncio
import logging

from bridge.client.broker import BrokerClient
from bridge.settings import WatcherSettings
from bridge.tasks import run_together
from bridge.watcher.agent_tasks import AgentTasks
from bridge.watcher.lease import watcher_name
from bridge.watcher.receiver import Receiver, first_tier
from bridge.watcher.sinks.base import Sink
from bridge.watcher.transport import AgentFeed

log = logging.getLogger("bridge.watcher")


class Session:
    """Watches for one agent until stopped. Made inside a running loop (3.9 binds events to it)."""

    def __init__(
        self, agent: str, client: BrokerClient, sink: Sink, settings: WatcherSettings
    ) -> None:
        client.watcher = watcher_name()
        self._tasks = AgentTasks(agent, client, settings, client.watcher, first_tier(settings))
        self._receiver = Receiver(
            AgentFeed(client, agent), {agent: self._tasks.recipient}, settings
        )
        self._client = client
        self._sink = sink
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Return after stop(). Raise what ended the watch otherwise."""
        try:
            await run_together(
                stop=self._wait_stop(),
                receiver=self._receiver.run(),
                agent=self._tasks.run(self._sink),
            )
        finally:
            await self._client.aclose()

    def stop(self) -> None:
        """Finish the current delivery, then let run() return."""
        self._stop.set()

    async def _wait_stop(self) -> None:
        await self._stop.wait()
        log.info("stopping")

"""All tasks and state of one agent. `watch` has one of these, `supervise` may have a hundred.

    recipient   receiver ─► inbox; catches up when the inbox was full
    delivery    inbox ─► claim ─► sink ─► acknowledge
    report      sends the watcher's report to the broker

`run` is one life, with one sink. The inbox outlives it. After a crash, or when the agent has
moved to another pane, the next life continues with the same inbox. A ticket that a sink has
taken is never given to a sink again.
"""

from __future__ import annotations

import asyncio
import logging

from bridge.client.broker import BrokerClient
from bridge.settings import WatcherSettings
from bridge.tasks import run_together
from bridge.watcher.delivery import Delivery, finishes
from bridge.watcher.inbox import Inbox
from bridge.watcher.lease import Leases
from bridge.watcher.recipient import Recipient
from bridge.watcher.report import Reporter, Share, Vitals
from bridge.watcher.sinks.base import Sink
from bridge.watcher.tiers import Tier

log = logging.getLogger("bridge.watcher")
# Seconds for two short tmux calls. If the server hangs for longer, the pane's entry stays. It
# names a process that has ended, and is ignored.
LEAVE = 5.0


class AgentTasks:
    """Made inside a running loop. `share` returns this agent's part of the process, for reports."""

    def __init__(
        self,
        agent: str,
        client: BrokerClient,
        settings: WatcherSettings,
        watcher: str,
        tier: Tier,
        share: Share = lambda: 1.0,
    ) -> None:
        self.agent = agent
        self.vitals = Vitals("", "", tier)
        self._inbox = Inbox(settings.inbox_max, settings.remembered)
        self.recipient = Recipient(agent, client, self._inbox, self.vitals, settings)
        self._client = client
        self._settings = settings
        self._watcher = watcher
        self._share = share

    async def run(self, sink: Sink) -> None:
        """Deliver until cancelled, or until something fails."""
        self.vitals.settle_in(sink.session, sink.pane)
        log.info(
            "watching agent=%s session=%s pane=%s broker=%s watcher=%s",
            self.agent,
            sink.session,
            sink.pane,
            self._client.url,
            self._watcher,
        )
        leases = Leases(self._client, self._inbox, self._settings.lease, self._watcher)
        try:
            await run_together(
                delivery=Delivery(
                    self._inbox,
                    self.recipient,
                    self._client,
                    sink,
                    leases,
                    self.vitals,
                    self._settings,
                ).run(),
                recipient=self.recipient.run(),
                report=Reporter(
                    self.agent, self._client, self._inbox, self.vitals, self._settings, self._share
                ).run(),
            )
        finally:
            # A second cancellation must not leave this task without an owner.
            await finishes(asyncio.ensure_future(sink.leave()), LEAVE)

"""One agent: transport → inbox → sink. Owns the tasks, and ends them in order.

    intake    keeps tickets coming          ends only by failure of ours
    delivery  empties the inbox             ends by failure, or when the pane is lost and nobody wants to wait
    report    tells the broker              ends only by failure of ours
    stop      waits for stop()              ends first when all is well
"""

from __future__ import annotations

import asyncio
import logging

from bridge.client.broker import BrokerClient
from bridge.settings import WatcherSettings
from bridge.tasks import run_together
from bridge.watcher.delivery import Delivery
from bridge.watcher.inbox import Inbox
from bridge.watcher.intake import Intake
from bridge.watcher.ladder import Ladder, Tier
from bridge.watcher.lease import Leases, watcher_name
from bridge.watcher.report import Reporter, Vitals
from bridge.watcher.sinks.base import Sink

log = logging.getLogger("bridge.watcher")


class Session:
    """Watches for one agent until stopped. Made inside a running loop (3.9 binds its events there)."""

    def __init__(self, agent: str, client: BrokerClient, sink: Sink, settings: WatcherSettings) -> None:
        inbox = Inbox(settings.inbox_max, settings.remembered)
        ladder = Ladder(first_tier(settings), settings.step_down_after)
        vitals = Vitals(sink.session, sink.pane, ladder.tier)
        leases = Leases(client, inbox, settings.lease, watcher_name())
        intake = Intake(agent, client, inbox, ladder, vitals, settings)
        self._jobs = {
            "intake": intake.run,
            "delivery": Delivery(inbox, intake, client, sink, leases, vitals, settings).run,
            "report": Reporter(agent, client, inbox, vitals, settings).run,
        }
        self._client = client
        self._stop = asyncio.Event()
        log.info("watching agent=%s session=%s pane=%s broker=%s watcher=%s", agent, sink.session, sink.pane, client.url, leases.watcher)

    async def run(self) -> None:
        """Return after stop(); raise what ended the watch otherwise."""
        try:
            await run_together(stop=self._wait_stop(), **{name: job() for name, job in self._jobs.items()})
        finally:
            await self._client.aclose()

    def stop(self) -> None:
        """Finish what is under way, then let run() return."""
        self._stop.set()

    async def _wait_stop(self) -> None:
        await self._stop.wait()
        log.info("stopping")


def first_tier(settings: WatcherSettings) -> Tier:
    """BRIDGE_PUSH_MODE, and one step below the stream when that is switched off."""
    tier = Tier(settings.push_mode)
    return Tier.LONG_POLL if settings.disable_sse and tier is Tier.STREAM else tier

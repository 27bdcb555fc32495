"""The watcher's report about itself to the broker, in a heartbeat's body (HTTP_API.md).

`waiting` is the reason why the head of the inbox is not typed yet, and since when.

The report is sent when something in it has changed, at most once per interval. An idle
watcher sends nothing, because its open stream is enough to show that it is present. Only the
lowest tier, which keeps no connection open, sends a heartbeat from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Callable

from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, Refused
from bridge.settings import WatcherSettings
from bridge.tasks import NEVER, within
from bridge.timestamp import rfc3339
from bridge.watcher.inbox import Inbox
from bridge.watcher.tiers import Tier

# Metadata of an agent that its own watcher registered first.
OWN = {"registeredBy": "bridge"}
log = logging.getLogger("bridge.watcher")

# The agent's part of this process. One of a hundred agents reports a hundredth of the CPU time
# and memory, so that sums over agents are correct.
Share = Callable[[], float]
HEALTHY, BUSY, LOST = "healthy", "busy", "lost"
SETTLE = 0.2  # seconds between a change and the report of its result
_DIGITS = re.compile("[0-9]+([.][0-9]+)?")


@dataclass(frozen=True)
class WaitingTicket:
    """Why a ticket is not typed yet.

    Two reasons are the same if they differ only in numbers ("… 1.2 s ago") or in the quoted part
    of the screen (after a colon). Then `since_at` stays, and nothing is reported.
    """

    ticket_id: str
    reason: str
    since_at: str

    def is_same(self, ticket_id: str, reason: str) -> bool:
        return self.ticket_id == ticket_id and _gist(self.reason) == _gist(reason)

    def to_json(self) -> dict[str, object]:
        return {"ticketId": self.ticket_id, "reason": self.reason, "sinceAt": self.since_at}


def _gist(reason: str) -> str:
    return _DIGITS.sub("#", reason.partition(": ")[0])


@dataclass
class Vitals:
    """The current state, as the session's tasks note it. `changed` wakes the reporter."""

    session: str
    pane: str
    tier: Tier
    health: str = HEALTHY
    reconnects: int = 0
    session_failures: int = 0
    injection_errors: int = 0
    waiting: WaitingTicket | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def settle_in(self, session: str, pane: str) -> None:
        """A life begins, with this sink."""
        self.session, self.pane, self.health, self.waiting = session, pane, HEALTHY, None
        self.changed.set()

    def note(
        self,
        tier: Tier | None = None,
        health: str = "",
        reconnect: bool = False,
        session_failure: bool = False,
        injection_error: bool = False,
    ) -> None:
        self.tier = tier or self.tier
        self.health = health or self.health
        self.reconnects += reconnect
        self.session_failures += session_failure
        self.injection_errors += injection_error
        self.changed.set()

    def wait(self, ticket_id: str, reason: str) -> bool:
        """The head of the inbox waits. True when the reason is a new one."""
        if self.waiting is not None and self.waiting.is_same(ticket_id, reason):
            return False
        self.waiting = WaitingTicket(ticket_id, reason, rfc3339(int(time.time() * 1000)))
        self.changed.set()
        return True

    def go_on(self) -> None:
        """The head no longer waits."""
        if self.waiting is not None:
            self.waiting = None
            self.changed.set()


class Reporter:
    """Sends the report. Registers the agent when the broker does not have it."""

    def __init__(
        self,
        agent: str,
        client: BrokerClient,
        inbox: Inbox,
        vitals: Vitals,
        settings: WatcherSettings,
        share: Share = lambda: 1.0,
    ) -> None:
        self._agent = agent
        self._client = client
        self._inbox = inbox
        self._vitals = vitals
        self._interval = settings.report_interval / 1000
        self._heartbeat = settings.sse_heartbeat / 1000
        self._sent: dict[str, object] | None = None
        self._sent_at = float("-inf")  # the loop's clock
        self._meter = CpuMeter()
        self._share = share

    async def run(self) -> None:
        self._vitals.changed.set()
        while True:
            await self._wait_change()
            if self._sent is not None:
                # A ticket that is delivered within this time changes nothing in the report.
                await asyncio.sleep(min(SETTLE, self._interval))
            self._vitals.changed.clear()
            report = self._report()
            if report != self._sent or self._left() <= 0:
                await self._send(report)
                # Changes during the sleep go into the next report.
                await asyncio.sleep(self._interval)

    async def _wait_change(self) -> None:
        """Wait for a change, or until a heartbeat is due without one."""
        try:
            await within(self._left(), self._vitals.changed.wait())
        except asyncio.TimeoutError:
            return

    def _left(self) -> float:
        """Seconds until the next unconditional heartbeat. Only the lowest tier has one."""
        return (
            self._sent_at + self._heartbeat - asyncio.get_running_loop().time()
            if self._vitals.tier is Tier.POLL
            else NEVER
        )

    def _report(self) -> dict[str, object]:
        vitals = self._vitals
        return {
            "tier": vitals.tier.value,
            "session": vitals.session,
            "pane": vitals.pane,
            "health": vitals.health,
            "queued": len(self._inbox),
            "reconnects": vitals.reconnects,
            "sessionFailures": vitals.session_failures,
            "injectionErrors": vitals.injection_errors,
            "waiting": vitals.waiting.to_json() if vitals.waiting else None,
        }

    async def _send(self, report: dict[str, object]) -> None:
        self._sent_at = asyncio.get_running_loop().time()
        body = {
            **report,
            "cpuPercent": round(self._meter.percent() * self._share(), 2),
            "memoryBytes": int(memory_bytes() * self._share()),
        }
        try:
            try:
                await self._client.heartbeat(self._agent, body)
            except Refused as error:
                if error.status != 404:
                    raise
                await self._client.register(
                    self._agent,
                    metadata={"session": report["session"], "paneId": report["pane"], **OWN},
                )
                await self._client.heartbeat(self._agent, body)
            self._sent = report
        except BrokerUnreachable as error:
            self._sent = None  # the next change, or the reconnect that must follow, sends it again
            log.debug("report not sent agent=%s reason=%s", self._agent, error)
        except Refused as error:
            # A proxy answers 5xx for an absent broker: as above.
            self._sent = None if error.status >= 500 else report
            log.warning(
                "report refused agent=%s status=%d reason=%s", self._agent, error.status, error
            )


class CpuMeter:
    """Percent of one core since the last call."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def percent(self) -> float:
        wall, cpu = time.monotonic(), time.process_time()
        share = (cpu - self._cpu) / max(wall - self._wall, 1e-9)
        self._wall, self._cpu = wall, cpu
        return round(100 * share, 2)


def memory_bytes() -> int:
    """Resident memory now (Linux, proc(5) statm), else its peak so far.

    getrusage(2) gives the peak in bytes on macOS, in KiB elsewhere.
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

"""A load on a running broker: streams, publishers, and no pending ticket left behind.

    publishers ──POST──► broker ──streams──► subscribers ─► account
                            ▲                     │
                            └──acknowledge────────┘

    open streams ─► send for some seconds ─► drain ─► tidy up ─► Result

Rule: each stream has its own agent, with a name that no other agent has. Tickets that are still
pending at the end are acknowledged, so the broker holds no more tickets than before.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import time
from dataclasses import dataclass
from typing import Callable

from bridge.bench.account import Account, Result
from bridge.bench.connections import Dialler
from bridge.bench.publishers import Publishers
from bridge.bench.subscribers import Subscribers
from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, Refused, UsageError
from bridge.settings import ClientSettings, LoadSettings
from bridge.tasks import stop_all

OPEN_AT_ONCE = 50  # streams that are opened at a time: below a usual listen backlog
STEP = 1.0  # seconds between two progress reports
LOOK = 0.02  # seconds between two checks for outstanding tickets
DESCRIPTORS_BESIDE = 64  # open files of the process itself


@dataclass(frozen=True)
class LoadSender:
    """The length of the sending phase, and the CPU share of this process during it."""

    seconds: float
    cpu_percent: float


class Load:
    """One run. Made inside a running loop (3.9 binds its events there)."""

    def __init__(
        self,
        client: ClientSettings,
        settings: LoadSettings,
        on_progress: Callable[[str, str], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._on_progress = on_progress
        self._account = Account()
        self._agents = [
            f"bench-{secrets.token_hex(4)}-{number}" for number in range(1, settings.streams + 1)
        ]
        self._dialler = Dialler(client)
        arrived: asyncio.Queue[tuple[str, int]] = asyncio.Queue()  # bounded by `outstanding`
        self._subscribers = Subscribers(self._dialler, self._account, self._agents, arrived)
        self._publishers = Publishers(self._dialler, self._account, self._agents, arrived, settings)

    def stop(self) -> None:
        """Send no more. Tickets under way are still awaited."""
        self._publishers.stop()

    async def run(self) -> Result:
        """Raises BrokerUnreachable or Refused when the streams cannot be opened, UsageError."""
        check_descriptors(
            self._settings.streams + 2 * self._settings.publishers + DESCRIPTORS_BESIDE
        )
        async with BrokerClient(self._client) as client:
            # A trial: the client's Refused has the broker's reason.
            await (await client.stream_agent(self._agents[0], 0)).aclose()
            acknowledging = [
                asyncio.ensure_future(self._publishers.acknowledge())
                for _ in range(self._settings.publishers)
            ]
            try:
                await self._open()
                sending = await self._send()
                await self._drain()
            finally:
                await stop_all(*acknowledging)
                await self._subscribers.aclose()
            lost_pending = await self._tidy_up(client) if self._account.outstanding else 0
        return self._account.close(
            str(self._dialler.address),
            self._settings,
            sending.seconds,
            sending.cpu_percent,
            lost_pending,
            self._publishers.refusal,
        )

    async def _open(self) -> None:
        while self._subscribers.opened < len(self._agents) and not self._publishers.is_over:
            self._on_progress(
                "opening streams", f"{self._subscribers.opened} of {len(self._agents)}"
            )
            await self._subscribers.open_some(OPEN_AT_ONCE)

    async def _send(self) -> LoadSender:
        began, cpu = time.monotonic(), time.process_time()
        timer = asyncio.get_running_loop().call_later(self._settings.seconds, self.stop)
        publishing = [
            asyncio.ensure_future(self._publishers.publish())
            for _ in range(self._settings.publishers)
        ]
        try:
            while not all(each.done() for each in publishing):
                done = f"{time.monotonic() - began:.0f} of {self._settings.seconds} s"
                self._on_progress(
                    "sending",
                    f"{done}, {self._account.posted} sent, {self._account.received} arrived",
                )
                await asyncio.wait(publishing, timeout=STEP)
            for each in publishing:
                each.result()
        finally:
            timer.cancel()
            await stop_all(*publishing)
        seconds = max(time.monotonic() - began, 1e-9)
        return LoadSender(seconds, 100 * (time.process_time() - cpu) / seconds)

    async def _drain(self) -> None:
        """Wait for tickets under way, until nothing has arrived for `drain`."""
        clock, began = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
        while (
            self._account.outstanding
            and clock() < max(began, self._subscribers.last_arrival) + self._settings.drain / 1000
        ):
            self._on_progress("draining", f"{self._account.outstanding} outstanding")
            await asyncio.sleep(LOOK)

    async def _tidy_up(self, client: BrokerClient) -> int:
        """Acknowledge what the broker still holds for our agents.

        Returns how many of these tickets had never arrived.
        """
        lost, found = set(self._account.lost()), 0
        try:
            for number, agent in enumerate(self._agents):
                self._on_progress("tidying up", f"{number} of {len(self._agents)}")
                for ticket in await client.pending(agent):
                    found += (
                        isinstance(ticket.payload, dict) and ticket.payload.get("bench") in lost
                    )
                    await client.acknowledge(ticket.ticket_id)
        except (BrokerUnreachable, Refused) as error:
            self._account.errors[f"tidying up: {error}"] += 1
        return found


def check_descriptors(needed: int) -> None:
    """Raise the soft limit of open files, or raise UsageError if the hard limit is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(
            f"{needed} open files are needed, {hard} are allowed here; "
            f"run `ulimit -n {needed}`, or use fewer --streams"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

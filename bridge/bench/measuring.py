"""One way, measured with real processes in a scene (sandbox) of their own.

    broker ◄── Tap ◄── watchers ──pipes──► Receipts
       ▲                                       │
       └──────────────── POST ─────────────────┘

    start ─► settle ─► idle ─► tickets ─► Measured

Rule 1: in the idle phase no process gets a request from us. The tap's counts and the processes'
CPU clocks are read before and after it.
Rule 2: a latency runs from the moment before a POST is written to the moment at which the
watcher's line with that ticket arrives. Both are read from this process's clock.
Rule 3: a process that ends during the run is an error, not a figure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from bridge.bench.claims import Measured
from bridge.bench.cpu import cpu_seconds
from bridge.bench.figures import latency_of
from bridge.bench.plan import Plan, Send, Way
from bridge.bench.tap import Counts, Tap
from bridge.client.broker import BrokerClient
from bridge.errors import BridgeError
from bridge.sandbox import START_DEADLINE, Sandbox, run_loop, start_broker
from bridge.self_command import own_command
from bridge.settings import ClientSettings

LOOK = 0.05  # seconds between two checks of something that is under way
STEP = 1.0  # seconds between two progress reports
TEXT = "x" * 150  # makes a body of about 200 bytes, as in the push design's benchmark


@dataclass(frozen=True)
class Progress:
    """The progress of a run, for display."""

    way: Way
    phase: str
    done: float = 0.0
    total: float = 0.0  # 0 = unknown


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Measurement:
    """All meters at one moment."""

    at: float
    counts: Counts
    broker_cpu: float
    watchers_cpu: float


def measure(way: Way, plan: Plan, schedule: Sequence[Send], on_progress: OnProgress) -> Measured:
    """Start everything, measure, end everything. Raises BridgeError, KeyboardInterrupt."""
    with Sandbox("bench") as scene, scene.action():
        on_progress(Progress(way, "starting"))
        scene.variables["BRIDGE_RATE_LIMIT"] = "0"
        scene.variables["BRIDGE_SSE_HEARTBEAT"] = str(plan.heartbeat_ms)
        broker, url = start_broker(scene)
        run = Run(scene, way, plan, on_progress, broker, url)
        try:
            return run_loop(scene, run.measure(schedule))
        finally:
            on_progress(Progress(way, "stopping"))
            run.dismiss()


class Run:
    """The watchers of one way, and their measurements. Lives within one scene and one loop."""

    def __init__(
        self,
        scene: Sandbox,
        way: Way,
        plan: Plan,
        on_progress: OnProgress,
        broker: subprocess.Popen[bytes],
        url: str,
    ) -> None:
        self._scene = scene
        self._way = way
        self._plan = plan
        self._on_progress = on_progress
        self._broker = broker
        self._url = url
        self._watchers: list[subprocess.Popen[bytes]] = []
        self._sent_at: dict[int, float] = {}
        self._received_at: dict[int, float] = {}

    async def measure(self, schedule: Sequence[Send]) -> Measured:
        async with contextlib.AsyncExitStack() as owned:
            tap = await owned.enter_async_context(Tap(self._url))
            client = await owned.enter_async_context(
                BrokerClient(ClientSettings(broker_url=self._url))
            )
            await self._start_watchers(tap, owned)
            await self._wait_listening(client)
            await self._pass_time("settling", self._plan.settle_ms / 1000)
            before = self._read(tap)
            await self._pass_time("idle", self._plan.idle_seconds(self._way))
            after = self._read(tap)
            await self._send_all(client, schedule)
            await self._wait_received()
        return self._measured(before, after)

    def dismiss(self) -> None:
        """Terminate all watchers at once. The scene then waits for each."""
        for process in self._watchers:
            if process.poll() is None:
                process.terminate()

    async def _start_watchers(self, tap: Tap, owned: contextlib.AsyncExitStack) -> None:
        self._scene.variables["BRIDGE_BROKER_URL"] = tap.url
        for number, words in enumerate(self._plan.watchers(self._way)):
            read_end, write_end = os.pipe()
            pipe = owned.enter_context(os.fdopen(read_end, "rb", 0))
            try:
                self._watchers.append(
                    self._scene.start(f"watch-{number}", [*own_command(), *words], write_end)
                )
            finally:
                os.close(write_end)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: Receipts(self._receive), pipe
            )
            owned.callback(transport.close)

    async def _wait_listening(self, client: BrokerClient) -> None:
        """Wait until the broker's debug page counts all watchers."""
        deadline = asyncio.get_running_loop().time() + START_DEADLINE
        while True:
            found = await client.connections()
            listening = {
                Way.POLL: found["polling"]["active"],
                Way.LONG_POLL: found["longpoll"]["waiting"],
            }.get(self._way, found["sse"]["active"])
            self._on_progress(Progress(self._way, "connecting", listening, len(self._watchers)))
            if listening >= len(self._watchers):
                return
            self._check_alive()
            if asyncio.get_running_loop().time() > deadline:
                raise BridgeError(
                    f"{listening} of {len(self._watchers)} watchers listen after "
                    f"{START_DEADLINE:.0f} s: {self._scene.last_words('watch-0')}"
                )
            await asyncio.sleep(LOOK)

    async def _pass_time(self, phase: str, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        while clock() < begun + seconds:
            self._on_progress(Progress(self._way, phase, clock() - begun, seconds))
            await asyncio.sleep(min(STEP, max(0.0, begun + seconds - clock())))
        self._check_alive()

    async def _send_all(self, client: BrokerClient, schedule: Sequence[Send]) -> None:
        clock = asyncio.get_running_loop().time
        begun = clock()
        for send in schedule:
            await asyncio.sleep(max(0.0, begun + send.at - clock()))
            self._sent_at[send.number] = clock()
            await client.send(send.agent, {"bench": send.number, "text": TEXT}, expectReply=False)
            self._on_progress(Progress(self._way, "tickets", len(self._received_at), len(schedule)))

    async def _wait_received(self) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._plan.arrival_ms / 1000
        while len(self._received_at) < len(self._sent_at):
            self._check_alive()
            if clock() > deadline:
                arrived = (
                    f"{len(self._received_at)} of {len(self._sent_at)} tickets arrived "
                    f"within {self._plan.arrival_ms} ms"
                )
                raise BridgeError(f"{arrived}: {self._scene.last_words('watch-0')}")
            await asyncio.sleep(LOOK)

    def _receive(self, number: int, at: float) -> None:
        self._received_at.setdefault(number, at)

    def _check_alive(self) -> None:
        names = ["broker", *(f"watch-{number}" for number in range(len(self._watchers)))]
        for name, process in zip(names, [self._broker, *self._watchers]):
            if process.poll() is not None:
                raise BridgeError(
                    f"{name} of the bench ended by itself: {self._scene.last_words(name)}"
                )

    def _read(self, tap: Tap) -> Measurement:
        cpu = (
            cpu_seconds([self._broker.pid]),
            cpu_seconds([process.pid for process in self._watchers]),
        )
        return Measurement(asyncio.get_running_loop().time(), tap.counts, *cpu)

    def _measured(self, before: Measurement, after: Measurement) -> Measured:
        counts = after.counts.since(before.counts)
        return Measured(
            way=self._way,
            processes=len(self._watchers),
            idle_seconds=after.at - before.at,
            requests=counts.requests,
            bytes_up=counts.bytes_up,
            bytes_down=counts.bytes_down,
            broker_cpu_seconds=after.broker_cpu - before.broker_cpu,
            watchers_cpu_seconds=after.watchers_cpu - before.watchers_cpu,
            latency=latency_of(
                self._received_at[number] - at for number, at in self._sent_at.items()
            ),
        )


class Receipts(asyncio.Protocol):
    """The output of one watcher, one ticket a line. Calls `receive` with number and time."""

    def __init__(self, receive: Callable[[int, float], None]) -> None:
        self._receive = receive
        self._held = b""

    def data_received(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        *lines, self._held = (self._held + data).split(b"\n")
        for line in lines:
            self._receive(json.loads(line)["payload"]["bench"], now)

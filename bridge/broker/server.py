"""The broker process: open the store, accept, sweep, and on a signal drain.

    opening ──► serving ──SIGTERM, SIGINT──► draining ──► closed, exit 0
                   └──the store is lost───────►  │  └──────► closed, exit 6 or 9
                                                 └─second signal─► exit at once

Draining: stop accepting, end streams cleanly, answer what waits, let what is
being stored finish (BRIDGE_DRAIN_TIMEOUT), close the store.

listening.py accepts, and hands each transport to a Connection at once. So no
stream reader, no task and no queue is kept per connection.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Callable

from bridge import __version__
from bridge.broker.agent_rows import AgentRows
from bridge.broker.clock import HOLD, Clock, JumpWatch
from bridge.broker.events import Events
from bridge.broker.expiry import Expiry
from bridge.broker.fronts.heartbeats import Heartbeats
from bridge.broker.fronts.held_bytes import HeldBytes
from bridge.broker.fronts.http import Connection
from bridge.broker.fronts.loop_budget import LoopBudget
from bridge.broker.fronts.responses import encode_reply
from bridge.broker.fronts.witness import Witness
from bridge.broker.guard import Guard
from bridge.broker.handlers.agents import abandon, restore
from bridge.broker.handlers.web import read_files
from bridge.broker.hub import Hub
from bridge.broker.journal.base import Kept
from bridge.broker.journal.memory import MemoryJournal
from bridge.broker.journal.sqlite import SqliteJournal
from bridge.broker.ledger import Ledger
from bridge.broker.limits import Bounds, SendLimits
from bridge.broker.listening import ACCEPTS_PER_TURN, Listening
from bridge.broker.metrics import Metrics
from bridge.broker.pace import Pace
from bridge.broker.registry import Registry
from bridge.broker.reply import problem
from bridge.broker.services import Services
from bridge.broker.subscriptions import Subscriptions
from bridge.broker.watchers import Watchers
from bridge.errors import PeerError, UsageError
from bridge.settings import BrokerSettings, default_db
from bridge.systemd import ServiceManager
from bridge.tasks import ACCEPT_TURNS
from bridge.wire.request import Limits, Stage

log = logging.getLogger("bridge.broker")

MEMORY = ":memory:"
# Of the process' limit, at most half of it: the store, the log, the loop, and what is accepted
# and not yet counted.
RESERVED_DESCRIPTORS = 32 + ACCEPTS_PER_TURN * ACCEPT_TURNS
SETTLED = 2.0  # seconds without a request after which a connection gives way to a new one
RECEIVE_BUFFER = 65536  # bytes read at a time
SWEEP_MAX = 1.0  # seconds between sweeps; a quarter of the shortest deadline where that is less
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# (level, option) of SO_KEEPALIVE's probes, where the platform has them: first after 60 s, then 3 at 15 s.
PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))


class Server:
    """Serves from `start` to `stop`. Made on a running loop; opening the store may raise StoreError."""

    def __init__(
        self, settings: BrokerSettings, passed: Sequence[socket.socket] = (), clock: Clock = Clock()
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = Listening(settings, passed)
        settings = self._listening.settings
        self.services = _open_services(settings, clock)
        self.guard = Guard(settings.host, settings.allowed_hosts, settings.allowed_origins)
        self.witness = Witness(self.services.metrics, settings.log_refusals)
        logging.getLogger("asyncio").addFilter(self.witness.may_log)
        self.heartbeats = Heartbeats(self._loop, clock, settings.sse_heartbeat / 1000)
        self.budget = LoopBudget(self._loop, clock)
        self.held = HeldBytes(settings.connection_bytes)
        self.waiting: OrderedDict[Connection, None] = OrderedDict()
        self.limits = Limits(head_max=settings.head_max, body_max=settings.body_max)
        allowed = {
            Stage.IDLE: settings.idle_timeout,
            Stage.HEAD: settings.head_timeout,
            Stage.BODY: settings.body_timeout,
        }
        self.patience: Mapping[Stage, float] = {
            stage: allowed_ms / 1000 for stage, allowed_ms in allowed.items()
        }
        self.receive_buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self.is_draining = False
        self.on_lost: Callable[[], None] = lambda: None  # the store is lost: stop
        self.connections: set[Connection] = set()
        self.timed: set[Connection] = set()
        registry = self.services.registry
        self._expiry = Expiry(
            self.services.ledger, clock, self._loop, settings.stray_ttl, registry.is_served
        )
        self.services.ledger.on_time_to_live = self._expiry.watch
        self._jumps = JumpWatch(clock, _load(self.services).newest_ms)
        self._is_pruning = True
        shortest_ms = min(
            settings.head_timeout,
            settings.body_timeout,
            settings.idle_timeout,
            settings.write_deadline,
        )
        self._sweep_interval = min(SWEEP_MAX, shortest_ms / 4000)
        self._accept_failed_at = float("-inf")
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def start(self) -> str:
        """Listen; return the URL. Raises UsageError when the address cannot be bound."""
        read_files()
        self._expiry.run(most=float("inf"))
        await (
            self.services.journal.flush()
        )  # nobody sees as pending what expired while the broker was down
        self._loop.set_exception_handler(self._on_loop_error)
        try:
            url = await self._listening.open(self._accept)
        except UsageError:
            await self.services.journal.aclose()
            raise
        self._every(self._sweep_interval, "sweep", self._sweep)
        self._prune()
        self._every(self.services.settings.prune_interval / 1000, "prune", self._prune)
        return url

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        free = min(RESERVED_DESCRIPTORS, descriptors // 2)
        room = min(self.services.settings.connections_max, descriptors - free)
        if len(self.connections) >= room and not self._close_idlest():
            detail = f"the broker has {len(self.connections)} connections, as many as it may (BRIDGE_CONNECTIONS_MAX)"
            refusal = problem(
                PeerError(503, detail, {"Retry-After": "5"}, reason="connections_max")
            )
            headers = self.witness.refused(refusal, transport)
            transport.write(
                encode_reply(
                    refusal,
                    int(self.services.clock.wall()),
                    b"Connection: close\r\n",
                    False,
                    headers,
                )
            )
            transport.close()
            return
        _set_probes(writer.get_extra_info("socket"))
        transport.set_write_buffer_limits(high=self.services.settings.sse_outbox)
        transport.set_protocol(Connection(self, writer, self._loop))

    def _close_idlest(self) -> bool:
        """Close the connection that has waited longest for its peer; False when none waits long."""
        while self.waiting:
            connection = next(iter(self.waiting))
            since = connection.waits_since
            if since is not None and self.services.clock.monotonic() - since < SETTLED:
                return False  # and those behind it have waited less
            del self.waiting[connection]
            if since is not None:  # else it is answered now: it comes back at its end
                connection.give_way()
                return True
        return False

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Out of descriptors, the loop tries to accept again in a second; that needs one line, and no stack trace."""
        error = context.get("exception")
        if self.is_draining and "_start_serving" in context["message"]:
            return  # that second try, on the listener that we closed meanwhile
        if not isinstance(error, OSError) or "accept" not in context["message"]:
            # Not the default handler: it shows the callback's arguments, and with them what peers have sent.
            log.error("loop trouble message=%s", context["message"], exc_info=error)
        elif loop.time() - self._accept_failed_at > 1.0:
            self._accept_failed_at = loop.time()
            log.warning("cannot accept error=%s", error.strerror)

    def _every(self, seconds: float, name: str, job: Callable[[], None]) -> None:
        due = self._loop.time() + seconds

        def run() -> None:
            self.services.metrics.loop_lag.observe(max(0.0, self._loop.time() - due))
            job()
            self._every(seconds, name, job)

        self._timers[name] = self._loop.call_later(seconds, run)

    def _sweep(self) -> None:
        self.witness.sweep()
        now = self.services.clock.monotonic()
        for connection in list(self.timed):
            connection.sweep(now)
        self.services.journal.look()
        if self.services.journal.lost() is not None:
            self.on_lost()

    def _prune(self) -> None:
        was_pruning, self._is_pruning = self._is_pruning, self._jumps.is_steady()
        if not self._is_pruning:
            if was_pruning:
                log.info("pruning waits until the clock has been steady seconds=%d", HOLD)
            return
        before_ms = self.services.clock.wall_ms() - self.services.settings.retention * 1000
        self.services.journal.prune(before_ms)
        self.services.ledger.forget(before_ms)

    async def stop(self) -> None:
        """Drain, then close the store."""
        self.is_draining = True
        log.info(
            "draining connections=%d streams=%d",
            len(self.connections),
            self.services.metrics.streams_open,
        )
        await self._listening.close()
        for connection in list(self.connections):
            connection.drain()
        deadline = self._loop.time() + self.services.settings.drain_timeout / 1000
        while self.connections and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
            for connection in list(self.connections):
                connection.drain()
        for timer in self._timers.values():
            timer.cancel()
        self.heartbeats.stop()
        self._expiry.stop()
        await self.services.journal.aclose()
        logging.getLogger("asyncio").removeFilter(self.witness.may_log)
        log.info("stopped pending=%d cut=%d", self.services.hub.pending, len(self.connections))
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)  # the aborted transports close in the loop's next turn


def _open_services(settings: BrokerSettings, clock: Clock) -> Services:
    path = settings.db or default_db()
    journal: SqliteJournal | MemoryJournal = (
        MemoryJournal() if path == MEMORY else SqliteJournal(path)
    )
    hub, metrics = Hub(Pace(clock)), Metrics(settings.metrics_agents)
    bounds = Bounds(
        settings.queue_max, settings.pending_bytes, settings.finished_max, settings.finished_bytes
    )
    ledger = Ledger(journal, hub, clock, metrics, bounds)
    watchers = Watchers(clock, settings.watcher_grace / 1000, 2 * settings.agents_max)
    registry = Registry(hub, settings.agents_max, watchers)
    subscriptions = Subscriptions(hub.polls, settings.agents_max, settings.supervise_max)
    limits = SendLimits(settings.rate_limit)
    rows = AgentRows(registry, hub, clock)
    services = Services(
        settings, clock, journal, hub, ledger, registry, subscriptions, limits, metrics, rows, Events(metrics, rows), clock.monotonic(), watchers
    )  # fmt: skip
    watchers.on_gone = partial(abandon, services)
    return services


def _load(services: Services) -> Kept:
    """Take over what the store kept."""
    kept = services.journal.load(services.clock.wall_ms(), services.clock.monotonic())
    registry = services.registry
    for record in kept.agents:
        restore(services, record)
    services.subscriptions.load(kept.subscriptions)
    for _, agent_id, _ in kept.subscriptions:
        registry.presence(agent_id)
    for entry in kept.pending:
        registry.note_named(entry.agent_id)
        entry.is_stray = not registry.is_served(entry.agent_id)
    services.ledger.load(kept)
    return kept


def _set_probes(peer: socket.socket | None) -> None:
    """Have the kernel find out that a silent peer is gone (tcp(7))."""
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    try:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in PROBES:
            if hasattr(socket, name):
                peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError as error:  # the peer is gone already
        log.debug("keep-alive probes not set error=%s", error)


def calm_collector() -> None:
    """Have the cyclic collector look less often: tickets are no cycles, and a full pass over a large backlog is a pause."""
    gc.freeze()
    gc.set_threshold(20000, 50, 50)


def share_the_interpreter() -> None:
    """Let the thread that writes the store win the interpreter's lock back from a busy loop sooner. It needs it some ten
    times a commit; with Python's 5 ms a send waited for 400 ms beside streams that caught up, with this for 20."""
    sys.setswitchinterval(0.0005)


def raise_descriptor_limit() -> None:
    """A stream is a descriptor, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (ValueError, OSError) as error:  # macOS caps it lower than it says
            log.debug("descriptor limit not raised error=%s", error)


async def serve(
    settings: BrokerSettings,
    ready: Callable[[str], None],
    manager: ServiceManager,
    passed: Sequence[socket.socket],
) -> None:
    """Run a broker until SIGTERM or SIGINT; `ready` is called with its URL.

    Raises UsageError, StoreError and WriterDied.
    """
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()

    def on_signal() -> None:
        stopping.set()
        for number in STOP_SIGNALS:  # the second one ends the process at once, whatever hangs
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    raise_descriptor_limit()
    calm_collector()
    share_the_interpreter()
    server = Server(settings, passed)
    journal = server.services.journal
    server.on_lost = stopping.set
    url = await server.start()
    ready(url)  # first: scripts read the first line
    manager.ready(f"ready on {url}", lambda: journal.lost() is None)
    kept = (
        settings.db or default_db(),
        server.services.hub.pending,
        len(server.services.registry.agents),
    )
    log.info(
        "started version=%s pid=%d url=%s db=%s pending=%d agents=%d",
        __version__,
        os.getpid(),
        url,
        *kept,
    )
    await stopping.wait()
    manager.stopping()
    await server.stop()
    lost = journal.lost()
    if lost is not None:
        raise lost

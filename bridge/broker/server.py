"""The broker process: open the store, accept connections, sweep, and drain on a signal.

    opening ──► serving ──SIGTERM, SIGINT──► draining ──► closed, exit 0
                   └──the store is lost───────►  │  └──────► closed, exit 6 or 9
                                                 └─second signal─► exit at once

Draining: stop accepting, end streams cleanly, answer waiting long-polls, let
writes to the store finish (BRIDGE_DRAIN_TIMEOUT), close the store.

listener.py accepts, and hands each transport to a Connection at once. So a
connection has no stream reader, no task and no queue of its own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from bridge import __version__
from bridge.broker.answers import problem
from bridge.broker.clock import HOLD, Clock, JumpWatch
from bridge.broker.expiry import Expiry
from bridge.broker.fronts.access_log import AccessLog
from bridge.broker.fronts.heartbeats import Heartbeats
from bridge.broker.fronts.held_bytes import HeldBytes
from bridge.broker.fronts.http import HttpConnection
from bridge.broker.fronts.loop_budget import LoopBudget
from bridge.broker.fronts.origin_policy import OriginPolicy
from bridge.broker.fronts.responses import encode_reply
from bridge.broker.fronts.sweep import Sweep
from bridge.broker.handlers.web import read_files
from bridge.broker.listener import ACCEPTS_PER_TURN, Listener
from bridge.broker.opening import open_services, take_over_store
from bridge.broker.tuning import (
    calm_collector,
    raise_descriptor_limit,
    set_probes,
    share_the_interpreter,
)
from bridge.errors import Reason, RequestError, UsageError
from bridge.settings import BrokerSettings, default_db
from bridge.systemd import ServiceManager
from bridge.tasks import ACCEPT_TURNS
from bridge.wire.request import Limits, RequestStage

log = logging.getLogger("bridge.broker")

# Descriptors that connections may not use: for the store, the log, the loop, and connections
# that are accepted and not yet counted. It is at most half of the process' limit.
RESERVED_DESCRIPTORS = 32 + ACCEPTS_PER_TURN * ACCEPT_TURNS
SETTLED = 2.0  # seconds without a request after which a connection gives way to a new one
RECEIVE_BUFFER = 65536  # bytes read at a time
SWEEP_MAX = 1.0  # seconds between sweeps; a quarter of the shortest deadline if that is less
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Server:
    """Serves from `start` to `stop`.

    Make it on a running loop. It opens the store, which may raise StoreError.
    """

    def __init__(
        self, settings: BrokerSettings, passed: Sequence[socket.socket] = (), clock: Clock = Clock()
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = Listener(settings, passed)
        settings = self._listener.settings
        self.services = open_services(settings, clock)
        self.origin_policy = OriginPolicy(
            settings.host, settings.allowed_hosts, settings.allowed_origins
        )
        self.access_log = AccessLog(self.services.metrics, settings.log_refusals)
        logging.getLogger("asyncio").addFilter(self.access_log.may_log)
        self.heartbeats = Heartbeats(self._loop, clock, settings.sse_heartbeat / 1000)
        self.budget = LoopBudget(self._loop, clock)
        self.held = HeldBytes(settings.connection_bytes)
        self.waiting: OrderedDict[HttpConnection, None] = OrderedDict()
        self.limits = Limits(head_max=settings.head_max, body_max=settings.body_max)
        self.stage_timeouts = _stage_timeouts(settings)
        self.receive_buffer = memoryview(bytearray(RECEIVE_BUFFER))
        self.is_draining = False
        # Called when the store is lost: the broker must stop.
        self.on_lost: Callable[[], None] = lambda: None
        self.connections: set[HttpConnection] = set()
        self.timed: set[HttpConnection] = set()
        self._timed_sweep = Sweep(self._loop, clock)
        registry = self.services.registry
        self._expiry = Expiry(
            self.services.ledger, clock, self._loop, settings.stray_ttl, registry.is_served
        )
        self.services.ledger.on_time_to_live = self._expiry.watch
        self._jumps = JumpWatch(clock, take_over_store(self.services).newest_ms)
        self._is_pruning = True
        shortest = min(*self.stage_timeouts.values(), settings.write_deadline / 1000)
        self._sweep_interval = min(SWEEP_MAX, shortest / 4)
        self._accept_failed_at = float("-inf")
        self._timers: dict[str, asyncio.TimerHandle] = {}

    async def start(self) -> str:
        """Listen; return the URL. Raises UsageError when the address cannot be bound."""
        read_files()
        self._expiry.run(most=float("inf"))
        # A ticket that expired while the broker was down must not be seen as pending.
        await self.services.journal.flush()
        self._loop.set_exception_handler(self._on_loop_error)
        try:
            url = await self._listener.open(self._accept)
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
            detail = (
                f"the broker has {len(self.connections)} connections, "
                "as many as it may (BRIDGE_CONNECTIONS_MAX)"
            )
            refusal = problem(RequestError(Reason.CONNECTIONS_MAX, detail, retry_after=5))
            headers = self.access_log.refused(refusal, transport)
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
        set_probes(writer.get_extra_info("socket"))
        transport.set_write_buffer_limits(high=self.services.settings.sse_outbox)
        transport.set_protocol(HttpConnection(self, writer, self._loop))

    def _close_idlest(self) -> bool:
        """Close the connection that has waited longest for its peer; False if none waits long."""
        while self.waiting:
            connection = next(iter(self.waiting))
            since = connection.waits_since
            if since is not None and self.services.clock.monotonic() - since < SETTLED:
                return False  # the next ones have waited less
            del self.waiting[connection]
            # Else it is being answered: `waiting` gets it again after the answer.
            if since is not None:
                connection.give_way()
                return True
        return False

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error of the loop.

        When accept(2) fails for want of descriptors, the loop tries again after a second. That
        needs one line and no stack trace.
        """
        error = context.get("exception")
        if self.is_draining and "_start_serving" in context["message"]:
            return  # the second try, on a listener that is closed by now
        if not isinstance(error, OSError) or "accept" not in context["message"]:
            # Not the loop's default handler: it logs the callback's arguments, which hold what
            # peers have sent.
            log.error("event loop error message=%s", context["message"], exc_info=error)
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
        self.access_log.sweep()
        self._timed_sweep.begin(self.timed)
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
        await self._listener.close()
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
        logging.getLogger("asyncio").removeFilter(self.access_log.may_log)
        log.info("stopped pending=%d cut=%d", self.services.hub.pending, len(self.connections))
        for connection in list(self.connections):
            connection.abort()
        await asyncio.sleep(0)  # the aborted transports close in the loop's next turn


def _stage_timeouts(settings: BrokerSettings) -> Mapping[RequestStage, float]:
    """Seconds that a connection may be in each stage."""
    return {
        RequestStage.IDLE: settings.idle_timeout / 1000,
        RequestStage.HEAD: settings.head_timeout / 1000,
        RequestStage.BODY: settings.body_timeout / 1000,
    }


async def serve(
    settings: BrokerSettings,
    ready: Callable[[str], None],
    manager: ServiceManager,
    passed: Sequence[socket.socket],
) -> None:
    """Run a broker until SIGTERM or SIGINT, and call `ready` with its URL.

    Raises UsageError, StoreError and WriterDied.
    """
    stopping = _stop_signal()
    raise_descriptor_limit()
    calm_collector()
    share_the_interpreter()
    server = Server(settings, passed)
    journal = server.services.journal
    server.on_lost = stopping.set
    url = await server.start()
    ready(url)  # before any log line: scripts read the first line
    manager.ready(f"ready on {url}", lambda: journal.lost() is None)
    log.info(
        "started version=%s pid=%d url=%s db=%s pending=%d agents=%d",
        __version__,
        os.getpid(),
        url,
        settings.db or default_db(),
        server.services.hub.pending,
        len(server.services.registry.agents),
    )
    await stopping.wait()
    manager.stopping()
    await server.stop()
    lost = journal.lost()
    if lost is not None:
        raise lost


def _stop_signal() -> asyncio.Event:
    """Set by the first of the stop signals.

    A second one ends the process at once, even if the drain hangs.
    """
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()

    def on_signal() -> None:
        stopping.set()
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    return stopping

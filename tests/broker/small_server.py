"""A broker without a socket and without a disk.

The modules of the broker are the real ones. The journal is scripted, the time is virtual, and the
transports pass bytes to the protocol without a socket.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from bridge.broker.agent_overview import AgentOverview
from bridge.broker.events import Events
from bridge.broker.expiry import Expiry
from bridge.broker.fronts.access_log import AccessLog
from bridge.broker.fronts.heartbeats import Heartbeats
from bridge.broker.fronts.held_bytes import HeldBytes
from bridge.broker.fronts.http import HttpConnection
from bridge.broker.fronts.loop_budget import LoopBudget
from bridge.broker.fronts.origin_policy import OriginPolicy
from bridge.broker.hub import Hub
from bridge.broker.ledger import Bounds, Ledger
from bridge.broker.limits import SendLimits
from bridge.broker.metrics.counters import Metrics
from bridge.broker.pace import Pace
from bridge.broker.registry import Registry
from bridge.broker.services import Services
from bridge.broker.subscriptions import Subscriptions
from bridge.broker.watchers import Watchers
from bridge.settings import BrokerSettings
from bridge.wire.request import Limits, RequestStage
from broker.seams import ScriptedJournal


def make_services(loop, journal=None, **settings: Any) -> Services:
    rules = BrokerSettings(**{"rate_limit": 0, **settings})
    clock, hub, metrics = loop.clock(), Hub(Pace(loop.clock())), Metrics()
    journal = journal or ScriptedJournal(loop)
    ledger = Ledger(
        journal,
        hub,
        clock,
        metrics,
        Bounds(rules.queue_max, rules.pending_bytes, rules.finished_max),
    )
    watchers = Watchers(clock, rules.watcher_grace / 1000, rules.agents_max)
    registry = Registry(journal, hub, metrics.watcher_series, rules.agents_max, watchers)
    subscriptions = Subscriptions(journal, ledger, hub.polls, rules.agents_max, rules.supervise_max)
    overview = AgentOverview(registry, hub, clock)
    services = Services(
        rules,
        clock,
        journal,
        hub,
        ledger,
        registry,
        subscriptions,
        SendLimits(rules.rate_limit),
        metrics,
        overview,
        Events(metrics, overview),
        clock.monotonic(),
        watchers,
    )
    ledger.on_time_to_live = Expiry(ledger, clock, loop, rules.stray_ttl, registry.is_served).watch
    return services


class SmallServer:
    """What the server provides to a connection (fronts.http.House), with a sweep each second."""

    def __init__(self, loop, **settings: Any) -> None:
        self.loop = loop
        self.services = make_services(loop, **settings)
        self.journal: Any = self.services.journal
        rules = self.services.settings
        self.origin_policy = OriginPolicy("127.0.0.1", rules.allowed_hosts, rules.allowed_origins)
        self.access_log = AccessLog(self.services.metrics, 1000)
        self.heartbeats = Heartbeats(loop, self.services.clock, rules.sse_heartbeat / 1000)
        self.budget = LoopBudget(loop, self.services.clock)
        self.held = HeldBytes(rules.connection_bytes)
        self.waiting: OrderedDict = OrderedDict()
        self.limits = Limits(head_max=rules.head_max, body_max=rules.body_max)
        self.stage_timeouts = {
            RequestStage.IDLE: rules.idle_timeout / 1000,
            RequestStage.HEAD: rules.head_timeout / 1000,
            RequestStage.BODY: rules.body_timeout / 1000,
        }
        self.is_draining = False
        self.receive_buffer = memoryview(bytearray(65536))
        self.timed: set = set()
        self.connections: set = set()
        loop.call_later(1.0, self._sweep)

    def _sweep(self) -> None:
        for connection in list(self.timed):
            connection.sweep(self.loop.time())
        self.loop.call_later(1.0, self._sweep)

    def connect(self, **options: Any) -> FakeTransport:
        return FakeTransport(self, **options)


class FakeTransport:
    """asyncio's transport without a socket. The peer reads everything at once unless `is_stalled`.

    It behaves as asyncio's selector_events does. A full buffer pauses the protocol's writing
    inside `write`. A close waits until the buffer is empty. `connection_lost` runs in a later
    iteration of the loop.
    """

    def __init__(self, server: SmallServer, is_stalled: bool = False) -> None:
        self.loop, self.high = server.loop, server.services.settings.sse_outbox
        self.received = b""  # what the peer has read
        self.buffer = b""
        self.is_stalled = is_stalled
        self.is_lost = self._is_closing = self.has_written_eof = self._is_reading_paused = (
            self._is_writing_paused
        ) = False
        self._unread: list[bytes] = []
        self.transport = self  # Connection takes a StreamWriter; only its transport matters
        self.connection = HttpConnection(server, self, self.loop)

    # -- the peer ---------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes from the peer. While reading is paused they wait, as in the kernel."""
        if self.is_lost or self._is_closing:
            return
        if self._is_reading_paused:
            self._unread.append(data)
        else:
            self._deliver(data)

    def _deliver(self, data: bytes) -> None:
        """Copy as much as fits into the buffer of the BufferedProtocol, as the loop does."""
        while data and not self._is_closing:
            buffer = self.connection.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self.connection.buffer_updated(size)
            data = data[size:]

    def send_eof(self) -> None:
        if not self.is_lost and not self._is_closing and not self.connection.eof_received():
            self.close()

    def read(self, size: int | None = None) -> None:
        """The stalled peer reads `size` bytes, or all."""
        size = len(self.buffer) if size is None else size
        self.received, self.buffer = self.received + self.buffer[:size], self.buffer[size:]
        if self._is_writing_paused and len(self.buffer) <= self.high // 4:
            self._is_writing_paused = False
            self.connection.resume_writing()
        self._flushed()

    # -- asyncio.Transport --------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert not self.has_written_eof
        if self.is_lost or self._is_closing and not self.buffer:
            return
        self.buffer += data
        if not self.is_stalled:
            self.received, self.buffer = self.received + self.buffer, b""
        elif len(self.buffer) > self.high and not self._is_writing_paused:
            self._is_writing_paused = True
            self.connection.pause_writing()

    def write_eof(self) -> None:
        self.has_written_eof = True

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def is_reading(self) -> bool:
        return not self._is_reading_paused and not self._is_closing

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        self._is_reading_paused = False
        self.loop.call_soon(self._read_unread)

    def _read_unread(self) -> None:
        while self._unread and not self._is_reading_paused and not self._is_closing:
            self._deliver(self._unread.pop(0))

    def close(self) -> None:
        self._is_closing = True
        self._flushed()

    def abort(self) -> None:
        assert not self.is_lost, "asyncio's own fails when a lost transport is aborted"
        self._is_closing, self.buffer = True, b""
        self._flushed()

    def _flushed(self) -> None:
        if self._is_closing and not self.buffer and not self.is_lost:
            self.is_lost = True
            self.loop.call_soon(self.connection.connection_lost, None)

"""Open the store, build the services on it, and take over what it kept.

    settings ──► journal ──► hub, ledger, registry, ... ──► Services ──► take_over_store

Rule 1: nothing listens yet, so no request sees a service that is half loaded.
"""

from __future__ import annotations

from functools import partial

from bridge.broker.agent_overview import AgentOverview
from bridge.broker.clock import Clock
from bridge.broker.events import Events
from bridge.broker.hub import Hub
from bridge.broker.journal.base import StoreContents
from bridge.broker.journal.memory import MemoryJournal
from bridge.broker.journal.sqlite import SqliteJournal
from bridge.broker.ledger import Ledger
from bridge.broker.limits import Bounds, SendLimits
from bridge.broker.metrics.counters import Metrics
from bridge.broker.operations import abandon
from bridge.broker.pace import Pace
from bridge.broker.registry import Registry
from bridge.broker.services import Services
from bridge.broker.subscriptions import Subscriptions
from bridge.broker.watchers import Watchers
from bridge.settings import BrokerSettings, default_db

MEMORY = ":memory:"


def open_services(settings: BrokerSettings, clock: Clock) -> Services:
    """Open the store that the settings name. Raises StoreError."""
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
    registry = Registry(journal, hub, metrics.watcher_series, settings.agents_max, watchers)
    subscriptions = Subscriptions(
        journal, ledger, hub.polls, settings.agents_max, settings.supervise_max
    )
    limits = SendLimits(settings.rate_limit)
    overview = AgentOverview(registry, hub, clock)
    services = Services(
        settings, clock, journal, hub, ledger, registry, subscriptions, limits, metrics,
        overview, Events(metrics, overview), clock.monotonic(), watchers,
    )  # fmt: skip
    watchers.on_gone = partial(abandon, services)
    return services


def take_over_store(services: Services) -> StoreContents:
    """Load agents, subscriptions and pending tickets from the store into the services."""
    kept = services.journal.load(services.clock.wall_ms(), services.clock.monotonic())
    registry = services.registry
    registry.load(kept.agents)
    services.subscriptions.load(kept.subscriptions)
    for _, agent_id, _ in kept.subscriptions:
        registry.presence(agent_id)
    for entry in kept.pending:
        registry.note_named(entry.agent_id)
        entry.is_stray = not registry.is_served(entry.agent_id)
    services.ledger.load(kept)
    return kept

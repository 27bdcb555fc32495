"""GET /metrics: the broker's counters as the families of families.py."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable, Iterator

from bridge import __version__
from bridge.broker import families
from bridge.broker.exposition import Family, Number, Sample, choose, exposition, histogram, plain
from bridge.broker.journal.base import SIZE_BOUNDS
from bridge.broker.process import read_process
from bridge.broker.reply import REFUSALS, Answer, Reply
from bridge.broker.reported import OTHER, number
from bridge.broker.services import Services
from bridge.broker.timeline import ACKNOWLEDGED, DELIVERED, INJECTED, STREAMED
from bridge.wire.request import Request

Filled = Iterator[tuple[Family, Iterable[Sample]]]
GAUGED = {
    families.WATCHER_QUEUED: "queued",
    families.WATCHER_CPU: "cpuPercent",
    families.WATCHER_MEMORY: "memoryBytes",
}
COUNTED = {
    families.RECONNECTS: "reconnects",
    families.SESSION_FAILURES: "sessionFailures",
    families.INJECTION_ERRORS: "injectionErrors",
}


def metrics(request: Request, services: Services, name: str) -> Answer:
    content_type = choose(request.fields.get("accept", ""))
    return Reply(
        200,
        exposition(_families(services), content_type).encode(),
        content_type,
        (("Vary", "Accept"),),
    )


def _families(services: Services) -> Filled:
    yield from _tickets(services)
    yield from _connections(services)
    yield from _commits(services)
    yield from _watchers(services)
    yield from _process(services)


def _one(family: Family, value: Number | None) -> tuple[Family, list[Sample]]:
    return family, [] if value is None else [plain(family, value)]


def _tickets(services: Services) -> Filled:
    counted, hub, now = services.metrics, services.hub, services.clock.monotonic()
    line, buckets = counted.timeline, families.LATENCY_BUCKETS
    oldest, waiting = hub.oldest(), hub.oldest(services.registry.is_served)
    yield _one(families.SENT, counted.sent)
    yield _one(families.ACKNOWLEDGED, counted.acknowledged)
    yield _one(families.EXPIRED, counted.expired)
    yield _one(families.DROPPED, counted.dropped)
    yield _one(families.REPLIES, counted.replies)
    yield _one(families.QUEUED, hub.pending)
    yield _one(families.QUEUED_BYTES, hub.pending_bytes)
    yield _one(families.OLDEST, round(max(0.0, now - oldest.accepted_at), 3) if oldest else 0.0)
    yield _one(families.WAITING, round(max(0.0, now - waiting.accepted_at), 3) if waiting else 0.0)
    yield _one(families.STRAYS, counted.strays)
    yield _one(families.STRAY_BYTES, hub.stray_bytes)
    yield families.DELIVERY, histogram(line.total(DELIVERED), buckets)
    yield (
        families.HOP,
        [
            sample
            for hop in (STREAMED, INJECTED, ACKNOWLEDGED)
            for sample in histogram(line.total(hop), buckets, ("hop", hop))
        ],
    )


def _connections(services: Services) -> Filled:
    counted = services.metrics
    yield _one(families.STREAMS, counted.streams_open)
    yield _one(families.STREAMS_OPENED, counted.streams_opened)
    yield _one(families.CATCHUPS, counted.catchups)
    yield _one(families.STREAM_FAILURES, counted.stream_failures)
    yield _one(families.LONGPOLLS, services.longpolls)
    yield _one(families.CONNECTIONS, counted.connections_open)
    tiers = services.registry.tiers(services.clock.monotonic())
    yield (
        families.TIERS,
        [
            plain(families.TIERS, tiers[tier], ("tier", tier))
            for tier in ("sse", "longpoll", "poll")
        ],
    )
    yield _one(families.READERS, len(services.events))
    yield _one(families.MISSED, counted.events_missed)
    yield (
        families.RESPONSES,
        [
            plain(families.RESPONSES, count, ("code", str(code)))
            for code, count in sorted(counted.responses.items())
        ],
    )
    yield (
        families.REFUSALS,
        [
            plain(families.REFUSALS, counted.refusals[reason], ("reason", reason))
            for reason in sorted(REFUSALS)
        ],
    )


def _commits(services: Services) -> Filled:
    commits = services.journal.commits()
    yield _one(families.COMMITS, commits.durations.count)
    yield _one(families.COMMIT_FAILURES, commits.failures)
    yield _one(families.COMMIT_ROWS, int(commits.sizes.total))
    yield _one(families.COMMIT_SECONDS, round(commits.durations.total, 6))
    yield families.COMMIT_DURATION, histogram(commits.durations, families.COMMIT_BUCKETS)
    yield families.COMMIT_SIZE, histogram(commits.sizes, SIZE_BOUNDS)
    yield families.LAG, histogram(services.metrics.loop_lag, families.COMMIT_BUCKETS)


def _watchers(services: Services) -> Filled:
    yield _one(families.AGENTS, len(services.registry.agents))
    for family, field in GAUGED.items():
        yield (
            family,
            [
                plain(family, value, ("agent", name))
                for name, value in _sums(services, field).items()
            ],
        )
    for family, field in COUNTED.items():
        yield (
            family,
            [
                plain(family, value, ("agent", name))
                for name, value in services.metrics.reported.totals[field].items()
            ],
        )


def _sums(services: Services, field: str) -> dict[str, Number]:
    """The latest numbers of the watchers of online agents, by the name of their series.

    A watcher that is gone uses nothing, so it does not count.
    """
    registry, now = services.registry, services.clock.monotonic()
    sums: dict[str, Number] = {OTHER: 0}
    for agent_id, agent in registry.agents.items():
        value = number(registry.report(agent_id), field)
        if value is not None and registry.status(agent, now) == "online":
            name = services.metrics.reported.name(agent_id)
            sums[name] = sums.get(name, 0) + value
    return sums


def _process(services: Services) -> Filled:
    yield _one(families.UPTIME, round(services.clock.monotonic() - services.started_at, 3))
    build = (
        ("version", __version__),
        ("python", platform.python_version()),
        ("sqlite", sqlite3.sqlite_version),
    )
    yield families.BUILD, [plain(families.BUILD, 1, *build)]
    process = read_process()
    yield _one(families.CPU, round(process.cpu_seconds, 6))
    yield _one(families.RESIDENT, process.resident_bytes)
    yield _one(families.VIRTUAL, process.virtual_bytes)
    yield _one(families.DESCRIPTORS, process.descriptors)
    yield _one(families.DESCRIPTORS_MAX, process.descriptors_max)
    yield _one(families.STARTED, process.started_at)

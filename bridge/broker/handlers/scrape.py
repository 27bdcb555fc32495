"""GET /metrics: the broker's counters as the families of definitions.py."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Optional

from bridge import __version__
from bridge.broker.answers import REFUSALS, Answer, Response, Steps
from bridge.broker.call import Call
from bridge.broker.journal.base import SIZE_BOUNDS
from bridge.broker.metrics import definitions
from bridge.broker.metrics.exposition import (
    TEXT,
    Family,
    Number,
    Sample,
    exposition,
    histogram,
    plain,
)
from bridge.broker.metrics.process import read_process
from bridge.broker.metrics.timeline import ACKNOWLEDGE_HOP, DELIVERY_TIME, INJECT_HOP, STREAM_HOP
from bridge.broker.services import Services
from bridge.broker.survey import count_tiers, find_waiting, sum_reports

PART_SIZE = 16384  # characters of a family; some 250 samples
# A family with its samples, or None between two parts of the work.
Filled = Iterator[Optional[tuple[Family, Iterable[Sample]]]]
GAUGED = {
    definitions.WATCHER_QUEUED: "queued",
    definitions.WATCHER_CPU: "cpuPercent",
    definitions.WATCHER_MEMORY: "memoryBytes",
}
COUNTED = {
    definitions.RECONNECTS: "reconnects",
    definitions.SESSION_FAILURES: "sessionFailures",
    definitions.INJECTION_ERRORS: "injectionErrors",
}


def metrics(call: Call) -> Answer:
    return Steps(_exposed(call.services))


def _exposed(services: Services) -> Iterator[Response | None]:
    """A family of 1,000 agents takes 2 ms, so a large family ends a part."""
    families: list[str] = []
    for filled in _families(services):
        if filled is not None:
            families.append(exposition(*filled))
        if filled is None or len(families[-1]) > PART_SIZE:
            yield None
    yield Response(200, "".join(families).encode(), TEXT)


def _families(services: Services) -> Filled:
    yield from _tickets(services)
    yield from _connections(services)
    yield from _commits(services)
    yield from _watchers(services)
    yield from _process(services)


def _one(family: Family, value: Number | None) -> tuple[Family, list[Sample]]:
    return family, [] if value is None else [plain(value)]


def _tickets(services: Services) -> Filled:
    counted, hub, now = services.metrics, services.hub, services.clock.monotonic()
    line, buckets = counted.timeline, definitions.LATENCY_BUCKETS
    waiting = yield from find_waiting(services)
    oldest = hub.oldest()
    yield _one(definitions.SENT, counted.sent)
    yield _one(definitions.ACKNOWLEDGED, counted.acknowledged)
    yield _one(definitions.EXPIRED, counted.expired)
    yield _one(definitions.DROPPED, counted.dropped)
    yield _one(definitions.REPLIES, counted.replies)
    yield _one(definitions.QUEUED, hub.pending)
    yield _one(definitions.QUEUED_BYTES, hub.pending_bytes)
    yield _one(definitions.OLDEST, round(max(0.0, now - oldest.accepted_at), 3) if oldest else 0.0)
    yield _one(
        definitions.WAITING, round(max(0.0, now - waiting.accepted_at), 3) if waiting else 0.0
    )
    yield _one(definitions.STRAYS, counted.strays)
    yield _one(definitions.STRAY_BYTES, hub.stray_bytes)
    yield definitions.DELIVERY, histogram(line.total(DELIVERY_TIME), buckets)
    yield (
        definitions.HOP,
        [
            sample
            for hop in (STREAM_HOP, INJECT_HOP, ACKNOWLEDGE_HOP)
            for sample in histogram(line.total(hop), buckets, ("hop", hop))
        ],
    )


def _connections(services: Services) -> Filled:
    counted = services.metrics
    yield _one(definitions.STREAMS, counted.streams_open)
    yield _one(definitions.STREAMS_OPENED, counted.streams_opened)
    yield _one(definitions.CATCHUPS, counted.catchups)
    yield _one(definitions.STREAM_FAILURES, counted.stream_failures)
    yield _one(definitions.LONGPOLLS, services.longpolls)
    yield _one(definitions.CONNECTIONS, counted.connections_open)
    tiers = yield from count_tiers(services)
    yield (
        definitions.TIERS,
        [plain(tiers.agents[tier], ("tier", tier)) for tier in ("sse", "longpoll", "poll")],
    )
    yield _one(definitions.READERS, len(services.events))
    yield _one(definitions.MISSED, counted.events_missed)
    yield (
        definitions.RESPONSES,
        [plain(count, ("code", str(code))) for code, count in sorted(counted.responses.items())],
    )
    yield (
        definitions.REFUSALS,
        [plain(counted.refusals[reason], ("reason", reason)) for reason in sorted(REFUSALS)],
    )


def _commits(services: Services) -> Filled:
    commits = services.journal.commits()
    yield _one(definitions.COMMITS, commits.durations.count)
    yield _one(definitions.COMMIT_FAILURES, commits.failures)
    yield _one(definitions.COMMIT_ROWS, int(commits.sizes.total))
    yield _one(definitions.COMMIT_SECONDS, round(commits.durations.total, 6))
    yield definitions.COMMIT_DURATION, histogram(commits.durations, definitions.COMMIT_BUCKETS)
    yield definitions.COMMIT_SIZE, histogram(commits.sizes, SIZE_BOUNDS)
    yield definitions.LAG, histogram(services.metrics.loop_lag, definitions.COMMIT_BUCKETS)


def _watchers(services: Services) -> Filled:
    yield _one(definitions.AGENTS, len(services.registry.agents))
    sums = yield from sum_reports(services, GAUGED.values())
    for family, field in GAUGED.items():
        yield family, [plain(value, ("agent", name)) for name, value in sums[field].items()]
    for family, field in COUNTED.items():
        yield (
            family,
            [
                plain(value, ("agent", name))
                for name, value in services.metrics.watcher_series.totals[field].items()
            ],
        )


def _process(services: Services) -> Filled:
    yield _one(definitions.UPTIME, round(services.clock.monotonic() - services.started_at, 3))
    build = (
        ("version", __version__),
        ("python", platform.python_version()),
        ("sqlite", sqlite3.sqlite_version),
    )
    yield definitions.BUILD, [plain(1, *build)]
    process = read_process()
    yield _one(definitions.CPU, round(process.cpu_seconds, 6))
    yield _one(definitions.RESIDENT, process.resident_bytes)
    yield _one(definitions.VIRTUAL, process.virtual_bytes)
    yield _one(definitions.DESCRIPTORS, process.descriptors)
    yield _one(definitions.DESCRIPTORS_MAX, process.descriptors_max)
    yield _one(definitions.STARTED, process.started_at)

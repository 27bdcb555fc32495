"""GET /metrics: the broker's counters as the families of families.py."""

from __future__ import annotations

import platform
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Optional

from bridge import __version__
from bridge.broker import families
from bridge.broker.exposition import (
    Family,
    Number,
    Sample,
    choose,
    ending,
    exposition,
    histogram,
    plain,
)
from bridge.broker.journal.base import SIZE_BOUNDS
from bridge.broker.process import read_process
from bridge.broker.reply import REFUSALS, Answer, Reply, Steps
from bridge.broker.services import Services
from bridge.broker.survey import count_tiers, find_waiting, sum_reports
from bridge.broker.timeline import ACKNOWLEDGED, DELIVERED, INJECTED, STREAMED
from bridge.wire.request import Request

# A family with its samples, or None between two parts of the work.
Filled = Iterator[Optional[tuple[Family, Iterable[Sample]]]]
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
    return Steps(_exposed(services, choose(request.fields.get("accept", ""))))


def _exposed(services: Services, content_type: str) -> Iterator[Reply | None]:
    """A family of 1,000 agents takes 2 ms, so each is a part."""
    told: list[str] = []
    for filled in _families(services):
        if filled is not None:
            told.append(exposition(*filled, content_type))
        yield None
    content = "".join([*told, ending(content_type)])
    yield Reply(200, content.encode(), content_type, (("Vary", "Accept"),))


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
    waiting = yield from find_waiting(services)
    oldest = hub.oldest()
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
    tiers = yield from count_tiers(services)
    yield (
        families.TIERS,
        [
            plain(families.TIERS, tiers.agents[tier], ("tier", tier))
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
    sums = yield from sum_reports(services, GAUGED.values())
    for family, field in GAUGED.items():
        yield family, [plain(family, value, ("agent", name)) for name, value in sums[field].items()]
    for family, field in COUNTED.items():
        yield (
            family,
            [
                plain(family, value, ("agent", name))
                for name, value in services.metrics.reported.totals[field].items()
            ],
        )


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

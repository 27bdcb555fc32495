"""The pauses before the next try, from the settings. Each call begins a new sequence (backoff.py).

reconnect_delays    a request of the watcher's own failed: a connection, a subscription
retry_delays        a ticket's delivery or acknowledgement failed
"""

from __future__ import annotations

from collections.abc import Iterator

from bridge.backoff import full_jitter
from bridge.settings import WatcherSettings

RETRY_BASE = 0.25  # seconds, ceiling of the first pause between two attempts


def reconnect_delays(settings: WatcherSettings) -> Iterator[float]:
    return full_jitter(settings.reconnect_base / 1000, settings.reconnect_max / 1000)


def retry_delays(settings: WatcherSettings) -> Iterator[float]:
    return full_jitter(RETRY_BASE, settings.retry_max / 1000)

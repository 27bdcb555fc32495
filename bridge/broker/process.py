"""This process as Prometheus' clients describe one: CPU, memory, descriptors, start (Linux: proc(5); elsewhere what getrusage(2) says)."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """None: this system does not say."""

    cpu_seconds: float
    descriptors_max: int
    descriptors: int | None = None
    resident_bytes: int | None = None
    virtual_bytes: int | None = None
    started_at: float | None = None  # seconds since the epoch


def read_process() -> Process:
    cpu_seconds = time.process_time()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors_max = limit if limit != resource.RLIM_INFINITY else (1 << 63) - 1
    try:
        # The program's name stands in brackets and may hold anything; after the last one numbers follow, the first is field 3.
        fields = _read("/proc/self/stat").rpartition(")")[2].split()
        descriptors = len(os.listdir("/proc/self/fd"))
        started_at = _booted_at() + int(fields[22 - 3]) / TICKS
        return Process(
            cpu_seconds,
            descriptors_max,
            descriptors,
            int(fields[24 - 3]) * PAGE_BYTES,
            int(fields[23 - 3]),
            started_at,
        )
    except (OSError, ValueError, IndexError):
        return Process(cpu_seconds, descriptors_max)


def _booted_at() -> float:
    """btime of proc(5), which does not move; the clock may."""
    for line in _read("/proc/stat").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("no btime in /proc/stat")


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

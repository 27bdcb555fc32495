"""The process metrics of Prometheus' client libraries: CPU, memory, descriptors, start.

On Linux they come from proc(5). Elsewhere there is only the CPU time and the descriptor limit.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class ProcessUsage:
    """A value is None where the system does not give it."""

    cpu_seconds: float
    descriptors_max: int
    descriptors: int | None = None
    resident_bytes: int | None = None
    virtual_bytes: int | None = None
    started_at: float | None = None  # seconds since the epoch


def read_process() -> ProcessUsage:
    cpu_seconds = time.process_time()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    descriptors_max = limit if limit != resource.RLIM_INFINITY else (1 << 63) - 1
    try:
        # Field 2 is the program's name in parentheses, and may hold any character. Field 3 follows
        # the last parenthesis.
        fields = _read("/proc/self/stat").rpartition(")")[2].split()
        descriptors = len(os.listdir("/proc/self/fd"))
        started_at = _booted_at() + int(fields[22 - 3]) / TICKS
        return ProcessUsage(
            cpu_seconds,
            descriptors_max,
            descriptors,
            int(fields[24 - 3]) * PAGE_BYTES,
            int(fields[23 - 3]),
            started_at,
        )
    except (OSError, ValueError, IndexError):
        return ProcessUsage(cpu_seconds, descriptors_max)


def _booted_at() -> float:
    """btime of proc(5). It does not move when the wall clock is set."""
    for line in _read("/proc/stat").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise ValueError("no btime in /proc/stat")


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()

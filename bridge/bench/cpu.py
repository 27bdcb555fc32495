"""CPU time of another process, all its threads, with a resolution that suits an idle process.

/proc/PID/stat counts ticks of 10 ms, and an idle watcher uses only a few of them in a minute.
Linux has a clock for each process that counts nanoseconds. clock_getcpuclockid(3) computes its
number from the process id, as MAKE_PROCESS_CPUCLOCK in the kernel's posix-timers.h does.
clock_gettime(2) reads it. On other systems ps(1) is run; on macOS its resolution is 10 ms.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable

from bridge.errors import BridgeError

SCHED = 2  # CPUCLOCK_SCHED: time as the scheduler counts it
PS_DEADLINE = 10.0  # seconds


def cpu_seconds(pids: Iterable[int]) -> float:
    """The sum of the processes' CPU time so far. Raises BridgeError when one has ended."""
    return sum(map(_clock if sys.platform == "linux" else _ps, pids))


def _clock(pid: int) -> float:
    try:
        return time.clock_gettime((~pid << 3) | SCHED)
    except OSError:
        raise BridgeError(f"process {pid} ended while it was measured") from None


def _ps(pid: int) -> float:
    asked = subprocess.run(
        ["ps", "-o", "time=", "-p", str(pid)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=PS_DEADLINE,
        check=False,
    )
    text = asked.stdout.decode("ascii", "replace").strip()
    if not text:
        raise BridgeError(f"process {pid} ended while it was measured")
    return parse_time(text)


def parse_time(text: str) -> float:
    """`[[days-]hours:]minutes:seconds[.hundredths]` (ps(1)) in seconds."""
    days, _, clock = text.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part)
    return 86400 * int(days or 0) + seconds

"""The log lines about a store that cannot be written: the first failure, a few more, the end.

While a disk is full every send fails. One line for each would fill the rest of the disk.
"""

from __future__ import annotations

import logging
import time
from typing import Callable

log = logging.getLogger("bridge.broker")

LOG_EVERY = 10.0  # seconds between two lines while commits keep failing


class FailureLog:
    """Called by the writer thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged_at = float("-inf")
        self._began_at = 0.0
        self.failures = 0  # in a row

    def failed(self, rows: int, error: Exception) -> None:
        now = self._clock()
        self._began_at = now if not self.failures else self._began_at
        self.failures += 1
        if self.failures == 1 or now - self._logged_at >= LOG_EVERY:
            self._logged_at = now
            words = str(error) or type(error).__name__
            log.error("commit failed rows=%d failures=%d error=%s", rows, self.failures, words)

    def worked(self) -> None:
        """A commit succeeded. Call it only after failures."""
        log.warning(
            "commits succeed again failures=%d seconds=%.1f",
            self.failures,
            self._clock() - self._began_at,
        )
        self.failures = 0

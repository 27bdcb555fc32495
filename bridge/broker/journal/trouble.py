"""A store that cannot be written, told in few lines: the first failure, then one line now and then, and the end of it.

While a disk is full every send fails, and a line for each would fill what is left of it.
"""

from __future__ import annotations

import logging
import time
from typing import Callable

log = logging.getLogger("bridge.broker")

SAY_EVERY = 10.0  # seconds between two lines about failures that go on


class Trouble:
    """Told of each commit by the writer's thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said_at = float("-inf")
        self._began_at = 0.0
        self.failures = 0  # in a row

    def failed(self, rows: int, error: Exception) -> None:
        now = self._clock()
        self._began_at = now if not self.failures else self._began_at
        self.failures += 1
        if self.failures == 1 or now - self._said_at >= SAY_EVERY:
            self._said_at = now
            words = str(error) or type(error).__name__
            log.error("commit failed rows=%d failures=%d error=%s", rows, self.failures, words)

    def worked(self) -> None:
        """A commit succeeded; to be called when there had been failures."""
        log.warning(
            "commits succeed again failures=%d seconds=%.1f",
            self.failures,
            self._clock() - self._began_at,
        )
        self.failures = 0

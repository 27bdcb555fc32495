"""Work for many connections, in pieces: at most TURN seconds of it in one turn of the loop.

Rule 1: work that needs more than one piece queues itself again, at the end. So each open stream
gets its share. A ticket or a request waits for one turn, and not for all the work.
Rule 2: after a whole TURN the loop pauses this work for as long. The loop then waits in select,
and the writer thread gets the GIL (loop_budget.py, rule 3). Otherwise each send would wait.
Rule 3: a piece does at least one thing, and checks `is_over` after each thing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Callable

from bridge.broker.clock import Clock

TURN = 0.001  # seconds; about 100 writes of a small event

Work = Callable[[], None]


def _call_in(seconds: float, work: Work) -> None:
    loop = asyncio.get_running_loop()
    loop.call_later(seconds, work) if seconds else loop.call_soon(work)


class Pace:
    """The queue of such work: each work once, in order of request."""

    def __init__(self, clock: Clock, call_in: Callable[[float, Work], object] = _call_in) -> None:
        self._clock, self._call_in = clock, call_in
        self._waiting: OrderedDict[Work, None] = OrderedDict()
        self._is_called = False
        self._ends_at = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self) -> None:
        """Begin the time of this turn now."""
        self._ends_at = self._clock.monotonic() + TURN

    # Hot: once per ticket and stream.
    def is_over(self) -> bool:
        return self._clock.monotonic() >= self._ends_at

    def later(self, work: Work) -> None:
        """Call `work` in one of the next turns. Several requests before that make one call."""
        self._waiting.setdefault(work)
        self._call(0)

    def cancel(self, work: Work) -> None:
        self._waiting.pop(work, None)

    def _call(self, seconds: float) -> None:
        if self._waiting and not self._is_called:
            self._is_called = True
            self._call_in(seconds, self._run)

    def _run(self) -> None:
        self._is_called = False
        self.begin()
        rest = 0.0
        try:
            while self._waiting:
                work, _ = self._waiting.popitem(last=False)
                work()
                if self.is_over():
                    rest = TURN
                    break
        finally:  # a failed piece must not stop the others
            self._call(rest)

"""An event loop with virtual time: waiting costs nothing, and each timer fires at its exact time.

When only timers are left, the clock jumps to the next one. When nothing at all is left, the
scenario can never go on, so it fails. Before that the loop waits PATIENCE real seconds for a
thread or a socket; most tests use neither.
"""

from __future__ import annotations

import asyncio
import selectors

from bridge.broker.clock import Clock

PATIENCE = 20.0  # real seconds that a thread or a socket may take to wake the loop
DAY = 86400.0  # virtual seconds that a scenario may take
WALL_AT_START = 1_700_000_000.0  # seconds since the epoch


class VirtualSelector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout=None):
        ready = super().select(0 if timeout is not None else PATIENCE)
        if not ready and timeout is None:
            raise RuntimeError("the scenario waits for an event that cannot come")
        if not ready and timeout > 0:
            self.loop.now += timeout
            if self.loop.now > DAY:
                raise RuntimeError("only timers fire: the scenario waits for an event without end")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0  # seconds; not 0, which code under test may treat as "no time"
        selector = VirtualSelector()
        selector.loop = self
        super().__init__(selector)
        self.failures: list[dict] = []
        self.set_exception_handler(lambda loop, context: self.failures.append(context))

    def time(self) -> float:
        return self.now

    def clock(self) -> Clock:
        """The broker's two clocks, driven by this loop. `wall_offset` shifts the wall clock."""
        return Clock(
            wall=lambda: WALL_AT_START + self.now - 1000.0 + self.wall_offset, monotonic=self.time
        )

    wall_offset = 0.0


def run(scenario):
    """Run the coroutine `scenario(loop)` in virtual time.

    An exception in a callback, which asyncio would only log, fails the test here.
    """
    loop = VirtualLoop()
    asyncio.set_event_loop(None)
    try:
        result = loop.run_until_complete(scenario(loop))
        assert not loop.failures, loop.failures
        return result
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

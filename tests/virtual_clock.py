"""A loop whose time is a number: waiting costs nothing, and every timer fires at its own instant.

Nothing to do until a timer? Then the loop's clock jumps there. Nothing to do at all? Then the
scenario waits for what never comes, and fails. Real threads (none in most tests) are waited for.
"""

from __future__ import annotations

import asyncio
import selectors

from bridge.broker.clock import Clock

PATIENCE = 20.0  # real seconds that a thread or a socket may take
DAY = 86400.0  # virtual seconds that a scenario may take
WALL_AT_START = 1_700_000_000.0  # seconds since the epoch


class VirtualSelector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout=None):
        ready = super().select(0 if timeout is not None else PATIENCE)
        if not ready and timeout is None:
            raise RuntimeError("the scenario waits for what never comes")
        if not ready and timeout > 0:
            self.loop.now += timeout
            if self.loop.now > DAY:
                raise RuntimeError("only timers go round: the scenario waits for what never comes")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0  # seconds; never 0, which code may take for "no time"
        selector = VirtualSelector()
        selector.loop = self
        super().__init__(selector)
        self.failures: list[dict] = []
        self.set_exception_handler(lambda loop, context: self.failures.append(context))

    def time(self) -> float:
        return self.now

    def clock(self) -> Clock:
        """The broker's two clocks, moved by this loop; the wall may be pushed by hand (`wall_offset`)."""
        return Clock(
            wall=lambda: WALL_AT_START + self.now - 1000.0 + self.wall_offset, monotonic=self.time
        )

    wall_offset = 0.0


def run(scenario):
    """Run the coroutine `scenario(loop)` in virtual time; anything that failed in a callback fails here."""
    loop = VirtualLoop()
    asyncio.set_event_loop(None)
    try:
        result = loop.run_until_complete(scenario(loop))
        assert not loop.failures, loop.failures
        return result
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

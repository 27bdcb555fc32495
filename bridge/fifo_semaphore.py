"""A FIFO semaphore: at most so many holders at a time, the others in order of arrival.

asyncio.Semaphore loses a wake-up if a waiter is cancelled in the same moment (bpo-45997,
before 3.10.5 and 3.11). A lost wake-up here is a connection that is never used again.
"""

from __future__ import annotations

import asyncio
from collections import deque


class FifoSemaphore:
    def __init__(self, at_a_time: int) -> None:
        self._free = at_a_time
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def are_free(self) -> bool:
        """Would `async with` continue at once?"""
        return self._free > 0

    async def __aenter__(self) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The turn arrived in the same moment as the cancellation.
                self._pass_on()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # Hand the turn over directly, so that a newcomer cannot overtake the waiters.
                turn.set_result(None)
                return
        self._free += 1

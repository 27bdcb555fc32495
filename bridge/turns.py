"""At most so many at a time; the others in the order in which they came.

asyncio.Semaphore loses a wake-up when a waiter is cancelled in the same moment (bpo-45997, before 3.10.5 and 3.11), and
a lost turn here is a connection that is never used again.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    def __init__(self, at_a_time: int) -> None:
        self._free = at_a_time
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def are_free(self) -> bool:
        """Would a turn be had at once?"""
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
                self._pass_on()  # it became ours in the very moment in which we were told to stop
            raise

    async def __aexit__(self, *_: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(
                    None
                )  # the turn goes from hand to hand: nobody who comes meanwhile is quicker
                return
        self._free += 1

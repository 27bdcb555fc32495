"""Turns: a fair semaphore. Holders never exceed its size, order is FIFO, and no turn is lost."""

from __future__ import annotations

import asyncio
import random

from bridge.fifo_semaphore import FifoSemaphore


def test_holders_stay_within_the_limit_and_come_in_order():
    async def scenario():
        turns, inside, most, order = FifoSemaphore(3), 0, 0, []

        async def job(number):
            nonlocal inside, most
            async with turns:
                inside += 1
                most = max(most, inside)
                order.append(number)
                for _ in range(number % 3):
                    await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*map(job, range(30)))
        assert most == 3 and order == list(range(30))

    asyncio.run(scenario())


def test_no_turn_is_lost_when_waiters_or_holders_are_cancelled():
    """A waiter cancelled in the iteration that granted its turn passes the turn on."""
    chance = random.Random(1)

    async def scenario():
        turns, done = FifoSemaphore(2), 0

        async def job():
            nonlocal done
            async with turns:
                await asyncio.sleep(0)
            done += 1

        for _ in range(200):
            tasks = [asyncio.ensure_future(job()) for _ in range(6)]
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
            for task in chance.sample(tasks, 3):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(2):  # both turns are still there
            await asyncio.wait_for(turns.__aenter__(), 1)
        assert done > 0

    asyncio.run(scenario())

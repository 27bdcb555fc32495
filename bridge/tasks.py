"""Every task has an owner that outlives it, cancels it, and receives its failure.

Python 3.9 has no TaskGroup and no asyncio.timeout. Its wait_for loses a
cancellation that arrives together with the result (bpo-37658), so that a watcher
that must stop would go on for ever. `run_together` and `within` replace them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
# Turns of the loop from accept(2) to the callback of start_server, or to its first step if it is
# a coroutine; and one to spare.
ACCEPT_TURNS = 5
CANCEL_AGAIN = 0.5  # seconds until a task that has not ended is cancelled once more
NEVER = 86400.0  # seconds; for a wait that only an event ends


async def run_together(**jobs: Coroutine[Any, Any, None]) -> None:
    """Run named jobs until the first one ends; stop the rest; raise its error."""
    tasks = [asyncio.ensure_future(job) for job in jobs.values()]
    for task, name in zip(tasks, jobs):
        task.set_name(name)
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await stop_all(*tasks)


async def stop_all(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks, wait until each has ended, and retrieve their errors.

    A task that lost its cancellation (bpo-37658) is cancelled again. If this coroutine is itself
    cancelled meanwhile, it still waits for all tasks and raises CancelledError at the end.
    """
    left, is_cancelled = set(tasks), False
    while left:
        for task in left:
            task.cancel()
        try:
            await asyncio.wait(left, timeout=CANCEL_AGAIN)
        except asyncio.CancelledError:
            is_cancelled = True
        left = {task for task in left if not task.done()}
    for task in tasks:
        if not task.cancelled():
            task.exception()
    if is_cancelled:
        raise asyncio.CancelledError


async def within(seconds: float, awaitable: Awaitable[T]) -> T:
    """The result of `awaitable`, or asyncio.TimeoutError after `seconds`.

    A cancellation always wins.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        done, _ = await asyncio.wait({task}, timeout=max(0.0, seconds))
    except asyncio.CancelledError:
        await stop_all(task)
        raise
    if not done:
        await stop_all(task)
        raise asyncio.TimeoutError
    return task.result()


async def stop_accepting(*servers: asyncio.base_events.Server) -> None:
    """Close the listeners of asyncio.start_server.

    When this returns, each accepted connection has reached its callback. asyncio makes the
    transport of an accepted connection in a task of its own, and that task fails if the listener
    was closed in between. So stop watching the listeners, let those tasks end, and close then.
    """
    for server in servers:
        for listener in server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
    for _ in range(ACCEPT_TURNS):
        await asyncio.sleep(0)
    for server in servers:
        server.close()

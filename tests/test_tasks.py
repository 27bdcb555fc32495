"""Owners of tasks: the first task that ends stops the others, and no cancellation is lost.

No task outlives its owner.
"""

from __future__ import annotations

import asyncio
import socket

import pytest

from bridge.tasks import run_together, stop_accepting, stop_all, within


def test_the_first_task_that_ends_stops_the_others():
    async def scenario():
        ended = []

        async def endless():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("endless")

        async def short():
            await asyncio.sleep(0)

        await run_together(endless=endless(), short=short())
        assert ended == ["endless"]

    asyncio.run(scenario())


def test_the_first_error_is_raised_and_the_other_tasks_are_stopped():
    async def scenario():
        stopped = asyncio.Event()

        async def endless():
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        async def failing():
            raise KeyError("why")

        with pytest.raises(KeyError):
            await run_together(endless=endless(), failing=failing())
        assert stopped.is_set()

    asyncio.run(scenario())


def test_cancelling_the_owner_stops_its_tasks():
    async def scenario():
        running, stopped = asyncio.Event(), asyncio.Event()

        async def endless():
            running.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        owner = asyncio.ensure_future(run_together(only=endless()))
        await running.wait()
        await stop_all(owner)
        assert owner.cancelled() and stopped.is_set()

    asyncio.run(scenario())


def test_within_returns_the_result_or_raises_the_error_or_the_timeout():
    async def scenario():
        async def answer():
            return 42

        async def fail():
            raise OSError("broken")

        assert await within(5, answer()) == 42
        with pytest.raises(OSError):
            await within(5, fail())
        with pytest.raises(asyncio.TimeoutError):
            await within(0.01, asyncio.Event().wait())

    asyncio.run(scenario())


def test_a_cancellation_in_the_same_iteration_as_the_result_is_not_lost():
    """bpo-37658: wait_for of 3.9 to 3.11 returns the result and drops the cancellation."""

    async def scenario():
        result = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(within(5, result))
        await asyncio.sleep(0)
        result.set_result(None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    asyncio.run(scenario())


def test_a_task_that_lost_its_cancellation_is_cancelled_again():
    """asyncio.wait_for of 3.9 to 3.11 loses it if the result arrives in the same iteration."""

    async def scenario():
        async def deaf_once():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()

        task = asyncio.ensure_future(deaf_once())
        await asyncio.sleep(0)
        await stop_all(task)
        assert task.cancelled()

    asyncio.run(scenario())


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_accepted_while_the_listener_closes_reaches_its_callback(turns):
    async def scenario():
        troubles, served = [], []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: troubles.append(context["message"])
        )

        async def serve(reader, writer):
            served.append(writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        # The kernel completes the handshake; the server has not called accept(2) yet.
        with socket.create_connection(server.sockets[0].getsockname()):
            for _ in range(turns):
                await asyncio.sleep(0)
            await stop_accepting(server)
            # The first loop iteration only reports that the listener is readable.
            assert (len(served), troubles) == (int(turns > 1), [])
            for writer in served:
                writer.close()
            await asyncio.sleep(0)

    asyncio.run(scenario())

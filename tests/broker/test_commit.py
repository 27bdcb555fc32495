"""A commit reports its group's outcome to each callback and awaiter, once and in order.

A callback that fails or an awaiter that is cancelled does not affect the others.
"""

from __future__ import annotations

import asyncio

import pytest

from bridge.broker.journal.base import Commit
from bridge.errors import StoreBusy


@pytest.mark.parametrize("error", [None, StoreBusy("disk full")])
def test_callbacks_run_at_once_in_the_order_of_their_registration(error):
    async def scenario():
        commit, seen = Commit(asyncio.get_running_loop()), []
        for number in range(5):
            commit.add_done_callback(
                lambda settled, number=number: seen.append((number, settled.result()))
            )
        assert seen == []
        commit.set_result(error)
        assert seen == [(number, error) for number in range(5)]

    asyncio.run(scenario())


def test_a_callback_on_a_settled_commit_runs_in_the_next_iteration():
    """A peer may pipeline a thousand repeats of one send. Their responses must not nest."""

    async def scenario():
        commit, seen = Commit(asyncio.get_running_loop()), []
        commit.set_result(None)
        commit.add_done_callback(seen.append)
        assert seen == []
        await asyncio.sleep(0)
        assert seen == [commit]

    asyncio.run(scenario())


def test_a_callback_that_fails_is_reported_and_the_others_run():
    async def scenario():
        loop, seen, failures = asyncio.get_running_loop(), [], []
        loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
        commit = Commit(loop)

        def fail(settled):
            raise ZeroDivisionError

        commit.add_done_callback(seen.append)
        commit.add_done_callback(fail)
        commit.add_done_callback(seen.append)
        commit.set_result(None)
        assert seen == [commit, commit] and [type(failure) for failure in failures] == [
            ZeroDivisionError
        ]

    asyncio.run(scenario())


def test_one_of_many_awaiters_may_be_cancelled():
    async def scenario():
        commit, error = Commit(asyncio.get_running_loop()), StoreBusy("no")

        async def ask():
            return await commit

        early = [asyncio.ensure_future(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        early[1].cancel()
        await asyncio.sleep(0)
        commit.set_result(error)
        assert await early[0] is error and await early[2] is error and await commit is error
        assert early[1].cancelled()

    asyncio.run(scenario())

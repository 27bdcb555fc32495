"""inotify events for writes to a terminal: each waiter wakes at once, and only for such a write."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
import tty

import pytest
from panes import PATIENCE, run

from bridge.tmux.readiness.tty_events import Activity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify(7) is Linux's")


@pytest.fixture
def terminal():
    """(the master side, which an emulator holds; the slave side, for a program; its name)."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, slave, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def scenario():
    """Run a coroutine function with an Activity that is closed afterwards."""

    def start(body):
        async def main():
            activity = Activity()
            try:
                await body(activity)
            finally:
                activity.close()

        run(main())

    return start


def test_a_write_of_the_program_wakes_the_waiter_and_a_key_does_not(terminal, scenario):
    master, slave, name = terminal

    async def body(activity):
        armed = activity.arm(name)
        os.write(master, b"keys of a person, or ours")
        await asyncio.sleep(0)
        os.write(slave, b"x")
        await asyncio.wait_for(armed, PATIENCE)
        quiet = activity.arm(name)
        os.write(master, b"more keys")
        assert not await activity.wait_stir(quiet, name, 0.05, 0.01)

    scenario(body)


def test_a_write_after_arming_is_not_missed(terminal, scenario):
    _, slave, name = terminal

    async def body(activity):
        for _ in range(50):
            armed = activity.arm(name)
            os.write(slave, b"x")
            assert await activity.wait_stir(armed, name, PATIENCE, 0.0)

    scenario(body)


def test_a_write_wakes_all_waiters_of_its_terminal_and_no_others(terminal, scenario):
    _, slave, name = terminal
    other = pty.openpty()

    async def body(activity):
        first, second, elsewhere = (
            activity.arm(name),
            activity.arm(name),
            activity.arm(os.ttyname(other[1])),
        )
        os.write(slave, b"x")
        await asyncio.wait_for(
            asyncio.gather(asyncio.shield(first), asyncio.shield(second)), PATIENCE
        )
        assert not elsewhere.done()

    scenario(body)
    for descriptor in other:
        os.close(descriptor)


def test_a_flood_of_output_costs_one_event_and_waits_until_the_deadline_only(terminal, scenario):
    master, slave, name = terminal

    async def body(activity):
        armed = activity.arm(name)
        flood = asyncio.ensure_future(write_on())
        assert await activity.wait_stir(armed, name, 0.2, 0.05)
        assert len(activity._armed) <= 1
        flood.cancel()
        await asyncio.wait([flood])

    async def write_on():
        while True:
            os.write(slave, b"x" * 100)
            os.read(master, 4096)
            await asyncio.sleep(0.001)

    scenario(body)


def test_without_a_terminal_or_inotify_the_wait_is_a_plain_pause(scenario):
    async def body(activity):
        assert activity.arm("/nonexistent/tty") is None
        assert not await activity.wait_stir(None, "/nonexistent/tty", 0.01, 0.01)
        activity.close()
        assert activity.arm("/dev/tty") is None
        activity.close()

    scenario(body)

"""inotify events for writes to a terminal: each waiter wakes at once, and only for such a write."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
import tty

import pytest
from panes import PATIENCE, run

from bridge.tmux.readiness.tty_events import TtyEvents

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
    """Run a coroutine function with a TtyEvents that is closed afterwards."""

    def start(body):
        async def main():
            tty_events = TtyEvents()
            try:
                await body(tty_events)
            finally:
                tty_events.close()

        run(main())

    return start


def test_a_write_of_the_program_wakes_the_waiter_and_a_key_does_not(terminal, scenario):
    master, slave, name = terminal

    async def body(tty_events):
        armed = tty_events.arm(name)
        os.write(master, b"keys of a person, or ours")
        await asyncio.sleep(0)
        os.write(slave, b"x")
        await asyncio.wait_for(armed, PATIENCE)
        quiet = tty_events.arm(name)
        os.write(master, b"more keys")
        assert not await tty_events.wait_stir(quiet, name, 0.05, 0.01)

    scenario(body)


def test_a_write_after_arming_is_not_missed(terminal, scenario):
    _, slave, name = terminal

    async def body(tty_events):
        for _ in range(50):
            armed = tty_events.arm(name)
            os.write(slave, b"x")
            assert await tty_events.wait_stir(armed, name, PATIENCE, 0.0)

    scenario(body)


def test_a_write_wakes_all_waiters_of_its_terminal_and_no_others(terminal, scenario):
    _, slave, name = terminal
    other = pty.openpty()

    async def body(tty_events):
        first, second, elsewhere = (
            tty_events.arm(name),
            tty_events.arm(name),
            tty_events.arm(os.ttyname(other[1])),
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

    async def body(tty_events):
        armed = tty_events.arm(name)
        flood = asyncio.ensure_future(write_on())
        assert await tty_events.wait_stir(armed, name, 0.2, 0.05)
        assert len(tty_events._armed) <= 1
        flood.cancel()
        await asyncio.wait([flood])

    async def write_on():
        while True:
            os.write(slave, b"x" * 100)
            os.read(master, 4096)
            await asyncio.sleep(0.001)

    scenario(body)


def test_without_a_terminal_or_inotify_the_wait_is_a_plain_pause(scenario):
    async def body(tty_events):
        assert tty_events.arm("/nonexistent/tty") is None
        assert not await tty_events.wait_stir(None, "/nonexistent/tty", 0.01, 0.01)
        tty_events.close()
        assert tty_events.arm("/dev/tty") is None
        tty_events.close()

    scenario(body)

"""A private tmux server for each test module, and a time limit for each test."""

from __future__ import annotations

import signal

import pytest
from panes import Server

from bridge.tmux.readiness import terminal, tty_events

LONGEST = 180.0  # seconds a test may take; enough on a machine with twenty times its load
AGAIN = 20.0  # seconds between repeated alarms, in case the cleanup of the test hangs too


@pytest.fixture(autouse=True)
def bound():
    """Fail a test that hangs, at the line where it hangs.

    asyncio.run() waits without a limit for its tasks and threads to end.
    """

    def bark(*_: object) -> None:
        raise AssertionError(f"the test took longer than {LONGEST:g} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, LONGEST, AGAIN)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    yield started
    started.stop()


@pytest.fixture
def own(tmp_path):
    """A tmux server for one test only."""
    started = Server(tmp_path)
    yield started
    started.stop()


@pytest.fixture(params=["proc", "ps"])
def told_by(request, monkeypatch):
    """Run a test twice: with /proc and inotify, and without them, as on macOS.

    Has the effect of BRIDGE_TEST_NO_PROC and BRIDGE_TEST_NO_INOTIFY inside this process.
    """
    if request.param == "ps":
        monkeypatch.setattr(terminal, "HAS_PROC", False)
        monkeypatch.setattr(tty_events, "HAS_INOTIFY", False)
    return request.param

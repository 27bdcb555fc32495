"""A private tmux server for each test module; and a bound on each test, whatever it waits for."""

from __future__ import annotations

import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from panes import Server

from bridge.tmux import activity, terminal

LONGEST = (
    180.0  # seconds that a test may take on a machine with twenty times more to do than it can
)
AGAIN = 20.0  # seconds until what hangs while the test is being ended is told once more


@pytest.fixture(autouse=True)
def bound():
    """A test that hangs fails where it hangs, instead of holding up the run: asyncio's own end has no bound."""

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
    """A server for one test alone."""
    started = Server(tmp_path)
    yield started
    started.stop()


@pytest.fixture(params=["proc", "ps"])
def told_by(request, monkeypatch):
    """Also as macOS has it: BRIDGE_TEST_NO_PROC and BRIDGE_TEST_NO_INOTIFY, in this process."""
    if request.param == "ps":
        monkeypatch.setattr(terminal, "HAS_PROC", False)
        monkeypatch.setattr(activity, "HAS_INOTIFY", False)
    return request.param

"""Fixtures for real agents in real panes: one broker, one tmux server, a Seat for each module."""

from __future__ import annotations

import pathlib
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tmux")]

from panes import Server  # noqa: E402
from programs import PROGRAMS  # noqa: E402
from running import Broker, package_launcher  # noqa: E402
from stage import Seat  # noqa: E402

LONGEST = 240.0  # seconds that a test may take on a busy machine


@pytest.fixture(autouse=True)
def bound():
    """Fail a test that hangs, at the line where it hangs."""

    def bark(*_: object) -> None:
        raise AssertionError(f"the test took longer than {LONGEST:g} s")

    before = signal.signal(signal.SIGALRM, bark)
    signal.setitimer(signal.ITIMER_REAL, LONGEST, 20.0)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def real_broker(tmp_path_factory):
    store = tmp_path_factory.mktemp("store") / "bridge.db"
    with Broker(package_launcher(), store, BRIDGE_RATE_LIMIT=0) as running:
        yield running


@pytest.fixture(scope="session")
def agents_server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("tmux"))
    yield started
    started.stop()


@pytest.fixture
def seats(agents_server, real_broker, tmp_path_factory):
    """seats(name): open an agent for one test only."""
    opened = []

    def sit(name: str) -> Seat:
        seat = Seat(PROGRAMS[name], agents_server, real_broker, tmp_path_factory.mktemp(name))
        opened.append(seat)
        return seat

    yield sit
    for seat in opened:
        seat.close()


class Shared:
    """A seat that the tests of a module share; after a failed test the next one gets a new seat."""

    def __init__(self, make) -> None:
        self._make, self.seat = make, None

    def take(self, name: str) -> Seat:
        if self.seat is not None and self.seat.program.name != name:
            self.drop()
        if self.seat is None:
            self.seat = self._make(name)
            self.seat.open()
            self.seat.watch()
        return self.seat

    def drop(self) -> None:
        if self.seat is not None:
            self.seat.close()
        self.seat = None


@pytest.fixture(scope="module")
def shared(agents_server, real_broker, tmp_path_factory):
    def make(name: str) -> Seat:
        return Seat(PROGRAMS[name], agents_server, real_broker, tmp_path_factory.mktemp(name))

    holder = Shared(make)
    yield holder
    holder.drop()


@pytest.fixture
def seat(request, shared, name):
    """The module's agent: idle, without pending tickets."""
    before = request.session.testsfailed
    seat = shared.take(name)
    yield seat
    if request.session.testsfailed > before or not _is_calm(seat):
        shared.drop()


def _is_calm(seat: Seat) -> bool:
    try:
        seat.wait_empty()
    except AssertionError:
        return False
    return not seat.broker.pending(seat.name)


def pytest_generate_tests(metafunc):
    """Run each test for each agent; skip agents that are not installed, with the reason."""
    marked = [str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")]
    if "name" in metafunc.fixturenames and not any("name" in words for words in marked):
        rows = [
            pytest.param(
                name, marks=[pytest.mark.skipif(bool(row.missing()), reason=row.missing())]
            )
            for name, row in PROGRAMS.items()
        ]
        metafunc.parametrize("name", rows)


def pytest_collection_modifyitems(items):
    """Group the tests of a module by agent, so that each agent starts once for a module.

    pytest itself groups by the number of a parameter. The names of two tests have different ones.
    """
    order = list(PROGRAMS)
    places = [at for at, item in enumerate(items) if item.path.parent == HERE]
    ours = [items[at] for at in places]
    modules = list(dict.fromkeys(item.path for item in ours))

    def rank(item) -> tuple[int, int]:
        return modules.index(item.path), order.index(item.callspec.params["name"])

    for at, item in zip(places, sorted(ours, key=rank)):
        items[at] = item

"""Fixtures for every folder: brokers started from the package and from the one-file program."""

from __future__ import annotations

import asyncio.constants
import subprocess
import sys

import hypothesis
import pytest
from running import ROOT, Broker, environment, package_launcher

# Other folders too use the tmux server, the panes and the persons of tests/tmux.
sys.path.insert(0, str(ROOT / "tests" / "tmux"))

# With -X dev asyncio keeps a stack for each callback and each future, to name its origin in a
# message. Two frames name it. Ten, the default, take a quarter of the time of a test with a loop.
asyncio.constants.DEBUG_STACK_DEPTH = 2

# No deadline for one example: on two shared cores a slow example is no evidence about the code.
# 60 examples keep the default run short; a test that needs more asks for them.
hypothesis.settings.register_profile(
    "house", deadline=None, max_examples=60, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> str:
    """bridge.pyz, packed once from this source."""
    path = str(tmp_path_factory.mktemp("program") / "bridge.pyz")
    subprocess.run(
        [*package_launcher(), "pack", path],
        check=True,
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    return path


@pytest.fixture(scope="session", params=["package", "pyz"])
def launcher(request) -> list[str]:
    """The command that starts bridge, in both forms.

    The one-file program must not see the package beside it, so `broker` clears its PYTHONPATH.
    """
    if request.param == "package":
        return package_launcher()
    return [sys.executable, "-X", "dev", "-W", "error", request.getfixturevalue("program")]


@pytest.fixture(scope="session")
def broker(launcher, tmp_path_factory):
    """One broker for the whole run. Tests share it, so each uses agent names of its own."""
    folder = tmp_path_factory.mktemp("store")
    settings = {"PYTHONPATH": ""} if launcher[-1].endswith(".pyz") else {}
    with Broker(
        launcher, folder / "bridge.db", cwd=str(folder) if settings else None, **settings
    ) as running:
        yield running


@pytest.fixture
def start(tmp_path):
    """Start further brokers from the package: start(db=..., BRIDGE_QUEUE_MAX=3, ...).

    Each one is stopped and checked at the end of the test.
    """
    running = []

    def starter(db=None, flags=(), limits=None, strict=True, **settings) -> Broker:
        started = Broker(
            package_launcher(strict), db or tmp_path / "bridge.db", flags=flags, **settings
        )
        running.append(started)
        return started.start(limits)

    yield starter
    for started in running:
        if started.process is not None and started.process.poll() is None:
            started.stop()

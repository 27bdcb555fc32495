"""Fixtures that every folder may use: brokers, from the package and from the one-file program."""

from __future__ import annotations

import subprocess
import sys

import hypothesis
import pytest
from running import ROOT, Broker, environment, package_launcher

# Two shared cores: a slow example says nothing about the code, so no deadline; few examples by default.
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
    """How to start bridge, both ways; the one-file program must not see the package beside it."""
    if request.param == "package":
        return package_launcher()
    return [sys.executable, "-X", "dev", "-W", "error", request.getfixturevalue("program")]


@pytest.fixture(scope="session")
def broker(launcher, tmp_path_factory):
    """One broker for the whole run: tests share it by having agents of their own."""
    folder = tmp_path_factory.mktemp("store")
    settings = {"PYTHONPATH": ""} if launcher[-1].endswith(".pyz") else {}
    with Broker(
        launcher, folder / "bridge.db", cwd=str(folder) if settings else None, **settings
    ) as running:
        yield running


@pytest.fixture
def start(tmp_path):
    """Start further brokers from the package: start(db=..., BRIDGE_QUEUE_MAX=3, ...); each is stopped and checked in the end."""
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

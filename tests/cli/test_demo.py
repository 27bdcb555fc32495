"""`demo` delivers its tickets, and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from running import environment, package_launcher

ROW = re.compile(r"^\d  \S+  accepted → injected +(\d+) ms  ", re.MULTILINE)


@pytest.fixture
def demo(play):
    return lambda launcher=package_launcher(), flags=(), path=None: play(
        "demo", *flags, launcher=launcher, path=path
    )


def test_demo_in_a_pane(demo, launcher):
    status, out, err = demo(launcher).finish()
    assert (status, err) == (0, ""), (status, out, err)
    assert len(ROW.findall(out)) == 5 and "5 of 5 tickets arrived" in out
    shown = out[out.index("what the pane shows:") :]
    for text in (
        "$(echo this would be executed)",
        "three lines",
        '"task": "JSON is welcome too"',
        "ünïcödé ☃ as it is",
    ):
        assert text in shown, shown
    assert "not found" not in shown and "Traceback" not in shown


def test_demo_without_tmux(demo, tmp_path_factory):
    status, out, err = demo(path=str(tmp_path_factory.mktemp("empty"))).finish()
    assert (status, err) == (0, "")
    assert "tmux is not installed here" in out and len(ROW.findall(out)) == 5


@pytest.mark.parametrize(
    "number, moment",
    [
        (signal.SIGINT, " broker "),
        (signal.SIGTERM, "tmux"),
        (signal.SIGHUP, " watch "),
        (signal.SIGINT, " send "),
        (signal.SIGTERM, " show "),
    ],
)
def test_demo_interrupted(demo, number, moment):
    running = demo()
    running.wait_for(moment)
    running.process.send_signal(number)
    status, _, err = running.finish()
    assert status == 130 and "Traceback" not in err


@pytest.mark.parametrize("moment", [" broker ", " watch ", " send "])
def test_demo_interrupted_twice(demo, moment):
    running = demo()
    running.wait_for(moment)
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)
    assert running.finish()[0] == 130


def test_demo_interrupted_until_it_has_ended(demo):
    """Ctrl-C again and again. The cleanup is complete, and the status is the same."""
    running = demo()
    running.wait_for(" broker ")
    while running.process.poll() is None:
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.001)
    status, _, err = running.finish()
    assert status == 130 and "Traceback" not in err


@pytest.mark.parametrize("victim", [" broker ", " watch ", "tmux"])
def test_demo_that_fails(demo, victim):
    """One of its processes dies. The status is not 0, and nothing is left behind."""
    running = demo()
    running.wait_for(" watch ")
    os.kill(running.wait_for(victim), signal.SIGKILL)
    if victim != " broker ":
        # Its deadline for a ticket is 30 s, which is too long for a test.
        running.process.send_signal(signal.SIGTERM)
    status, _, err = running.finish()
    assert status != 0 and "Traceback" not in err


def test_the_users_settings_have_no_effect(tmp_path):
    """The demo uses neither the user's broker nor store nor limits."""
    mine = {
        "BRIDGE_BROKER_URL": "http://127.0.0.1:1",
        "BRIDGE_DB": tmp_path / "mine.db",
        "BRIDGE_QUEUE_MAX": 1,
        "DISABLE_SSE": "maybe",
        "BRIDGE_HOST": "no.such.host.invalid",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", "--print"],
        env=environment(**mine),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert (ended.returncode, ended.stderr) == (0, "") and "5 of 5" in ended.stdout, ended
    assert (
        "what the watcher printed:" in ended.stdout and "tmux is not installed" not in ended.stdout
    )
    assert not (tmp_path / "mine.db").exists()

"""sd_notify(3): READY=1, WATCHDOG=1 and STOPPING=1 reach the service manager."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import pytest
from raw_http import PATIENCE
from running import ROOT, Broker, environment, package_launcher, wait_until
from service import Manager, refusal

from bridge.systemd import ServiceManager

WATCHDOG = 200_000  # microseconds
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    with Manager(
        str(tmp_path / "notify") if request.param == "path" else f"@bridge-test-{os.getpid()}"
    ) as listening:
        yield listening


def test_a_broker_notifies_ready_watchdog_and_stopping(manager, start):
    broker = start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=WATCHDOG)
    assert manager.hear() == ["READY=1", f"STATUS=ready on {broker.url}"]
    assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3
    broker.stop()
    manager.hear_until("STOPPING=1")
    assert manager.said[-1] == "STOPPING=1\nSTATUS=stopping"


def test_a_blocked_event_loop_feeds_no_watchdog(tmp_path):
    """This scenario blocks its loop: it waits synchronously for the loop's own WATCHDOG=1."""

    async def scenario():
        ServiceManager(listening.address, WATCHDOG / 1e6).ready("here")
        while "WATCHDOG=1" not in listening.said:
            await asyncio.sleep(0.01)
            listening.hear_all()
        hung, listening.said = not listening.hears_within(3 * WATCHDOG / 1e6), []
        while "WATCHDOG=1" not in listening.said:
            await asyncio.sleep(0.01)
            listening.hear_all()
        return hung

    with Manager(str(tmp_path / "notify")) as listening:
        assert asyncio.run(scenario())


def test_an_unhealthy_service_feeds_no_watchdog(tmp_path):
    async def scenario():
        well = [True, True, False, False, True]
        ServiceManager(listening.address, WATCHDOG / 1e6).ready("here", lambda: well.pop(0))
        for _ in range(500):  # a bound, so that a missing call fails the test instead of hanging
            await asyncio.sleep(0.01 if well else 0)

    with Manager(str(tmp_path / "notify")) as listening:
        asyncio.run(scenario())
        listening.hear_all()
        assert listening.said == ["READY=1\nSTATUS=here"] + ["WATCHDOG=1"] * 3


def test_a_long_drain_feeds_the_watchdog(tmp_path, start):
    with Manager(str(tmp_path / "notify")) as manager:
        broker = start(
            NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=WATCHDOG, BRIDGE_DRAIN_TIMEOUT=20000
        )
        with broker.line() as line:
            line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
            assert broker.ask("GET", "/health").status == 200
            broker.signal(signal.SIGTERM)
            manager.hear_until("STOPPING=1")
            assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3
            line.send(b'"payload":1}')
            assert line.read_answer().status == 202
        assert broker.wait() == 0


def test_a_broker_that_has_lost_its_store_feeds_no_watchdog(tmp_path, start):
    with Manager(str(tmp_path / "notify")) as manager:
        told = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": WATCHDOG}
        broker = start(BRIDGE_DRAIN_TIMEOUT=1000, **told)
        with broker.line() as line:
            line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
            assert broker.ask("GET", "/health").status == 200
            os.unlink(broker.db)
            manager.hear_until("STOPPING=1")
            manager.said.clear()
            assert broker.wait() == 6, "after a drain of a second"
        manager.hear_all()
        assert "WATCHDOG=1" not in manager.said


@pytest.mark.parametrize(
    "words, status",
    [
        (["watch", "lucy", "--print"], f"STATUS=watching for lucy at {NOBODY}"),
        (
            ["supervise", "lucy", "--print", "--name", "box"],
            f"STATUS=supervising as box at {NOBODY}",
        ),
    ],
    ids=["watch", "supervise"],
)
def test_a_watcher_and_a_supervisor_notify_too(manager, words, status):
    command = [*package_launcher(), *words, "--broker-url", NOBODY]
    given = environment(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=WATCHDOG)
    with subprocess.Popen(
        command,
        env=given,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as watcher:
        try:
            assert manager.hear() == ["READY=1", status], (
                "the service is ready even while its broker is unreachable"
            )
            manager.hear_until("WATCHDOG=1")
        finally:
            watcher.terminate()
        manager.hear_until("STOPPING=1")
        said = watcher.stderr.read()
        assert watcher.wait(PATIENCE) == 0 and "Traceback" not in said, said


def test_the_command_of_exec_inherits_no_variable_of_the_service_manager(tmp_path, start):
    """Otherwise it could notify as the watcher, or take over descriptors of another process."""
    broker, seen = start(), tmp_path / "seen"
    broker.send("lucy", "look around")
    with Manager(str(tmp_path / "notify")) as manager:
        command = [
            *package_launcher(),
            "watch",
            "lucy",
            "--exec",
            f"env > {seen}.new && mv {seen}.new {seen}",
            "--broker-url",
            broker.url,
        ]
        given = environment(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=WATCHDOG)
        with subprocess.Popen(
            command, env=given, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as watcher:
            try:
                wait_until(seen.exists, "the command has run")
            finally:
                watcher.terminate()
        assert (
            "PATH=" in seen.read_text()
            and "NOTIFY_SOCKET" not in seen.read_text()
            and "WATCHDOG" not in seen.read_text()
        )


def test_an_unreachable_manager_is_logged_once(tmp_path, start):
    broker = start(NOTIFY_SOCKET=tmp_path / "nobody", WATCHDOG_USEC=20_000)
    wait_until(lambda: any("cannot notify" in line for line in broker.stderr), "a warning")
    for _ in range(3):
        assert broker.ask("GET", "/health").status == 200
    broker.stop()
    assert len([line for line in broker.stderr if "cannot notify" in line]) == 1


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, "NOTIFY_SOCKET is 'vsock:2:1234'"),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC is 'soon'"),
    ],
)
def test_invalid_variables_of_a_manager_are_refused(settings, words, tmp_path):
    assert words in refusal(Broker(package_launcher(), tmp_path / "bridge.db", **settings))


def test_a_watchdog_of_another_process_is_not_fed(tmp_path, start):
    with Manager(str(tmp_path / "notify")) as manager:
        start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=20_000, WATCHDOG_PID=1).stop()
        manager.hear_until("STOPPING=1")
        assert [words.split("\n")[0] for words in manager.said] == ["READY=1", "STOPPING=1"]

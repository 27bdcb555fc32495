"""READY=1, WATCHDOG=1 and STOPPING=1 reach a manager; passed sockets are listened on, and outlive the broker."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from raw_http import PATIENCE, Line
from running import ROOT, Broker, environment, package_launcher, wait_until
from service import ActivatedBroker, Manager, listener

from bridge.systemd import ServiceManager

WATCHDOG = 200_000  # microseconds
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    with Manager(
        str(tmp_path / "notify") if request.param == "path" else f"@bridge-test-{os.getpid()}"
    ) as listening:
        yield listening


@pytest.fixture
def activated(tmp_path):
    """Brokers that are given sockets; what is still running in the end is stopped and checked."""
    started = []

    def start(*passed, **settings) -> ActivatedBroker:
        started.append(ActivatedBroker(tmp_path / "bridge.db", passed, **settings))
        return started[-1]

    yield start
    for broker in started:
        if broker.process is not None and broker.process.poll() is None:
            broker.stop()


def refusal(broker: Broker) -> str:
    """The one line of a broker that does not start."""
    broker.spawn()
    assert broker.wait() == 2, broker.said()
    assert len(broker.stderr) == 1 and broker.said().startswith("bridge: "), broker.said()
    return broker.said()


# -- being told ------------------------------------------------------------------------


def test_a_broker_says_that_it_is_ready_alive_and_stopping(manager, start):
    broker = start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=WATCHDOG)
    assert manager.hear() == ["READY=1", f"STATUS=ready on {broker.url}"]
    assert [manager.hear() for _ in range(3)] == [["WATCHDOG=1"]] * 3
    broker.stop()
    manager.hear_until("STOPPING=1")
    assert manager.said[-1] == "STOPPING=1\nSTATUS=stopping"


def test_a_loop_that_hangs_feeds_no_watchdog(tmp_path):
    """What hangs this loop is that it listens, in vain, for its own sign of life."""

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


def test_a_service_that_is_not_well_feeds_no_watchdog(tmp_path):
    async def scenario():
        well = [True, True, False, False, True]
        ServiceManager(listening.address, WATCHDOG / 1e6).ready("here", lambda: well.pop(0))
        for _ in range(500):  # it is over far sooner, unless none asks
            await asyncio.sleep(0.01 if well else 0)

    with Manager(str(tmp_path / "notify")) as listening:
        asyncio.run(scenario())
        listening.hear_all()
        assert listening.said == ["READY=1\nSTATUS=here"] + ["WATCHDOG=1"] * 3


def test_a_drain_that_takes_long_feeds_the_watchdog(tmp_path, start):
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


def test_a_broker_whose_store_is_lost_feeds_no_watchdog(tmp_path, start):
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
def test_a_watcher_and_a_supervisor_say_so_too(manager, words, status):
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
                "a broker that is away is its business, not the manager's"
            )
            manager.hear_until("WATCHDOG=1")
        finally:
            watcher.terminate()
        manager.hear_until("STOPPING=1")
        said = watcher.stderr.read()
        assert watcher.wait(PATIENCE) == 0 and "Traceback" not in said, said


def test_what_a_watcher_starts_is_no_service(tmp_path, start):
    """The command of --exec must not find the manager's address, nor sockets that are not its own."""
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


def test_a_manager_that_is_gone_is_one_warning(tmp_path, start):
    broker = start(NOTIFY_SOCKET=tmp_path / "nobody", WATCHDOG_USEC=20_000)
    wait_until(lambda: len(broker.stderr) >= 2, "a warning")
    for _ in range(3):
        assert broker.ask("GET", "/health").status == 200
    broker.stop()
    assert [line for line in broker.stderr if "cannot notify" in line] == broker.stderr[1:2]


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, "NOTIFY_SOCKET is 'vsock:2:1234'"),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, "WATCHDOG_USEC is 'soon'"),
    ],
)
def test_words_of_a_manager_that_make_no_sense(settings, words, tmp_path):
    assert words in refusal(Broker(package_launcher(), tmp_path / "bridge.db", **settings))


def test_a_watchdog_of_another_process_is_not_fed(tmp_path, start):
    with Manager(str(tmp_path / "notify")) as manager:
        start(NOTIFY_SOCKET=manager.address, WATCHDOG_USEC=20_000, WATCHDOG_PID=1).stop()
        manager.hear_until("STOPPING=1")
        assert [words.split("\n")[0] for words in manager.said] == ["READY=1", "STOPPING=1"]


# -- being given sockets ---------------------------------------------------------------


def test_a_passed_socket_wins_and_is_named(activated):
    with listener() as passed:
        port = passed.getsockname()[1]
        broker = activated(passed, BRIDGE_PORT=1, BRIDGE_HOST="192.0.2.1").start()
        assert broker.url == f"http://127.0.0.1:{port}"
        assert broker.ask("GET", "/health").status == 200


def test_several_sockets_and_every_address_is_the_brokers_own_name(activated):
    with listener() as first, listener(("127.0.0.2", 0)) as second:
        broker = activated(first, second).start()
        assert broker.port == first.getsockname()[1]
        port = second.getsockname()[1]
        with Line(port, host="127.0.0.2") as line:
            assert line.ask("GET", "/health", fields=[("Host", f"127.0.0.2:{port}")]).status == 200
        assert broker.ask("GET", "/health", fields=[("Host", "127.0.0.3")]).status == 421


def test_a_socket_that_listens_everywhere_may_be_called_by_any_address(activated):
    with listener() as first, listener(("0.0.0.0", 0)) as second:
        broker = activated(first, second).start()
        assert broker.url == f"http://127.0.0.1:{second.getsockname()[1]}"
        assert broker.ask("GET", "/health", fields=[("Host", "192.0.2.7")]).status == 200
        assert broker.ask("GET", "/health", fields=[("Host", "evil.example")]).status == 421
        assert (
            broker.said().count(
                "listening beyond this machine without authentication: "
                "every host that reaches this address can send address=0.0.0.0"
            )
            == 1
        )


def test_sockets_of_another_process_are_left_alone(activated):
    with listener() as passed:
        broker = activated(passed, LISTEN_PID=1).start()
        assert broker.port != passed.getsockname()[1]


@pytest.mark.parametrize(
    "make, words",
    [
        (
            lambda folder: listener(str(folder / "socket"), socket.AF_UNIX),
            "descriptor 3 (bridge.socket), which is a Unix socket",
        ),
        (lambda folder: listener(kind=socket.SOCK_DGRAM, backlog=0), "which is no stream socket"),
        (lambda folder: listener(backlog=0), "which is not listening"),
        (lambda folder: open(folder / "file", "w"), "which is no socket"),
    ],
    ids=["unix", "datagram", "not listening", "file"],
)
def test_what_no_broker_can_listen_on_is_one_line(make, words, tmp_path):
    with make(tmp_path) as passed:
        assert words in refusal(
            ActivatedBroker(tmp_path / "bridge.db", [passed], LISTEN_FDNAMES="bridge.socket")
        )


@pytest.mark.parametrize("count", ["two", "-1", "65", "9" * 5000])
def test_a_number_of_sockets_that_makes_no_sense(count, tmp_path):
    assert "LISTEN_FDS is" in refusal(ActivatedBroker(tmp_path / "bridge.db", [], LISTEN_FDS=count))


def test_a_passed_socket_that_is_not_there(tmp_path):
    with listener() as passed:
        assert "descriptor 4, which is no socket" in refusal(
            ActivatedBroker(tmp_path / "bridge.db", [passed], LISTEN_FDS=2)
        )


# -- handing over ----------------------------------------------------------------------


def test_who_connects_while_no_broker_runs_is_served_by_the_next_one(activated):
    with listener() as passed:
        broker = activated(passed).start()
        broker.send("a", "before")
        broker.stop()
        with Line(passed.getsockname()[1]) as early:
            early.request("POST", "/agents/a/send", {"payload": "between"})
            broker.start()
            assert early.read_answer().status == 202
        assert [ticket["payload"] for ticket in broker.pending("a")] == ["before", "between"]


def test_no_connection_is_refused_while_brokers_come_and_go(activated):
    """Clients that connect anew for each request, through three restarts: each request is answered, each ticket kept."""
    restarts, sent, errors, finished = 3, [], [], threading.Event()
    with listener() as passed:
        broker = activated(passed, BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100_000).start()

        def client(name: str) -> None:
            number = 0
            while not finished.is_set():
                with Line(passed.getsockname()[1]) as line:
                    time.sleep(
                        0.02
                    )  # as far away as another town: the broker may have to stop between connection and request
                    try:
                        answer = line.ask(
                            "POST",
                            "/agents/a/send",
                            {"payload": f"{name}-{number}"},
                            [("Connection", "close")],
                        )
                        assert answer.status == 202, answer
                        sent.append(f"{name}-{number}")
                    except Exception as error:
                        errors.append(error)
                        return
                number += 1

        clients = [
            threading.Thread(target=client, args=(f"client-{number}",)) for number in range(4)
        ]
        for each in clients:
            each.start()
        try:
            for _ in range(restarts):
                before = len(sent)
                wait_until(lambda: len(sent) > before + 20 or errors, "clients are served")
                broker.stop()
                broker.start()
        finally:
            finished.set()
            for each in clients:
                each.join(PATIENCE)
        assert not errors
        kept = [ticket["payload"] for ticket in broker.pending("a", "?limit=100000")]
        assert sorted(kept) == sorted(sent)

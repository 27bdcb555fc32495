"""Socket activation, sd_listen_fds(3): a broker listens on the sockets that it inherits.

The sockets belong to the service manager and stay open between two brokers. So clients can
connect while no broker runs, and a restart refuses no connection.
"""

from __future__ import annotations

import socket
import threading
import time

import pytest
from raw_http import PATIENCE, Line
from running import wait_until
from service import ActivatedBroker, listener, refusal


@pytest.fixture
def activated(tmp_path):
    """Start brokers that inherit sockets; each is stopped and checked at the end of the test."""
    started = []

    def start(*passed, **settings) -> ActivatedBroker:
        started.append(ActivatedBroker(tmp_path / "bridge.db", passed, **settings))
        return started[-1]

    yield start
    for broker in started:
        if broker.process is not None and broker.process.poll() is None:
            broker.stop()


def test_a_passed_socket_overrides_host_and_port_and_is_in_the_ready_line(activated):
    with listener() as passed:
        port = passed.getsockname()[1]
        broker = activated(passed, BRIDGE_PORT=1, BRIDGE_HOST="192.0.2.1").start()
        assert broker.url == f"http://127.0.0.1:{port}"
        assert broker.ask("GET", "/health").status == 200


def test_the_address_of_each_passed_socket_is_an_allowed_host(activated):
    with listener() as first, listener(("127.0.0.2", 0)) as second:
        broker = activated(first, second).start()
        assert broker.port == first.getsockname()[1]
        port = second.getsockname()[1]
        with Line(port, host="127.0.0.2") as line:
            assert line.ask("GET", "/health", fields=[("Host", f"127.0.0.2:{port}")]).status == 200
        assert broker.ask("GET", "/health", fields=[("Host", "127.0.0.3")]).status == 421


def test_a_wildcard_socket_allows_any_address_as_host(activated):
    with listener() as first, listener(("0.0.0.0", 0)) as second:
        broker = activated(first, second).start()
        assert broker.url == f"http://127.0.0.1:{second.getsockname()[1]}"
        assert broker.ask("GET", "/health", fields=[("Host", "192.0.2.7")]).status == 200
        assert broker.ask("GET", "/health", fields=[("Host", "evil.example")]).status == 421
        assert (
            broker.said().count("every host that reaches this address can send address=0.0.0.0")
            == 1
        )


def test_sockets_meant_for_another_process_are_ignored(activated):
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
def test_an_unusable_descriptor_is_refused_in_one_line(make, words, tmp_path):
    with make(tmp_path) as passed:
        assert words in refusal(
            ActivatedBroker(tmp_path / "bridge.db", [passed], LISTEN_FDNAMES="bridge.socket")
        )


@pytest.mark.parametrize("count", ["two", "-1", "65", "9" * 5000])
def test_an_invalid_number_of_sockets_is_refused(count, tmp_path):
    assert "LISTEN_FDS is" in refusal(ActivatedBroker(tmp_path / "bridge.db", [], LISTEN_FDS=count))


def test_a_missing_descriptor_is_refused(tmp_path):
    with listener() as passed:
        assert "descriptor 4, which is no socket" in refusal(
            ActivatedBroker(tmp_path / "bridge.db", [passed], LISTEN_FDS=2)
        )


# -- restarts --------------------------------------------------------------------------


def test_a_client_that_connects_while_no_broker_runs_is_served_by_the_next_one(activated):
    with listener() as passed:
        broker = activated(passed).start()
        broker.send("a", "before")
        broker.stop()
        with Line(passed.getsockname()[1]) as early:
            early.request("POST", "/agents/a/send", {"payload": "between"})
            broker.start()
            assert early.read_answer().status == 202
        assert [ticket["payload"] for ticket in broker.pending("a")] == ["before", "between"]


def test_no_connection_is_refused_during_restarts(activated):
    """Clients open a connection for each request, through three restarts of the broker.

    Each request is answered, and each ticket is kept.
    """
    restarts, sent, errors, finished = 3, [], [], threading.Event()
    with listener() as passed:
        broker = activated(passed, BRIDGE_RATE_LIMIT=0, BRIDGE_QUEUE_MAX=100_000).start()

        def client(name: str) -> None:
            number = 0
            while not finished.is_set():
                with Line(passed.getsockname()[1]) as line:
                    # Latency of a remote client: the broker may stop between accept and request.
                    time.sleep(0.02)
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

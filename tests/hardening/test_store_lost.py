"""A store that is lost while the broker runs: no more 2xx, and an exit that gives the reason."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import sqlite3
import sys

import pytest
from conformance.shapes import check_problem
from raw_http import Closed
from running import Broker, wait_until

STORE_STATUS, WRITER_STATUS = 6, 9  # RUNBOOK's list of exit statuses
MAIN = "from bridge.cli.main import main; sys.exit(main())"

# SQLite's own bound of its memory in a process, sqlite3_hard_heap_limit64.
LITTLE_MEMORY = f"""
import sqlite3, sys
any_store = sqlite3.connect(":memory:")
any_store.execute("PRAGMA hard_heap_limit = 1200000")  # too little for one ticket of 700,000 bytes
any_store.close()
{MAIN}
"""

# SIGUSR1 raises an exception in the writer thread, which ends it at its next step.
MORTAL_WRITER = f"""
import ctypes, signal, sys, threading

def end_writer(number, frame):
    (writer,) = [each for each in threading.enumerate() if each.name == "bridge-journal"]
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception(ctypes.c_ulong(writer.ident), ctypes.py_object(SystemExit))

signal.signal(signal.SIGUSR1, end_writer)
{MAIN}
"""


@pytest.fixture
def run(tmp_path):
    """Start a broker whose process runs the given program around it."""
    running = []

    def starter(program: str, **settings) -> Broker:
        launcher = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
        running.append(Broker(launcher, tmp_path / "bridge.db", BRIDGE_RATE_LIMIT=0, **settings))
        return running[-1].start()

    yield starter
    for broker in running:
        if broker.process.poll() is None:
            broker.kill()


def ended(broker, status) -> str:
    """Check that the broker has ended by itself. Return the line with the reason."""
    assert broker.wait() == status, broker.said()
    broker.check_calm()
    critical = [line for line in broker.stderr if "critical" in line]
    assert len(critical) == 1 and "the store is lost" in critical[0], broker.said()
    (why,) = [line for line in broker.stderr if line.startswith("bridge: ")]
    return why  # it may not be the last line, because another thread writes the log


def test_a_store_without_memory_fails_the_group_and_continues(run):
    broker = run(LITTLE_MEMORY)
    lines = [broker.line() for _ in range(16)]
    for number, line in enumerate(lines):
        content = {"payload": "x" * 700_000, "ticketId": f"big-{number}"}
        line.request("POST", "/agents/a/send", content)
    statuses = [line.read_answer().status for line in lines]
    for line in lines:
        line.close()
    assert 503 in statuses and set(statuses) <= {202, 503}, statuses
    small = ("POST", "/agents/a/send", {"payload": 1, "ticketId": "s"})
    wait_until(lambda: broker.ask(*small).status == 202, "it heals")
    assert broker.ask("GET", "/health").status == 200
    kept = [f"big-{number}" for number, status in enumerate(statuses) if status == 202]
    assert sorted(ticket["ticketId"] for ticket in broker.pending("a")) == sorted([*kept, "s"])
    broker.stop()


def test_the_death_of_the_writer_thread_ends_the_broker(run):
    broker = run(MORTAL_WRITER)
    kept = broker.send("a", 1)
    with broker.line() as line:
        line.ask("GET", "/health")
        broker.signal(signal.SIGUSR1)
        line.request("POST", "/agents/a/send", {"payload": 2, "ticketId": "lost"})
        try:
            answer = line.read_answer()
            check_problem(answer, 503)
        except Closed as cut:
            assert not cut.args[0], "either no response or a whole one"
    last = ended(broker, WRITER_STATUS)
    assert "start the broker again" in last, last
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == [kept]
    broker.stop()


def test_the_death_of_the_writer_thread_during_a_stop_does_not_block_it(run):
    """No sweep runs any more, so the thread itself must report its end."""
    broker = run(MORTAL_WRITER, BRIDGE_DRAIN_TIMEOUT=100)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
        assert broker.ask("GET", "/health").status == 200
        broker.signal(signal.SIGUSR1)
        broker.signal(signal.SIGTERM)
        line.send(b'"payload":1}')
        assert broker.wait() in (0, WRITER_STATUS)
    broker.check_calm()


FILES = ["", "-wal", "-shm", ".lock"]


@pytest.mark.parametrize("suffix", FILES)
def test_the_removal_of_a_store_file_ends_the_broker(start, suffix):
    broker = start()
    broker.send("a", 1)
    os.unlink(broker.db + suffix)
    last = ended(broker, STORE_STATUS)
    assert f"bridge.db{suffix} was removed" in last and broker.db in last, last


@pytest.mark.parametrize("restored", [["-wal", ""], ["-wal"]])
def test_a_restored_store_ends_the_broker_and_is_not_changed(start, tmp_path, restored):
    """The restored store has its own WAL.

    SQLite removes a WAL by its name when it closes the old store. This must not happen.
    """
    broker = start()
    broker.send("a", "old")
    copy = tmp_path / "copy"
    copy.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(broker.db + suffix, copy / f"bridge.db{suffix}")
    wal = (copy / "bridge.db-wal").read_bytes()
    assert wal
    broker.send("a", "new")
    for suffix in restored:
        os.replace(copy / f"bridge.db{suffix}", broker.db + suffix)
    assert "was replaced" in ended(broker, STORE_STATUS)
    assert pathlib.Path(broker.db + "-wal").read_bytes() == wal
    os.unlink(broker.db + "-shm")
    broker.start()
    assert [ticket["payload"] for ticket in broker.pending("a")] == ["old"]


def test_a_request_on_a_lost_store_is_503(start):
    """A request in flight delays the drain. Its response is a 503, because nothing is kept."""
    broker = start(BRIDGE_DRAIN_TIMEOUT=20000)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
        assert broker.ask("GET", "/health").status == 200
        os.unlink(broker.db)
        wait_until(lambda: "the store is lost" in broker.said(), "it is noticed")
        line.send(b'"payload":1}')
        answer = line.read_answer()
        check_problem(answer, 503)
        assert "bridge.db was removed" in answer.json["detail"], answer
    ended(broker, STORE_STATUS)


def test_a_copy_with_sqlite_while_the_broker_runs_is_no_loss(start, tmp_path):
    """SQLite's own backup and a short-lived reader do not replace the files."""
    broker = start(BRIDGE_IDLE_TIMEOUT=400)
    broker.send("a", 1)
    for _ in range(3):
        source, target = sqlite3.connect(broker.db), sqlite3.connect(tmp_path / "copy.db")
        source.backup(target)
        source.close()
        target.close()
    with broker.line() as line:  # a sweep closes it, so a sweep has checked the files
        line.ask("GET", "/health")
        assert line.is_closed()
    broker.send("a", 2)

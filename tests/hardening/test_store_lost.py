"""A store that is lost under a running broker: no promise any more, and an end that says why."""

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

STORE_STATUS, WRITER_STATUS = 6, 9  # README's list of exit statuses
MAIN = "from bridge.cli.main import main; sys.exit(main())"

# SQLite's own bound of the memory of a process, sqlite3_hard_heap_limit64.
LITTLE_MEMORY = f"""
import sqlite3, sys
any_store = sqlite3.connect(":memory:")
any_store.execute("PRAGMA hard_heap_limit = 1200000")  # too little for one ticket of 700,000 bytes
any_store.close()
{MAIN}
"""

# SIGUSR1 ends the writing thread, at its next step, by an exception that is none of its own.
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
    """A broker in a process with a program of its own around it."""
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
    """The broker has ended by itself; the line that says why."""
    assert broker.wait() == status, broker.said()
    broker.check_calm()
    critical = [line for line in broker.stderr if "critical" in line]
    assert len(critical) == 1 and "the store is lost" in critical[0], broker.said()
    (why,) = [line for line in broker.stderr if line.startswith("bridge: ")]
    return why  # not always the last one: another thread writes the log


def test_a_store_that_finds_no_memory_fails_the_group_and_lives(run):
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


def test_a_writer_that_dies_ends_the_broker(run):
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
            assert not cut.args[0], "no answer, or a whole one"
    last = ended(broker, WRITER_STATUS)
    assert "start the broker again" in last, last
    broker.start()
    assert [ticket["ticketId"] for ticket in broker.pending("a")] == [kept]
    broker.stop()


def test_a_writer_that_dies_in_the_last_moment_holds_up_no_stop(run):
    """No sweep sees it any more: its own end has to be heard of."""
    broker = run(MORTAL_WRITER, BRIDGE_DRAIN_TIMEOUT=100)
    with broker.line() as line:
        line.request("POST", "/agents/a/send", b"{", [("Content-Length", "13")])
        assert broker.ask("GET", "/health").status == 200
        broker.signal(signal.SIGUSR1)
        broker.signal(signal.SIGTERM)
        line.send(b'"payload":1}')
        assert broker.wait() in (0, WRITER_STATUS), "it ends"
    broker.check_calm()


FILES = ["", "-wal", "-shm", ".lock"]


@pytest.mark.parametrize("suffix", FILES)
def test_a_file_that_is_removed_ends_the_broker(start, suffix):
    broker = start()
    broker.send("a", 1)
    os.unlink(broker.db + suffix)
    last = ended(broker, STORE_STATUS)
    assert f"bridge.db{suffix} was removed" in last and broker.db in last, last


@pytest.mark.parametrize("restored", [["-wal", ""], ["-wal"]])
def test_a_store_that_is_restored_ends_the_broker_and_is_not_touched(start, tmp_path, restored):
    """With a WAL of its own, which SQLite removes by its name when it closes the old store."""
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


def test_what_is_asked_of_a_lost_store_is_refused(start):
    """A request under way holds up the drain, and its answer is that nothing was kept."""
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


def test_a_copy_that_is_taken_under_a_running_broker_is_no_loss(start, tmp_path):
    """SQLite's own backup, and a reader that comes and goes, leave the files where they are."""
    broker = start(BRIDGE_IDLE_TIMEOUT=400)
    broker.send("a", 1)
    for _ in range(3):
        source, target = sqlite3.connect(broker.db), sqlite3.connect(tmp_path / "copy.db")
        source.backup(target)
        source.close()
        target.close()
    with broker.line() as line:  # closed by a sweep, so one has looked
        line.ask("GET", "/health")
        assert line.is_closed()
    broker.send("a", 2)

"""A wrong wall clock extends no lease and makes the broker prune nothing."""

from __future__ import annotations

import signal
import sys

import pytest
from running import Broker, wait_until

DAY = 86400
WRONG_CLOCK = """
import signal, sys, time
real, ahead = time.time, [float(sys.argv.pop(1))]
time.time = lambda: real() + ahead[0]

def jump(number, frame):
    ahead[0] += 8 * 86400

signal.signal(signal.SIGUSR1, jump)
from bridge.cli.main import main
sys.exit(main())
"""


@pytest.fixture
def clocked(tmp_path):
    """Start a broker whose clock is `ahead` seconds fast. SIGUSR1 adds 8 days."""
    running = []

    def starter(ahead: float, **settings) -> Broker:
        launcher = [sys.executable, "-X", "dev", "-W", "error", "-c", WRONG_CLOCK, str(ahead)]
        settings = {"BRIDGE_PRUNE_INTERVAL": 100, **settings}
        running.append(Broker(launcher, tmp_path / "bridge.db", **settings))
        return running[-1].start()

    yield starter
    for broker in running:
        if broker.process.poll() is None:
            broker.kill()


def finish_one(broker) -> None:
    broker.send("a", 1, ticketId="mine")
    assert broker.acknowledge("mine").status == 200


def is_kept(broker) -> None:
    wait_until(lambda: "pruning waits" in broker.said(), "the broker has seen the jump")
    assert broker.ticket("mine")["status"] == "delivered"
    broker.send("a", 1, ticketId="mine")
    assert broker.pending("a") == [], "an idempotency key was lost"


def test_nothing_is_pruned_when_the_clock_is_set_while_the_broker_runs(clocked):
    broker = clocked(0)
    finish_one(broker)
    broker.signal(signal.SIGUSR1)
    is_kept(broker)
    broker.stop()


def test_nothing_is_pruned_when_the_clock_was_set_between_two_runs(clocked):
    broker = clocked(0)
    finish_one(broker)
    broker.stop()
    broker = clocked(8 * DAY)
    is_kept(broker)
    broker.stop()


def test_a_lease_that_was_taken_with_a_wrong_clock_ends(clocked):
    broker = clocked(DAY)
    ticket_id = broker.send("a", 1, ttlMs=10**9)
    claim = ("POST", f"/tickets/{ticket_id}/claim")
    assert broker.ask(*claim, {"watcher": "gone", "leaseMs": 500}).status == 200
    broker.kill()
    broker = clocked(0)
    wait_until(lambda: broker.ask(*claim, {"watcher": "w"}).status == 200, "it is free")
    broker.stop()

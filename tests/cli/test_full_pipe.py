"""`--print` into a full pipe: the ticket waits, and SIGTERM still ends the watcher in time."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from running import PATIENCE, ROOT, new_name, package_launcher, stages, wait_until

BIG = "x" * 200_000  # more than a pipe holds


@pytest.mark.parametrize("command", ["watch", "supervise"])
def test_sigterm_ends_it_while_its_pipe_is_full(bridge, served, command):
    agent = new_name()
    ticket_id = served.send(agent, BIG)
    reading, writing = os.pipe()
    words = [
        *package_launcher(),
        command,
        agent,
        "--print",
        "--stop-timeout",
        "200",
        "--lease",
        "1000",
    ]
    watch = subprocess.Popen(
        words, stdout=writing, stderr=subprocess.PIPE, env=bridge.environment, cwd=ROOT
    )
    os.close(writing)
    try:
        assert os.read(reading, 1), "it has started to write"
        wait_until(lambda: stages(served.ticket(ticket_id))[-1] == "claimed", "the claim")
        watch.send_signal(signal.SIGTERM)
        _, said = watch.communicate(timeout=PATIENCE)
    finally:
        watch.kill()
        watch.wait()
        os.close(reading)
    assert (
        watch.returncode == 0
        and b"stopped in the middle of a delivery" in said
        and b"Traceback" not in said
    ), said
    assert b"Fatal" not in said and b"Warning" not in said, said
    assert served.ticket(ticket_id)["status"] == "pending"


def test_a_slow_reader_gets_whole_lines_in_order(bridge, served):
    agent = new_name()
    sent = [served.send(agent, BIG) for _ in range(3)]
    with bridge.running("watch", agent, "--print", "--lease", "300") as watch:
        wait_until(lambda: len(watch.lines) == 3, "three lines")
        wait_until(
            lambda: all(served.ticket(each)["status"] == "delivered" for each in sent),
            "all delivered",
        )
    assert all(line.startswith("{") and line.endswith("}") for line in watch.lines)

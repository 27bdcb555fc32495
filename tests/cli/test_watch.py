"""The command `watch` without panes: --print and --exec, signals, SIGKILL of broker and watcher.

Panes are in test_watch_panes.py.
"""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
from urllib.parse import quote

import pytest
from running import ROOT, Broker, new_name, package_launcher, stages, wait_until


def is_finished(broker, ticket_ids) -> bool:
    return all(broker.ticket(quote(each, safe=""))["status"] != "pending" for each in ticket_ids)


def test_print_gives_each_ticket_as_a_line_and_acknowledges_it(bridge, served):
    agent = new_name()
    sent = [served.send(agent, f"text {number}\x1b\n") for number in range(3)]
    with bridge.running("watch", agent, "--print") as watch:
        wait_until(lambda: len(watch.lines) == 3, f"three lines: {watch.said}")
        sent.append(served.send(agent, "live"))
        wait_until(lambda: len(watch.lines) == 4 and is_finished(served, sent), "the fourth")
        assert [json.loads(line)["ticketId"] for line in watch.lines] == sent
        wait_until(
            lambda: served.ask("GET", f"/debug/agent/{agent}/status").json["connection"] == "sse",
            "the stream",
        )
    assert stages(served.ticket(sent[3])) == [
        "accepted",
        "streamed",
        "claimed",
        "injected",
        "acknowledged",
    ]


def test_exec_runs_a_command_per_ticket_and_tries_again_when_it_fails(bridge, served, tmp_path):
    agent, log = new_name(), tmp_path / "log"
    command = (
        f"cat >> {log}; echo end-$BRIDGE_TICKET_ID >> {log}; "
        f"mkdir {tmp_path}/$BRIDGE_TICKET_ID 2>/dev/null && exit 3; exit 0"
    )
    with bridge.running("watch", agent, "--exec", command) as watch:
        sent = [served.send(agent, f"text {number}") for number in range(2)]
        wait_until(lambda: is_finished(served, sent), f"both: {watch.said}")
        assert any("exit status 3" in line for line in watch.said)
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("end-")] == [
        f"end-{each}" for each in (sent[0], sent[0], sent[1], sent[1])
    ], "each failed once, and the order was kept"
    assert json.loads(lines[0])["payload"] == "text 0"


def test_exec_that_takes_too_long_is_killed_with_its_children(bridge, served, tmp_path):
    agent, pid = new_name(), tmp_path / "pid"
    command = f"if [ -e {pid} ]; then exit 0; fi; sleep 1000 & echo $! > {pid}; wait"
    with bridge.running("watch", agent, "--exec", command, "--exec-timeout", "500") as watch:
        ticket = served.send(agent)
        wait_until(lambda: is_finished(served, [ticket]), f"the second try: {watch.said}")
    wait_until(lambda: not is_alive(int(pid.read_text())), "the sleeping child's end")


def is_alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_sigterm_finishes_the_current_ticket_and_a_second_signal_ends_at_once(
    bridge, served, tmp_path
):
    agent, begun = new_name(), tmp_path / "begun"
    command = f"touch {begun}; sleep 1"
    with bridge.running("watch", agent, "--exec", command) as watch:
        first, second = served.send(agent), served.send(agent)
        wait_until(begun.exists, "the first command")
        watch.stop(signal.SIGTERM, 0)
        assert (
            served.ticket(first)["status"] == "delivered"
            and served.ticket(second)["status"] == "pending"
        )
    begun.unlink()
    with bridge.running("watch", agent, "--exec", f"touch {begun}; sleep 5") as watch:
        wait_until(begun.exists, "the second command")
        watch.process.send_signal(signal.SIGINT)
        watch.wait_said("stopping")
        watch.stop(signal.SIGINT, 130)
        assert served.ticket(second)["status"] == "pending"


def test_a_signal_that_is_ignored_at_the_start_stays_ignored(bridge, served):
    """nohup(1): the terminal closes, and the watcher continues."""
    agent = new_name()
    with bridge.running("watch", agent, "--print", launcher=("nohup",)) as watch:
        watch.wait_said("receiving")
        watch.process.send_signal(signal.SIGHUP)
        ticket = served.send(agent)
        wait_until(lambda: is_finished(served, [ticket]), "a ticket after the signal")
        assert not any("stopping" in line for line in watch.said)


def test_a_closed_stdout_ends_it_with_status_141_and_the_ticket_waits(bridge, served):
    agent = new_name()
    words = [*package_launcher(), "watch", agent, "--print", "--log-level", "error"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bridge.environment, cwd=ROOT
    ) as process:
        first = served.send(agent)
        assert first.encode() in process.stdout.readline()
        process.stdout.close()
        second = served.send(agent)
        assert process.stderr.read() == b"" and process.wait(20) == 141
    assert is_finished(served, [first]) and served.ticket(second)["status"] == "pending"


def test_kill_9_of_the_broker_loses_nothing_and_repeats_nothing(program_for, tmp_path):
    """The broker is killed again and again. Accepted tickets are printed once, in order."""
    broker = Broker(package_launcher(), tmp_path / "bridge.db", BRIDGE_RATE_LIMIT=0).start()
    port, sent = broker.port, []
    try:
        program = program_for(
            broker.url, BRIDGE_RECONNECT_BASE=20, BRIDGE_RECONNECT_MAX=200, BRIDGE_RETRY_MAX=200
        )
        with program.running("watch", "lucy", "--print") as watch:
            for _ in range(3):
                sent += [broker.send("lucy", f"number {len(sent)}") for _ in range(20)]
                broker.kill()
                broker.flags = ["--port", str(port)]
                broker.start()
            sent += [broker.send("lucy", "the last")]
            wait_until(lambda: is_finished(broker, sent), f"all: {watch.said[-3:]}")
            assert [json.loads(line)["ticketId"] for line in watch.lines] == sent
    finally:
        broker.stop()


def test_kill_9_of_the_watcher_leaves_the_ticket_for_the_next_one(bridge, served, tmp_path):
    agent, begun = new_name(), tmp_path / "begun"
    with bridge.running(
        "watch", agent, "--exec", f"touch {begun}; sleep 2; exit 1", "--lease", "500"
    ) as watch:
        ticket = served.send(agent)
        wait_until(begun.exists, "the first watcher")
        watch.kill()
    with bridge.running("watch", agent, "--print") as watch:
        wait_until(lambda: is_finished(served, [ticket]), f"the second watcher: {watch.said}")
        assert len(watch.lines) == 1


def test_two_watchers_of_one_agent_print_each_ticket_once(bridge, served):
    agent = new_name()
    with (
        bridge.running("watch", agent, "--print", "--lease", "1000") as one,
        bridge.running("watch", agent, "--print", "--lease", "1000") as two,
    ):
        one.wait_said("receiving")
        two.wait_said("receiving")
        sent = [served.send(agent, str(number)) for number in range(30)]
        wait_until(lambda: is_finished(served, sent), "all")
        seen = [json.loads(line)["ticketId"] for line in one.lines + two.lines]
    assert sorted(seen) == sorted(sent)


@pytest.mark.parametrize(
    "settings",
    [
        {"BRIDGE_PUSH_MODE": "longpoll"},
        {"BRIDGE_PUSH_MODE": "poll", "POLL_INTERVAL_MS": "50"},
        {"DISABLE_SSE": "true"},
    ],
)
def test_the_lower_tiers(bridge, served, settings):
    agent = new_name()
    with bridge.running("watch", agent, "--print", **settings) as watch:
        watch.wait_said("receiving")
        sent = [served.send(agent, str(number)) for number in range(5)]
        wait_until(lambda: is_finished(served, sent), f"all: {watch.said}")
        assert [json.loads(line)["ticketId"] for line in watch.lines] == sent


def test_log_lines_as_json(bridge, served):
    with bridge.running("watch", new_name(), "--print", "--log-format", "json") as watch:
        watch.wait_said("receiving")
        first, second = json.loads(watch.said[0]), json.loads(watch.said[1])
        assert first["level"] == "info" and "watching agent=" in first["message"]
        assert (second["fields"]["tier"], second["fields"]["after"]) == ("sse", 0)

"""The command `supervise` without panes: arguments, a file that changes, signals, SIGKILL.

Panes are in test_supervise_panes.py.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from running import ROOT, Broker, new_name, package_launcher, wait_until


def lines_of(process, agent):
    return [
        ticket["ticketId"]
        for ticket in map(json.loads, list(process.lines))
        if ticket["agentId"] == agent
    ]


def subscribed(served, name):
    return served.ask("GET", f"/subscribers/{name}").json["agents"]


def write(path, agents):
    """Write like an editor: replace the file with a new one."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(dict.fromkeys(agents), indent=1))
    os.replace(new, path)


def test_print_gives_the_tickets_of_all_agents_on_one_connection(bridge, served):
    lucy, bob, name = new_name(), new_name(), new_name()
    early = served.send(lucy, "early\x1b\n")
    streams = served.ask("GET", "/debug/connections").json["sse"]["active"]
    with bridge.running("supervise", lucy, bob, "--print", "--name", name) as process:
        late = [served.send(bob, "late"), served.send(lucy, "late")]
        wait_until(lambda: len(process.lines) == 3, f"three lines: {process.said}")
        assert lines_of(process, lucy) == [early, late[1]] and lines_of(process, bob) == [late[0]]
        assert served.ask("GET", "/debug/connections").json["sse"]["active"] == streams + 1
        wait_until(
            lambda: not served.pending(lucy) and not served.pending(bob), "the acknowledgements"
        )
        assert served.ask("GET", f"/debug/agent/{bob}/status").json["connection"] == "sse"


def test_a_restart_resumes_under_the_same_name(bridge, served):
    lucy, gone, name = new_name(), new_name(), new_name()
    with bridge.running("supervise", lucy, gone, "--print", "--name", name):
        wait_until(lambda: subscribed(served, name) == sorted([lucy, gone]), "the subscriptions")
    sent = served.send(lucy)
    with bridge.running("supervise", lucy, "--print", "--name", name) as process:
        wait_until(lambda: lines_of(process, lucy) == [sent], "the ticket from the meantime")
        wait_until(lambda: subscribed(served, name) == [lucy], "the other is given up")


def test_exec_runs_the_command_for_each_agents_tickets(bridge, served, tmp_path):
    lucy, bob = new_name(), new_name()
    with bridge.running(
        "supervise",
        lucy,
        bob,
        "--exec",
        f"cat >> {tmp_path}/$BRIDGE_TICKET_ID",
        "--name",
        new_name(),
    ):
        sent = [served.send(lucy), served.send(bob)]
        wait_until(lambda: not served.pending(lucy) and not served.pending(bob), "both")
    assert [json.loads((tmp_path / each).read_text())["ticketId"] for each in sent] == sent


def test_a_file_that_changes_is_read_again_and_a_bad_one_changes_nothing(bridge, served, tmp_path):
    stays, goes, comes, path, name = (
        new_name(),
        new_name(),
        new_name(),
        tmp_path / "agents.json",
        new_name(),
    )
    write(path, [stays, goes])
    with bridge.running(
        "supervise", "--file", str(path), "--print", "--name", name, "--file-check", "50"
    ) as process:
        wait_until(lambda: subscribed(served, name) == sorted([stays, goes]), "the first two")
        write(path, [stays, comes])
        wait_until(lambda: subscribed(served, name) == sorted([stays, comes]), "one went, one came")
        path.write_text('{\n"a": null,\n"b" null}')
        process.wait_said(f"agents stay as they are: {path} line 3:")
        sent = [served.send(comes), served.send(stays)]
        wait_until(lambda: len(process.lines) == 2, f"both: {process.said}")
        path.unlink()
        process.wait_said("cannot be read")
        sent += [served.send(stays), served.send(goes)]
        wait_until(lambda: len(process.lines) == 3, f"the third: {process.said}")
        assert len(served.pending(goes)) == 1
        assert sum("line 3" in line for line in process.said) == 1, "it is logged once"
        write(path, [goes])
        wait_until(lambda: lines_of(process, goes) == sent[-1:], "it came back")


def test_sighup_reads_the_agents_at_once(bridge, served, tmp_path):
    first, second, path, name = new_name(), new_name(), tmp_path / "agents.json", new_name()
    write(path, [first])
    with bridge.running(
        "supervise", "--file", str(path), "--print", "--name", name, "--file-check", "3600000"
    ) as process:
        wait_until(lambda: subscribed(served, name) == [first], "the first")
        write(path, [first, second])
        process.process.send_signal(signal.SIGHUP)
        wait_until(lambda: subscribed(served, name) == sorted([first, second]), "both")


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "name an agent"),
        (["lucy"], "names no pane"),
        (["lucy=dev", "--name", "x"], "is no pane"),
        (["lucy=dev:0", "lucy=dev:1"], "named twice"),
        (["lucy", "--print", "--discover"], "find panes"),
        (["--sessions", "dev"], "must hold one *"),
        (["lucy", "--print", "--name", ""], "--name"),
        (["lucy", "--print", "--file-check", "never"], "--file-check"),
        (["--file", "no-such-file.json"], "cannot be read"),
    ],
)
def test_wrong_arguments_are_one_line(bridge, words, says):
    bridge.run("supervise", *words, status=2)
    assert says in bridge.stderr and bridge.stderr.count("\n") == 1


def test_a_bad_file_at_the_start_is_an_error_that_names_the_line(bridge, tmp_path):
    path = tmp_path / "agents.json"
    path.write_text('{\n"lucy": "dev-lucy:0",\n"bob": 5}')
    bridge.run("supervise", "--file", str(path), status=2)
    assert f"{path} line 3: " in bridge.stderr


def test_sigterm_finishes_the_current_tickets_and_a_second_signal_ends_at_once(
    bridge, served, tmp_path
):
    agents = [new_name(), new_name()]
    command = f"touch {tmp_path}/$BRIDGE_TICKET_ID; sleep 1"
    with bridge.running("supervise", *agents, "--exec", command, "--name", new_name()) as process:
        sent = [served.send(agent) for agent in agents]
        more = [served.send(agent) for agent in agents]
        wait_until(lambda: all((tmp_path / each).exists() for each in sent), "both commands")
        process.stop(signal.SIGTERM, 0)
    assert [served.ticket(each)["status"] for each in sent + more] == ["delivered"] * 2 + [
        "pending"
    ] * 2
    with bridge.running(
        "supervise",
        *agents,
        "--exec",
        f"touch {tmp_path}/$BRIDGE_TICKET_ID; sleep 5",
        "--name",
        new_name(),
    ) as process:
        wait_until(lambda: all((tmp_path / each).exists() for each in more), "both commands")
        process.process.send_signal(signal.SIGINT)
        process.wait_said("stopping")
        process.stop(signal.SIGINT, 130)
    assert [served.ticket(each)["status"] for each in more] == ["pending"] * 2


def test_a_closed_stdout_ends_it_with_status_141(bridge, served):
    lucy, bob = new_name(), new_name()
    words = [
        *package_launcher(),
        "supervise",
        lucy,
        bob,
        "--print",
        "--name",
        new_name(),
        "--log-level",
        "error",
    ]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bridge.environment, cwd=ROOT
    ) as process:
        first = served.send(lucy)
        assert first.encode() in process.stdout.readline()
        process.stdout.close()
        second = served.send(bob)
        assert process.stderr.read() == b"" and process.wait(20) == 141
    assert served.ticket(second)["status"] == "pending"


def test_kill_9_of_the_broker_loses_nothing_and_repeats_nothing(program_for, tmp_path):
    """The broker is killed again and again. Accepted tickets are printed once, in order."""
    agents = ["lucy", "bob", "max"]
    broker = Broker(package_launcher(), tmp_path / "bridge.db", BRIDGE_RATE_LIMIT=0).start()
    port, sent = broker.port, {agent: [] for agent in agents}
    try:
        program = program_for(
            broker.url, BRIDGE_RECONNECT_BASE=20, BRIDGE_RECONNECT_MAX=200, BRIDGE_RETRY_MAX=200
        )
        with program.running("supervise", *agents, "--print") as process:
            for _ in range(3):
                for number in range(30):
                    sent[agents[number % 3]].append(broker.send(agents[number % 3], number))
                broker.kill()
                broker.flags = ["--port", str(port)]
                broker.start()
            wait_until(lambda: not any(map(broker.pending, agents)), f"all: {process.said[-3:]}")
            wait_until(
                lambda: sum(len(lines_of(process, agent)) for agent in agents) >= 90,
                "all lines",
            )
            assert {agent: lines_of(process, agent) for agent in agents} == sent
    finally:
        broker.stop()


def test_kill_9_of_the_supervisor_leaves_the_tickets_for_the_next_one(bridge, served, tmp_path):
    agents, name = [new_name(), new_name()], new_name()
    with bridge.running(
        "supervise",
        *agents,
        "--exec",
        f"touch {tmp_path}/$BRIDGE_TICKET_ID; sleep 2; exit 1",
        "--lease",
        "500",
        "--name",
        name,
    ) as process:
        sent = [served.send(agent) for agent in agents]
        wait_until(lambda: all((tmp_path / each).exists() for each in sent), "the first supervisor")
        process.kill()
    with bridge.running("supervise", *agents, "--print", "--name", name) as process:
        wait_until(
            lambda: [lines_of(process, agent) for agent in agents] == [[each] for each in sent],
            f"the second: {process.said}",
        )

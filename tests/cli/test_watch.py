"""`watch` as a person runs it: prints, commands, real panes; kills of broker and watcher in between."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import uuid
from urllib.parse import quote

import pytest
from running import ROOT, Broker, environment, new_name, package_launcher, stages, wait_until

from bridge.self_command import own_words

AGENT_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "tmux" / "agents" / "agent.py"


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
    command = f"cat >> {log}; echo end-$BRIDGE_TICKET_ID >> {log}; mkdir {tmp_path}/$BRIDGE_TICKET_ID 2>/dev/null && exit 3; exit 0"
    with bridge.running("watch", agent, "--exec", command) as watch:
        sent = [served.send(agent, f"text {number}") for number in range(2)]
        wait_until(lambda: is_finished(served, sent), f"both: {watch.said}")
        assert any("exit status 3" in line for line in watch.said)
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("end-")] == [
        f"end-{each}" for each in (sent[0], sent[0], sent[1], sent[1])
    ], "each failed once, and the order was kept"
    assert json.loads(lines[0])["payload"] == "text 0"


def test_exec_that_takes_too_long_is_killed_with_what_it_started(bridge, served, tmp_path):
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


def test_sigterm_finishes_what_is_under_way_and_a_second_signal_does_not_wait(
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


def test_a_signal_that_the_starter_ignores_is_ignored(bridge, served):
    """nohup(1): the terminal closes, the watcher goes on."""
    agent = new_name()
    with bridge.running("watch", agent, "--print", launcher=("nohup",)) as watch:
        watch.wait_said("receiving")
        watch.process.send_signal(signal.SIGHUP)
        ticket = served.send(agent)
        wait_until(lambda: is_finished(served, [ticket]), "a ticket after the signal")
        assert not any("stopping" in line for line in watch.said)


def test_a_reader_that_goes_away_ends_it_quietly_and_the_ticket_waits(bridge, served):
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
    """The broker dies again and again while tickets flow; what was accepted is printed once, in order."""
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


def test_two_watchers_of_one_agent_share_and_never_double(bridge, served):
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


# Real panes


@pytest.fixture(scope="module")
def tmux(tmp_path_factory):
    """A private tmux server, whose panes know nothing of where this source is."""
    name, home = f"bridge-cli-{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("home")
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    variables = environment(LC_ALL="C.UTF-8", HOME=home, PATH=path, PYTHONPATH="")

    def tmux(*words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", name, "-f", "/dev/null", *words],
            capture_output=True,
            text=True,
            timeout=20,
            env=variables,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    tmux.name, tmux.home = name, home
    tmux("new-session", "-d", "-s", "keeper", "sleep 100000")
    yield tmux
    tmux("kill-server")


def open_pane(tmux, session: str, command: str) -> None:
    tmux("new-session", "-d", "-s", session, "-x", "150", "-y", "50", "-c", str(tmux.home), command)


def test_a_bash_pane_gets_the_command_and_shows_the_ticket_without_running_it(bridge, served, tmux):
    agent = new_name()
    open_pane(tmux, "dev-" + agent, "exec bash --norc --noprofile")
    hostile = "hello from bob\n$(touch pwned)\n`touch pwned`\n;touch pwned\n\x1b[201~touch pwned\n"
    with bridge.running("watch", agent, "dev-" + agent, "0", "-L", tmux.name) as watch:
        sent = [
            served.send(agent, hostile),
            served.send(agent, "the second", ticketId=f"odd id; $(touch pwned) {agent}"),
        ]
        wait_until(lambda: is_finished(served, sent), f"both: {watch.said}")
        wait_until(
            lambda: (
                "the second" in tmux("capture-pane", "-p", "-J", "-S", "-", "-t", f"=dev-{agent}:")
            ),
            "the output of show",
        )
    screen = tmux("capture-pane", "-p", "-J", "-S", "-", "-t", f"=dev-{agent}:")
    assert (
        screen.count(f"{own_words()} show {sent[0]} --broker-url {served.url}") == 1
        and screen.count("hello from bob") == 1
    )
    assert (
        "show --id64 " in screen
        and not (ROOT / "pwned").exists()
        and not (pathlib.Path(str(tmux.home)) / "pwned").exists()
    )
    evidence = [
        entry for entry in served.ticket(sent[0])["history"] if entry["stage"] == "injected"
    ][0]["evidence"]
    assert (
        evidence["form"] == "shell"
        and re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", evidence["submittedAt"])
        and f"dev-{agent}" in evidence["pane"]
    )
    listed = {each["agentId"]: each for each in json.loads(bridge.run("agents", "--json"))}
    assert listed[agent]["metadata"] == {
        "session": "dev-" + agent,
        "paneId": "0",
        "registeredBy": "bridge",
    }


def test_a_full_screen_agent_gets_the_text_itself(bridge, served, tmux, tmp_path):
    agent, log = new_name(), tmp_path / "messages"
    open_pane(
        tmux,
        "dev-" + agent,
        "exec " + shlex.join([sys.executable, str(AGENT_SCRIPT), "--log", str(log)]),
    )
    with bridge.running(
        "watch", agent, "dev-" + agent, "0.0", "-L", tmux.name, "--form", "agent"
    ) as watch:
        sent = [
            served.send(agent, f"message {number}\nsecond line", metadata={"origin": "bob"})
            for number in range(3)
        ]
        wait_until(lambda: is_finished(served, sent), f"all: {watch.said}", 60)
    text = log.read_text()
    assert (
        f"To reply: {own_words()} reply {sent[0]} " in text
        and f" --broker-url {served.url}" in text
    )
    positions = [text.index(f"message {number}") for number in range(3)]
    assert (
        positions == sorted(positions)
        and all(text.count(f"message {number}") == 1 for number in range(3))
        and "bob" in text
    )


def test_a_busy_pane_is_waited_for_and_a_lost_one_is_found_again(bridge, served, tmux):
    agent = new_name()
    session = "dev-" + agent
    with bridge.running(
        "watch",
        agent,
        session,
        "0",
        "-L",
        tmux.name,
        "--pane-check",
        "200",
        "--explain-after",
        "100",
    ) as watch:
        watch.wait_said("pane lost")
        ticket = served.send(agent, "first")
        open_pane(tmux, session, "exec bash --norc --noprofile")
        wait_until(lambda: is_finished(served, [ticket]), f"the first: {watch.said}", 60)
        wait_until(
            lambda: "first" in tmux("capture-pane", "-p", "-t", f"={session}:"),
            "the output of show",
        )
        tmux("send-keys", "-t", f"={session}:", "sleep 1000", "Enter")
        wait_until(
            lambda: (
                tmux(
                    "display-message", "-p", "-t", f"={session}:", "#{pane_current_command}"
                ).strip()
                == "sleep"
            ),
            "sleep",
        )
        ticket = served.send(agent, "second")
        watch.wait_said("waiting for the pane")
        wait_until(
            lambda: (
                served.ask("GET", f"/debug/agent/{agent}/status").json["sessionHealth"] == "busy"
            ),
            "health busy",
        )
        assert (
            served.ticket(ticket)["status"] == "pending"
            and stages(served.ticket(ticket))[-1] != "claimed"
        )
        tmux("send-keys", "-t", f"={session}:", "C-c")
        wait_until(lambda: is_finished(served, [ticket]), f"the second: {watch.said}", 60)
        tmux("kill-session", "-t", f"={session}")
        wait_until(
            lambda: (
                served.ask("GET", f"/debug/agent/{agent}/status").json["sessionHealth"] == "lost"
            ),
            "health lost",
        )


def test_exit_on_loss_is_status_8(bridge, tmux):
    bridge.run(
        "watch",
        new_name(),
        "no-such-session",
        "0",
        "-L",
        tmux.name,
        "--exit-on-loss",
        "--log-level",
        "error",
        status=8,
    )
    assert "no-such-session" in bridge.stderr

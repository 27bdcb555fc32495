"""`watch` in real panes: a shell gets the command, an agent gets the text; busy and lost panes."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import uuid
from urllib.parse import quote

import pytest
from running import ROOT, environment, new_name, stages, wait_until

from bridge.self_command import own_words

AGENT_SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "tmux" / "agents" / "agent.py"


def is_finished(broker, ticket_ids) -> bool:
    return all(broker.ticket(quote(each, safe=""))["status"] != "pending" for each in ticket_ids)


@pytest.fixture(scope="module")
def tmux(tmp_path_factory):
    """A private tmux server. The environment of its panes does not lead to this source."""
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


def test_a_full_screen_agent_gets_the_text(bridge, served, tmux, tmp_path):
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


def test_the_watcher_waits_for_a_busy_pane_and_finds_a_lost_one_again(bridge, served, tmux):
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

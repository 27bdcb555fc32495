"""A shell's ticket is delivered after `show` has reported that pane (issue 9, H2 and B3)."""

from __future__ import annotations

import shlex
import subprocess
import sys
import uuid

import pytest
from running import ROOT, Broker, environment, new_name, package_launcher, stages, wait_until

from bridge.self_command import own_words

QUICK = {
    "BRIDGE_SHOWN_WAIT": "4000",
    "BRIDGE_SHOW_TRIES": "2",
    "BRIDGE_STUCK_MAX": "100",
    "BRIDGE_RETRY_MAX": "500",
}

LONG = 90.0  # seconds; each try of a ticket that is never shown takes BRIDGE_SHOWN_WAIT


@pytest.fixture
def tmux(tmp_path):
    """A private tmux server: `tmux(...)` runs one command on it."""
    name = f"bridge-shown-{uuid.uuid4().hex[:8]}"
    settings = environment(HOME=str(tmp_path))

    def run(*words: str) -> str:
        argv = ["tmux", "-u", "-L", name, "-f", "/dev/null", *words]
        return subprocess.run(
            argv, check=True, capture_output=True, text=True, env=settings, cwd=tmp_path
        ).stdout

    run.name = name
    yield run
    subprocess.run(["tmux", "-L", name, "kill-server"], capture_output=True, env=settings)


def open_shell(tmux, agent: str) -> None:
    tmux(
        "new-session",
        "-d",
        "-s",
        f"dev-{agent}",
        "-x",
        "120",
        "-y",
        "40",
        "bash --norc --noprofile",
    )


def screen(tmux, agent: str) -> str:
    return tmux("capture-pane", "-p", "-J", "-S", "-", "-t", f"=dev-{agent}:")


def see(tmux, agent, watch, condition, what: str) -> None:
    """Wait for the condition. A failure contains the output of the watcher and of the pane."""
    try:
        wait_until(condition, what, LONG)
    except AssertionError as error:
        raise AssertionError(f"{error}: {watch.said}\n{screen(tmux, agent)}") from None


def watching(bridge, tmux, agent: str, *flags: str, **settings: str):
    return bridge.running(
        "watch", agent, f"dev-{agent}", "0", "-L", tmux.name, *flags, **{**QUICK, **settings}
    )


def test_a_ticket_is_verified_by_the_report_of_show(bridge, served, tmux):
    agent = new_name()
    open_shell(tmux, agent)
    with watching(bridge, tmux, agent):
        ticket = served.send(agent, "the words of it")
        wait_until(lambda: served.ticket(ticket)["status"] == "delivered", "the delivery")
    history = {stage["stage"]: stage for stage in served.ticket(ticket)["history"]}
    assert (
        history["injected"]["evidence"]["verified"] is True
        and history["injected"]["evidence"]["form"] == "shell"
    )
    assert (
        history["shown"]["evidence"]["pane"]
        == tmux("list-panes", "-t", f"=dev-{agent}:", "-F", "#{pane_id}").strip()
    )
    assert "the words of it" in screen(tmux, agent)


def test_a_command_that_fails_in_the_pane_is_no_delivery(bridge, served, tmux, tmp_path):
    """B3: "No module named bridge" was in the pane, and the ticket counted as delivered.

    Now it stays pending, and `why` gives the reason.
    """
    agent, broken = new_name(), tmp_path / "bridge"  # there is no such file
    open_shell(tmux, agent)
    command = f"python3 {shlex.quote(str(broken))} show {{id}}"
    with watching(
        bridge, tmux, agent, "--shell-command", command, BRIDGE_STUCK_MAX="600000"
    ) as watch:
        ticket, behind = served.send(agent, "one"), served.send(agent, "two")
        wait_until(
            lambda: any("is not typed again" in line for line in watch.said), "no third try", LONG
        )
        assert served.ticket(ticket)["status"] == "pending" and "shown" not in stages(
            served.ticket(ticket)
        )
        assert screen(tmux, agent).count(f"show {ticket}") == 2, "BRIDGE_SHOW_TRIES"
        wait_until(lambda: "unconfirmed" in bridge.run("why", ticket), "the reason in why")
        assert served.ticket(behind)["status"] == "pending"
        # A person runs the right command. Then the ticket is delivered, and not typed again.
        tmux(
            "send-keys",
            "-t",
            f"=dev-{agent}:",
            f"{own_words()} show {ticket} --broker-url {served.url}",
            "Enter",
        )
        wait_until(lambda: served.ticket(ticket)["status"] == "delivered", "the delivery")


def test_a_ticket_that_stays_unconfirmed_is_set_aside(bridge, served, tmux, tmp_path):
    agent = new_name()
    (tmp_path / "bridge").write_text(
        "import os, sys\n"
        "if sys.argv[2] != open('poison').read():"
        " os.execv(sys.argv[-1], sys.argv[-1:] + ['-I', %r, *sys.argv[1:-1]])\n"
        % str(ROOT / "bridge")
    )
    (tmp_path / "poison").write_text("poison-" + agent)
    open_shell(tmux, agent)
    tmux("send-keys", "-t", f"=dev-{agent}:", f"cd {shlex.quote(str(tmp_path))}; clear", "Enter")
    command = (
        f"python3 {shlex.quote(str(tmp_path / 'bridge'))} show {{id}} --broker-url {served.url} "
        f"{sys.executable}"
    )
    with watching(bridge, tmux, agent, "--shell-command", command) as watch:
        poison = served.send(agent, "never shown", ticketId="poison-" + agent)
        after = served.send(agent, "after it")
        see(
            tmux,
            agent,
            watch,
            lambda: served.ticket(after)["status"] == "delivered",
            "the successor",
        )
        assert served.ticket(poison)["status"] == "pending" and "aside" in stages(
            served.ticket(poison)
        )


def test_a_command_that_reports_nothing_is_acknowledged_as_not_verified(
    bridge, served, tmux, tmp_path
):
    agent = new_name()
    open_shell(tmux, agent)
    with watching(
        bridge,
        tmux,
        agent,
        "--shell-command",
        f"echo {{id}} >> {shlex.quote(str(tmp_path / 'log'))}",
    ):
        ticket = served.send(agent, "x")
        wait_until(lambda: served.ticket(ticket)["status"] == "delivered", "the delivery")
    evidence = next(
        stage["evidence"]
        for stage in served.ticket(ticket)["history"]
        if stage["stage"] == "injected"
    )
    assert evidence["verified"] is False and "does not report" in evidence["note"]
    assert (tmp_path / "log").read_text().split() == [ticket]


def test_a_report_of_another_terminal_is_no_evidence(bridge, served, tmux, tmp_path):
    """The sender runs `show` in another pane, while the command in the right pane fails."""
    agent, other = new_name(), new_name()
    open_shell(tmux, agent)
    open_shell(tmux, other)
    with watching(
        bridge,
        tmux,
        agent,
        "--shell-command",
        f"python3 {tmp_path}/bridge show {{id}}",
        BRIDGE_STUCK_MAX="600000",
    ) as watch:
        ticket = served.send(agent, "x")
        watch.wait_said("has not reported that it ran")
        tmux(
            "send-keys",
            "-t",
            f"=dev-{other}:",
            f"{own_words()} show {ticket} --broker-url {served.url}",
            "Enter",
        )
        wait_until(lambda: "shown" in stages(served.ticket(ticket)), "the stage")
        wait_until(
            lambda: any("is not typed again" in line for line in watch.said), "no third try", LONG
        )
        assert served.ticket(ticket)["status"] == "pending"


def test_a_broker_that_is_killed_after_the_typing_gets_the_report_later(
    program_for, tmux, tmp_path
):
    """H2: `show` and the acknowledgement both wait for the broker."""
    agent, store = new_name(), tmp_path / "bridge.db"
    open_shell(tmux, agent)
    with Broker(package_launcher(), store, BRIDGE_RATE_LIMIT=0) as broker:
        bridge = program_for(broker.url)
        with watching(bridge, tmux, agent, BRIDGE_SHOWN_WAIT="15000") as watch:
            ticket = broker.send(agent, "through the crash")
            see(tmux, agent, watch, lambda: f"show {ticket}" in screen(tmux, agent), "the typing")
            broker.kill()
            broker.flags = ["--port", str(broker.port)]
            broker.start()
            see(
                tmux,
                agent,
                watch,
                lambda: broker.ticket(ticket)["status"] == "delivered",
                "the delivery",
            )
        history = stages(broker.ticket(ticket))
        assert "shown" in history and "through the crash" in screen(tmux, agent)

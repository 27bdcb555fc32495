"""`show` reports to the broker only on a terminal; and its output before the message is bounded."""

from __future__ import annotations

import asyncio
import os
import pty
import shlex

import pytest
from fakes import FakeBroker, problem
from panes import Server
from running import ROOT, environment, new_name, package_launcher, stages, wait_until

from bridge.cli.commands.show import LINE_MAX, METADATA_MAX


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path)
    yield started
    started.stop()


def told(broker, ticket_id: str) -> list[dict]:
    return [
        moment["evidence"]
        for moment in broker.ticket(ticket_id)["history"]
        if moment["stage"] == "shown"
    ]


@pytest.mark.parametrize("flags", [[], ["--body"], ["--json"]])
def test_show_in_a_pane_reports_the_pane(served, server, flags):
    ticket_id = served.send(new_name(), "read me in the pane")
    words = shlex.join([*package_launcher(), "show", ticket_id, "--broker-url", served.url, *flags])
    pane = server.open(
        f"env PYTHONPATH={shlex.quote(str(ROOT))} sh -c {shlex.quote(words + '; exec cat')}"
    )
    evidence = wait_until(lambda: told(served, ticket_id), "the stage")
    assert evidence == [{"pane": pane.id, "tty": pane.get("pane_tty")}]
    assert pane.is_shown("read me in the pane"), "the text comes before the stage"
    assert served.ticket(ticket_id)["status"] == "pending"


def test_show_on_a_terminal_without_tmux_reports_the_device(bridge, served):
    ticket_id = served.send(new_name(), "hello")
    assert on_terminal(bridge.environment, "show", ticket_id)[0] == 0
    (evidence,) = told(served, ticket_id)
    assert list(evidence) == ["tty"] and evidence["tty"].startswith("/dev/")


def test_show_into_a_pipe_reports_nothing(bridge, served):
    ticket_id = served.send(new_name(), "hello")
    for flags in ([], ["--json"], ["--body"]):
        bridge.run("show", ticket_id, *flags)
    assert stages(served.ticket(ticket_id)) == ["accepted"] and bridge.stderr == ""


def on_terminal(settings: dict[str, str], *words: str) -> tuple[int, str, str]:
    """Run a command with a terminal as stdout: exit status, the terminal's text, stderr."""

    async def run() -> tuple[int, str, str]:
        terminal, other_end = pty.openpty()
        child = await asyncio.create_subprocess_exec(
            *package_launcher(),
            *words,
            stdout=other_end,
            stderr=asyncio.subprocess.PIPE,
            env=settings,
            cwd=ROOT,
        )
        os.close(other_end)
        _, said = await asyncio.wait_for(child.communicate(), 60)
        try:
            return child.returncode, os.read(terminal, 65536).decode(), said.decode()
        finally:
            os.close(terminal)

    return asyncio.run(run())


def played(answers, *flags: str):
    """`show` on a terminal, against a broker with one ticket and these answers to `shown`."""
    left = list(answers)

    async def handler(asked, writer):
        if asked.method == "GET":
            return 200, {
                "ticketId": "T-1",
                "agentId": "lucy",
                "payload": "the whole text",
                "status": "pending",
                "history": [],
            }
        assert asked.path == ["tickets", "T-1", "shown"]
        return left.pop(0) if len(left) > 1 else left[0]

    async def run():
        async with FakeBroker(handler) as broker:
            settings = environment(BRIDGE_BROKER_URL=broker.url)
            return await asyncio.get_running_loop().run_in_executor(
                None, lambda: on_terminal(settings, "show", "T-1", *flags)
            )

    status, out, said = asyncio.run(run())
    assert status == 0 and out.endswith("the whole text\r\n"), said
    return said, left


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_broker_is_no_error(status):
    assert played([(status, {"error": "Cannot POST"})])[0] == ""
    assert played([problem(status, "nothing lives there")])[0] == ""


def test_the_report_is_repeated_until_the_broker_answers():
    done = (200, {"ticketId": "T-1", "status": "pending"})
    assert played([None, problem(503, "stopping"), done], "--patience", "60000") == ("", [done])


def test_a_broker_that_never_answers_the_report_is_one_line_and_no_failure():
    said, _ = played([None], "--patience", "300")
    assert (
        said.startswith("bridge: could not report to the broker that this was shown: ")
        and said.count("\n") == 1
    )


def test_the_output_before_the_message_is_bounded(bridge, served):
    metadata = {
        "origin": "x" * 5000,
        "long": "y" * 100_000,
        "z" * 100_000: 1,
        **{f"key {number}": number for number in range(1000)},
    }
    ticket_id = served.send(new_name(), "the message", metadata=metadata)
    served.acknowledge(ticket_id, {"watcher": "w", "evidence": {"note": "n" * 100_000}})
    lines = bridge.run("show", ticket_id).split("\n")
    assert len(lines) < METADATA_MAX + 15 and max(map(len, lines)) < LINE_MAX + 100
    cut = [line for line in lines if "(cut, " in line]
    assert (
        len(cut) == 5
        and cut[0].startswith("from")
        and "(cut, 100007 characters; --json shows all)" in cut[1]
    )
    assert f"metadata  (cut, {len(metadata) - 1 - METADATA_MAX} more; --json shows all)" in lines
    assert (
        sum(line.startswith("metadata") for line in lines) == METADATA_MAX + 1
        and lines[-2] == "the message"
    )

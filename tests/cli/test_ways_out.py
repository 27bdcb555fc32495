"""The commands drop, purge and unregister, in a script, and on a terminal if they ask there."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
from running import ROOT, new_name, package_launcher


def test_drop(bridge, served):
    ticket_id = served.send(new_name(), ticketId=f"my own {new_name()}")
    path = ticket_id.replace(" ", "%20")
    assert bridge.run("drop", ticket_id, "--reason", "a slip") == f"{ticket_id} is dropped\n"
    assert served.ticket(path)["history"][-1]["evidence"] == {"reason": "a slip"}
    assert "ended it undelivered" in bridge.run("why", ticket_id)
    assert json.loads(bridge.run("drop", ticket_id, "--json"))["status"] == "dropped"
    delivered = served.send(new_name())
    served.acknowledge(delivered)
    assert bridge.run("drop", delivered, status=5) == "" and "delivered already" in bridge.stderr
    bridge.run("drop", "no-such-ticket", status=4)
    bridge.run("drop", status=2)


def test_a_drop_ends_a_send_that_waits(bridge, served):
    agent = new_name()
    served.register(agent)
    ticket_id = f"waited-for-{new_name()}"
    with bridge.running("send", agent, "hello", "--wait", "--ticket-id", ticket_id) as sender:
        with served.agent_stream(agent) as stream:
            assert stream.read_event().json["ticketId"] == ticket_id
        served.ask("DELETE", f"/tickets/{ticket_id}")
        assert sender.process.wait(30) == 7
        sender.wait_said("is dropped; no reply to it will come")


def test_send_to_an_unknown_agent_warns_at_once(bridge, served):
    agent = f"lucy-{new_name()}"
    served.register(agent)
    slip = agent.replace("lucy", "Lcuy")
    ticket_id = bridge.run("send", slip, "hello", "--no-reply").strip()
    assert bridge.stderr.count("\n") == 1 and f"no agent {slip} is registered" in bridge.stderr
    assert (
        agent in bridge.stderr.partition("did you mean")[2] and f"drop {ticket_id}" in bridge.stderr
    )
    assert json.loads(bridge.run("send", slip, "hello", "--json"))["known"] is False
    bridge.run("send", agent, "hello")
    assert bridge.stderr == ""
    bridge.run("send", f"{agent} ", "hello", status=2)
    assert "white space" in bridge.stderr
    bridge.run("register", f"{agent}\u200b", status=2)
    assert "U+200B" in bridge.stderr


def test_unregister(bridge, served):
    agent = new_name()
    served.register(agent)
    ticket_id = served.send(agent)
    assert bridge.run("unregister", agent) == f"{agent} is not registered any more\n"
    assert served.ask("GET", f"/agents/{agent}").status == 404
    assert served.ticket(ticket_id)["status"] == "pending"
    bridge.run("unregister", agent, status=4)


def test_purge_from_a_script(bridge, served):
    agent = new_name()
    for number in range(3):
        served.send(agent, number)
    bridge.run("purge", agent, status=2)
    assert "--yes" in bridge.stderr and len(served.pending(agent)) == 3
    assert bridge.run("purge", agent, "--yes") == f"3 pending tickets of {agent} were dropped\n"
    assert served.pending(agent) == []
    assert json.loads(bridge.run("purge", agent, "--yes", "--json")) == {
        "agentId": agent,
        "dropped": 0,
    }
    bridge.run("purge", "never-named-by-anything", "--yes", status=4)


@pytest.mark.parametrize(
    "answer, status, left", [("y\n", 0, 0), ("\n", 5, 1), ("no\n", 5, 1), ("\x04", 5, 1)]
)
def test_purge_asks_on_a_terminal(bridge, served, answer, status, left):
    agent = new_name()
    served.send(agent)
    terminal, other_end = pty.openpty()
    words = [*package_launcher(), "purge", agent]
    with subprocess.Popen(
        words,
        stdin=other_end,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=bridge.environment,
        cwd=ROOT,
    ) as process:
        os.close(other_end)
        os.write(terminal, answer.encode())
        said = process.communicate(timeout=30)[1].decode()
        assert process.returncode == status, said
    os.close(terminal)
    assert f"End 1 pending ticket of {agent}? [y/N]" in said
    assert len(served.pending(agent)) == left

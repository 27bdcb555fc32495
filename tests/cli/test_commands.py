"""The commands of a ticket's life against a running broker: send, show, reply, ack, tail, status.

Help, errors and terminals are in test_command_line.py.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess

from running import ROOT, Broker, environment, new_name, package_launcher, stages, wait_until


def test_send_pending_show_ack(bridge, served):
    agent = new_name()
    first = bridge.run(
        "send", agent, "hello\nworld", "--from", "bob", "--metadata", "topic=tests", "--no-reply"
    ).strip()
    second = bridge.run(
        "send", "--urgent", agent, "-", "--ticket-id", "my own/id", stdin=b"from stdin\xff\n"
    ).strip()
    assert "not valid UTF-8" in bridge.stderr
    assert (
        second == "my own/id"
        and bridge.run(
            "send", agent, "--urgent", "--ticket-id", "my own/id", stdin=b"from stdin\xff\n"
        ).strip()
        == second
    )
    bridge.run("send", agent, "another body", "--ticket-id", "my own/id", status=5)

    table = bridge.run("pending", agent).splitlines()
    assert re.split(r"  +", table[0]) == ["SEQ", "TICKET", "FROM", "SINCE", "TEXT"]
    assert first in table[1] and "hello␊world" in table[1] and "bob" in table[1] and len(table) == 3
    listed = json.loads(bridge.run("pending", agent, "--json"))
    assert [each["ticketId"] for each in listed] == [first, second]
    assert (
        listed[0]["metadata"] == {"topic": "tests", "origin": "bob"}
        and listed[0]["expectReply"] is False
    )
    assert (
        listed[1]["payload"] == "from stdin\ufffd" and listed[1]["metadata"]["priority"] == "urgent"
    )
    assert (
        len(
            json.loads(
                bridge.run(
                    "pending", agent, "--json", "--after", str(listed[0]["seq"]), "--limit", "5"
                )
            )
        )
        == 1
    )

    shown = bridge.run("show", first)
    assert (
        shown.endswith("\nhello\nworld\n")
        and "from      bob" in shown
        and "accepted" in shown
        and "reply" not in shown
    )
    assert bridge.run(
        "show", "--id64", base64.urlsafe_b64encode(second.encode()).decode().rstrip("=")
    ) == bridge.run("show", second)
    assert json.loads(bridge.run("show", first, "--json"))["payload"] == "hello\nworld"
    assert bridge.run("show", first, "--body") == "hello\nworld\n"

    assert bridge.run("ack", first) == f"{first} is delivered\n"
    assert json.loads(bridge.run("ack", first, "--json"))["status"] == "delivered"
    assert stages(served.ticket(first))[-1] == "acknowledged" and "form=by hand" in bridge.run(
        "show", first
    )


def test_send_without_a_text_is_an_error(bridge, served):
    agent = new_name()
    for words in ([], ["-"]):
        bridge.run("send", agent, *words, status=2)
        assert "standard input was empty" in bridge.stderr
    bridge.run("send", agent, "")
    assert [each["payload"] for each in served.pending(agent)] == [""]


def test_the_command_for_the_answer_can_be_pasted_into_any_shell(bridge, served, tmp_path):
    """It names the broker, since the shell in the pane may have other settings."""
    ticket_id = served.send(new_name(), "question", ticketId="an odd; id")
    answer = next(
        line
        for line in bridge.run(
            "show", "--id64", "YW4gb2RkOyBpZA", "--broker-url", served.url
        ).splitlines()
        if line.startswith("answer")
    )
    command = answer.partition(" ")[2].strip()
    subprocess.run(
        ["sh", "-c", command], env=environment(PYTHONPATH=""), cwd=tmp_path, check=True, timeout=30
    )
    assert (
        served.ticket("an%20odd%3B%20id")["response"]["payload"] == "..."
        and ticket_id == "an odd; id"
    )


def test_show_waits_for_a_broker_that_restarts(tmp_path):
    with Broker(package_launcher(), tmp_path / "bridge.db") as first:
        ticket_id = first.send("lucy", "still here")
        url, port = first.url, first.port
    show = [*package_launcher(), "show", ticket_id, "--broker-url", url]
    impatient = subprocess.run(
        [*show, "--patience", "0"],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert impatient.returncode == 3 and impatient.stderr.count("\n") == 1
    reading = subprocess.Popen(
        [*show, "--patience", "60000"],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "trying for 60 s" in reading.stderr.readline()
    with Broker(package_launcher(), tmp_path / "bridge.db", flags=["--port", str(port)]):
        out, _ = reading.communicate(timeout=30)
    assert reading.returncode == 0 and out.endswith("\nstill here\n")


def test_show_never_lets_a_ticket_act_on_the_terminal(bridge, served):
    hostile = "\x1b]0;pwn\x07\x1b[2J\x9b31m\u202eevil\x00\r\nend\ttab"
    ticket_id = served.send(
        new_name(), hostile, metadata={"origin": "bob\u202e", "x\u001b": "\u001b[1m\n"}
    )
    shown = bridge.run("show", ticket_id)
    assert (
        not set(shown) & set("\x1b\x07\x9b\x00\r\u202e")
        and "␛]0;pwn␇" in shown
        and shown.endswith("evil␀\nend\ttab\n")
    )
    for words in (
        ("pending", served.ticket(ticket_id)["agentId"]),
        ("show", ticket_id, "--json"),
        ("pending", served.ticket(ticket_id)["agentId"], "--json"),
    ):
        assert not set(bridge.run(*words)) & set("\x1b\x07\x9b\x00\r\u202e")


def test_a_payload_of_json(bridge):
    agent = new_name()
    ticket_id = bridge.run("send", agent, "--payload-json", '{"a": [1, "x"]}').strip()
    assert json.loads(bridge.run("show", ticket_id, "--json"))["payload"] == {"a": [1, "x"]}
    assert '{"a": [1, "x"]}' in bridge.run("pending", agent)
    bridge.run("send", agent, "--payload-json", "{", status=2)


def test_wait_prints_the_reply_and_reply_answers(bridge):
    agent, sender = new_name(), new_name()
    bridge.run("register", sender)
    with bridge.running("send", agent, "how are you?", "--wait", "--from", sender) as waiting:
        pending = wait_until(
            lambda: json.loads(bridge.run("pending", agent, "--json")), "the ticket"
        )
        bridge.run("reply", pending[0]["ticketId"], "fine,\nthanks", "--from", agent)
        assert waiting.process.wait(20) == 0
        wait_until(
            lambda: waiting.lines == ["fine,", "thanks"],
            f"the reply: {waiting.lines} {waiting.said}",
        )
    answer = json.loads(bridge.run("pending", sender, "--json"))
    assert answer[0]["payload"] == "fine,\nthanks" and answer[0]["metadata"]["isReply"] is True
    assert "    fine,\n    thanks" in bridge.run("show", pending[0]["ticketId"])
    bridge.run("reply", pending[0]["ticketId"], "again", status=5)
    id64 = base64.urlsafe_b64encode(answer[0]["ticketId"].encode()).decode().rstrip("=")
    bridge.run("reply", "--id64", id64, "text after the flag")
    assert (
        json.loads(bridge.run("show", answer[0]["ticketId"], "--json"))["response"]["payload"]
        == "text after the flag"
    )


def test_no_reply_in_time_is_status_7_and_the_ticket_stays(bridge, served):
    agent = new_name()
    served.register(agent)
    assert bridge.run("send", agent, "anybody?", "--wait", "--timeout-ms", "50", status=7) == ""
    assert len(json.loads(bridge.run("pending", agent, "--json"))) == 1
    bridge.run("send", agent, "x", "--wait", "--no-reply", status=2)


def test_agents_register_status(bridge, served):
    agent = new_name()
    said = bridge.run(
        "register",
        agent,
        "--type",
        "claude",
        "--session",
        "dev",
        "--pane",
        "0",
        "--metadata",
        "a=b",
    )
    assert said.startswith(f"{agent} is registered (claude")
    listed = {each["agentId"]: each for each in json.loads(bridge.run("agents", "--json"))}
    assert listed[agent]["metadata"] == {"a": "b", "session": "dev", "paneId": "0"}
    assert any(
        line.split() == [agent, "claude", "offline", "dev", "0"]
        for line in re.sub(r"\d{4}-\S+Z", "", bridge.run("agents", "--type", "claude")).splitlines()
    ) or agent in bridge.run("agents")
    assert agent not in bridge.run("agents", "--type", "nobody-has-this")
    assert json.loads(bridge.run("status", "--json"))[
        "status"
    ] == "ok" and "connections.sse.active" in bridge.run("status")
    served.send(agent)
    assert json.loads(bridge.run("status", agent, "--json"))["pendingMessages"] == 1
    assert re.search(r"pendingMessages\s+1\n", bridge.run("status", agent))


def test_tail_prints_tickets_and_ctrl_c_is_130(bridge, served):
    agent = new_name()
    before = served.send(agent, "before\x1b")
    with bridge.running("tail", agent) as tail, bridge.running("tail", "--json") as everything:
        wait_until(
            lambda: any(before in line and "before␛" in line for line in tail.lines),
            f"the pending ticket: {tail.said}",
        )
        wait_until(lambda: everything.lines, "the other tail")
        after, other = served.send(agent, "after"), served.send(new_name(), "not for this one")
        wait_until(lambda: any(after in line for line in tail.lines), "the later ticket")
        wait_until(
            lambda: any(json.loads(line)["ticketId"] == other for line in everything.lines),
            "everything",
        )
        assert not any(other in line for line in tail.lines)
        assert json.loads(bridge.run("status", agent, "--json"))["connection"] != "sse", (
            "reading is not receiving"
        )
        tail.stop(signal.SIGINT, 130)
        everything.stop(signal.SIGINT, 130)

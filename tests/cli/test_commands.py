"""Each command as a person runs it, against a running broker: what it prints, and its exit status."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import signal
import subprocess
import sys

import pytest
from running import ROOT, Broker, environment, new_name, package_launcher, stages, wait_until

from bridge.cli.main import COMMANDS


def test_each_help_has_an_example_and_the_list_names_all(bridge):
    listed = bridge.run("--help")
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s+\w", listed, re.M)
        told = bridge.run(name, "--help")
        assert f"example:\n  python3 -m bridge {name}" in told
    for each in ("0 ok", "3 broker not reachable", "8 tmux or pane"):
        assert each in listed


def test_version_and_no_command(bridge):
    assert re.fullmatch(r"bridge \d+\.\d+\.\d+\n", bridge.run("--version"))
    assert "commands:" in bridge.run(status=2)
    bridge.run("fly", status=2)
    bridge.run("send", status=2)


def test_send_pending_show_ack(bridge, served):
    agent = new_name()
    first = bridge.run(
        "send", agent, "hello\nworld", "--from", "bob", "--metadata", "topic=tests", "--no-reply"
    ).strip()
    second = bridge.run(
        "send", "--urgent", agent, "-", "--ticket-id", "my own/id", stdin=b"from stdin\xff\n"
    ).strip()
    assert "not all UTF-8" in bridge.stderr
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


def test_no_text_is_no_ticket(bridge, served):
    agent = new_name()
    for words in ([], ["-"]):
        bridge.run("send", agent, *words, status=2)
        assert "standard input was empty" in bridge.stderr
    bridge.run("send", agent, "")
    assert [each["payload"] for each in served.pending(agent)] == [""]


def test_the_answer_that_show_names_can_be_pasted_into_any_shell(bridge, served, tmp_path):
    """It names the broker: the shell in the pane may know of no setting of ours."""
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


@pytest.mark.parametrize(
    "words, status",
    [
        (["show", "no-such-ticket"], 4),
        (["ack", "no-such-ticket"], 4),
        (["reply", "no-such-ticket", "x"], 4),
        (["status", "nobody-ever-named"], 4),
        (["show"], 2),
        (["show", "a", "--id64", "YQ"], 2),
        (["send", "a", "x", "--ttl-ms", "0"], 2),
        (["send", "a", "x", "--timeout-ms", "-5"], 2),
        (["pending", "a", "--limit", "0"], 2),
        (["search", "x", "--before", "-1"], 2),
        (["register", "a", "--heartbeat-interval-ms", "none"], 2),
        (["show", "--id64", "!!"], 2),
        (["send", "bad\x1bid", "x"], 2),
        (["send", "", "x"], 2),
        (["send", "a", "x", "--metadata", "novalue"], 2),
        (["pending", "a", "--broker-url", "ftp://x"], 2),
        (["pending", "a", "--broker-url", "http://127.0.0.1:1"], 3),
        (["pending", "a", "--request-timeout", "x"], 2),
        (["watch", "a"], 2),
        (["watch", "a", "s", "0", "--print"], 2),
        (["watch", "a", "--print", "--exec", "cat"], 2),
        (["watch", "a", "s", "x y"], 2),
        (["watch", "a", "s", "%"], 2),
        (["send", "a", "two", "words"], 2),
        (["send", "a", "two", "lines\n\x1b[31m"], 2),
        (["broker", "--no-such-flag"], 2),
        (["no-such-command"], 2),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(bridge, words, status):
    bridge.run(*words, status=status)
    assert bridge.stderr.strip()
    assert bridge.stderr.count("\n") == 1, bridge.stderr


def test_what_listens_but_is_no_broker_is_status_3(bridge, served, tmp_path):
    import http.server
    import threading

    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        bridge.run(
            "agents", "--broker-url", f"http://127.0.0.1:{server.server_port}", status=3
        )  # http.server's 501 says nothing of a broker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_tail_shows_what_is_sent_and_ctrl_c_is_130(bridge, served):
    agent = new_name()
    before = served.send(agent, "before\x1b")
    with bridge.running("tail", agent) as tail, bridge.running("tail", "--json") as everything:
        wait_until(
            lambda: any(before in line and "before␛" in line for line in tail.lines),
            f"what was pending: {tail.said}",
        )
        wait_until(lambda: everything.lines, "the other tail")
        after, other = served.send(agent, "after"), served.send(new_name(), "not for this one")
        wait_until(lambda: any(after in line for line in tail.lines), "what came later")
        wait_until(
            lambda: any(json.loads(line)["ticketId"] == other for line in everything.lines),
            "everything",
        )
        assert not any(other in line for line in tail.lines)
        assert json.loads(bridge.run("status", agent, "--json"))["connection"] != "sse", (
            "looking is not receiving"
        )
        tail.stop(signal.SIGINT, 130)
        everything.stop(signal.SIGINT, 130)


def test_a_closed_stdout_is_quiet(bridge, served):
    agent = new_name()
    first = served.send(agent)
    words = [*package_launcher(), "tail", agent, "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=bridge.environment, cwd=ROOT
    ) as process:
        assert first.encode() in process.stdout.readline()
        process.stdout.close()
        served.send(agent)
        said = [
            line for line in process.stderr.read().splitlines() if not line.startswith(b"Executing")
        ]  # asyncio's debug mode, on a loaded machine
        assert said == [] and process.wait(20) == 141


@pytest.mark.parametrize(
    "settings, coloured", [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_on_a_terminal_and_not_with_no_color(bridge, settings, coloured):
    terminal, other_end = pty.openpty()
    environment = {**bridge.environment, "TERM": "xterm", **settings}
    if not settings:
        environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [*package_launcher(), "agents"],
        stdout=other_end,
        stdin=other_end,
        env=environment,
        cwd=ROOT,
    ) as process:
        os.close(other_end)
        assert process.wait(20) == 0
    seen = os.read(terminal, 65536)
    os.close(terminal)
    assert (b"\x1b[" in seen) is coloured and b"AGENT" in seen
    assert "\x1b" not in bridge.run("agents")


def test_a_locale_without_utf_8_gets_escapes_and_no_traceback(bridge, served):
    ticket_id = served.send(new_name(), "grün ␛ 漢")
    bridge.environment.update(
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    )
    assert bridge.run("show", ticket_id, "--body") == "gr\\xfcn \\u241b \\u6f22\n"


def test_an_old_python_gets_a_sentence(tmp_path):
    """The file must compile as Python 2 would read it; what an old one prints is tried by lying about the version."""
    source = (ROOT / "bridge" / "__main__.py").read_text()
    assert not re.search(r"f\"|f'|->|: \w+ =", source.split('"""', 2)[2])
    lie = "import sys; sys.version_info = (3, 8, 0); import runpy; runpy.run_module('bridge', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", lie], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert (
        done.returncode == 1
        and done.stderr.startswith("bridge: Python 3.9 or later is needed")
        and done.stderr.count("\n") == 1
    )

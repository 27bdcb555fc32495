"""The command line itself: help, errors and exit statuses, colours, locales, an old Python."""

from __future__ import annotations

import http.server
import os
import pty
import re
import subprocess
import sys
import threading

import pytest
from running import ROOT, new_name, package_launcher

from bridge.cli.main import COMMANDS


def test_each_help_has_an_example_and_the_list_has_every_command(bridge):
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
def test_an_error_is_one_line_and_an_exit_status(bridge, words, status):
    bridge.run(*words, status=status)
    assert bridge.stderr.strip()
    assert bridge.stderr.count("\n") == 1, bridge.stderr


def test_another_server_than_a_broker_is_status_3(bridge, served, tmp_path):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        # http.server answers 501, without the JSON of a broker.
        bridge.run("agents", "--broker-url", f"http://127.0.0.1:{server.server_port}", status=3)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


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
        # asyncio's debug mode writes some lines on a loaded machine.
        written = process.stderr.read().splitlines()
        said = [line for line in written if not line.startswith(b"Executing")]
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


def test_an_old_python_prints_one_line(tmp_path):
    """The file must compile with Python 2. For the output, the test replaces the version."""
    source = (ROOT / "bridge" / "__main__.py").read_text()
    assert not re.search(r"f\"|f'|->|: \w+ =", source.split('"""', 2)[2])
    lie = (
        "import sys; sys.version_info = (3, 8, 0); import runpy; "
        "runpy.run_module('bridge', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", lie], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert (
        done.returncode == 1
        and done.stderr.startswith("bridge: Python 3.9 or later is needed")
        and done.stderr.count("\n") == 1
    )

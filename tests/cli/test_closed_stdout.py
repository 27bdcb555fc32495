"""Each command with a stdout that cannot be written: closed, a pipe without a reader, a full disk.

There is never a traceback, and the exit status is always the right one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest
from panes import Server
from running import ROOT, new_name, package_launcher, wait_until

from bridge.cli.main import COMMANDS
from cli.conftest import Running

END = 60.0  # seconds for a command on a loaded machine
# They print nothing. `supervise --print` prints as `watch --print` does.
SILENT = {"broker", "reply", "supervise"}
SLOW = {"bench", "demo"}  # they start other processes, so they are tested with one stdout only


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    started.open("sleep 100000")
    yield started
    started.stop()


@pytest.fixture
def words(served, server, tmp_path):
    """words(command): the arguments of a command that prints something, for example a ticket."""

    def make(name: str) -> list[str]:
        agent = new_name()
        served.register(agent)
        ticket, session = (
            served.send(agent, "findable"),
            server("list-sessions", "-F", "#{session_name}").split()[0],
        )
        return {
            "watch": ["watch", agent, "--print"],
            "send": ["send", agent, "hello"],
            "show": ["show", ticket],
            "pending": ["pending", agent],
            "tail": ["tail", agent],
            "why": ["why", ticket],
            "search": ["search", "findable"],
            "top": ["top", "--once"],
            "agents": ["agents"],
            "register": ["register", agent],
            "ack": ["ack", ticket],
            "drop": ["drop", ticket],
            "purge": ["purge", agent, "--yes"],
            "unregister": ["unregister", agent],
            "backup": ["backup", str(tmp_path / "copy.db")],
            "status": ["status"],
            "explain": ["explain", session, "0", "-L", server.name],
            "doctor": ["doctor", "-L", server.name],
            "bench": ["bench", "--quick", "--agents", "1", "--tickets", "1", "--ways", "sse"],
            "demo": ["demo", "--print"],
            "pack": ["pack", str(tmp_path / "bridge.pyz")],
        }[name]

    return make


@contextlib.contextmanager
def broken_pipe():
    """The write end of a pipe without a reader: as `| true`, but without its race."""
    unread, written = os.pipe()
    os.close(unread)
    yield written
    os.close(written)


@contextlib.contextmanager
def full_disk():
    with open("/dev/full", "wb") as full:
        yield full.fileno()


def run(bridge, words, stdout, unbuffered="") -> subprocess.CompletedProcess[str]:
    command, given = (
        [*package_launcher(), *words],
        {**bridge.environment, "PYTHONUNBUFFERED": unbuffered},
    )
    if stdout == "closed":
        command, stdout = ["sh", "-c", 'exec "$@" >&-', "sh", *command], subprocess.DEVNULL
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=given,
        cwd=ROOT,
        text=True,
        timeout=END,
    )


def said(ended) -> list[str]:
    """stderr without the log, bench's progress and asyncio's debug mode on a loaded machine."""
    return [
        line
        for line in ended.stderr.splitlines()
        if not line.startswith(("Executing", "bench ")) and " info " not in line
    ]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SILENT])
def test_a_closed_stdout_is_status_141_and_quiet(bridge, words, name):
    ended = run(bridge, words(name), "closed")
    assert (ended.returncode, said(ended)) == (141, [])


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in SILENT | SLOW])
def test_a_broken_pipe_is_the_same(bridge, words, name):
    with broken_pipe() as pipe:
        ended = run(bridge, words(name), pipe)
    assert (ended.returncode, said(ended)) == (141, [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this machine has no /dev/full")
@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in SILENT | SLOW | {"watch"}]
)
def test_a_full_disk_is_one_line(bridge, words, name):
    with full_disk() as full:
        ended = run(bridge, words(name), full)
    (line,) = said(ended)
    assert ended.returncode == 1 and line.startswith("bridge: ") and "No space left" in line


# The last help text is longer than a buffer of 8 KiB.
HELPS = [["--help"], ["--version"], [], ["send", "--help"], ["supervise", "--help"]]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this machine has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_help_and_version_too(bridge, words, unbuffered):
    closed = run(bridge, words, "closed", unbuffered)
    with broken_pipe() as pipe:
        piped = run(bridge, words, pipe, unbuffered)
    assert [(ended.returncode, ended.stderr) for ended in (closed, piped)] == [(141, "")] * 2
    with full_disk() as full:
        ended = run(bridge, words, full, unbuffered)
    assert (
        ended.returncode == 1 and ended.stderr.count("\n") == 1 and "No space left" in ended.stderr
    )


def test_the_exit_status_of_send_tells_whether_its_ticket_was_accepted(bridge, served):
    """Status 141 means accepted. A refusal has its own status, also with stdout closed."""
    agent = new_name()
    assert (
        run(bridge, ["send", agent, "hello", "--ticket-id", f"T-{agent}"], "closed").returncode
        == 141
    )
    with full_disk() as full:
        ended = run(bridge, ["send", agent, "hello", "--ticket-id", f"U-{agent}"], full)
    assert ended.returncode == 1 and f"the ticket U-{agent} was accepted" in ended.stderr
    assert [ticket["ticketId"] for ticket in served.pending(agent)] == [f"T-{agent}", f"U-{agent}"]
    assert (
        run(
            bridge, ["send", agent, "hello", "--broker-url", "http://127.0.0.1:1"], "closed"
        ).returncode
        == 3
    )
    assert run(bridge, ["send", agent, ""], "closed").returncode == 141
    assert (
        run(bridge, ["send", agent, "late", "--wait", "--timeout-ms", "1"], "closed").returncode
        == 7
    )
    told = bridge.run("send", "--help")
    assert "Exit status 0, 7 (no reply in time) and 141" in told


def test_a_watcher_of_a_pane_runs_without_stdin_and_stdout(bridge, served, server):
    """Its sockets do not get the file descriptor of stdout."""
    agent, pane = new_name(), server.open("env 'PS1=$ ' bash --norc --noprofile", width=150)
    words = [*package_launcher(), "watch", agent, pane.session, "0", "-L", server.name]
    with Running(bridge, ["sh", "-c", 'exec "$@" <&- >&-', "sh", *words], {}) as watch:
        ticket = served.send(agent, "hello")
        wait_until(
            lambda: served.ticket(ticket)["status"] == "delivered", f"the ticket: {watch.said}"
        )
        assert os.readlink(f"/proc/{watch.process.pid}/fd/1").startswith("pipe:")


@pytest.mark.parametrize("closed", ["2>&-", "<&-", "<&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "words, status", [(["send", "lucy"], 2), (["agents"], 0), (["agents", "--nonsense"], 2)]
)
def test_other_streams_may_be_closed_too(bridge, words, status, closed):
    """Output for stderr never appears on stdout."""
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *package_launcher(strict=False), *words]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=bridge.environment,
        cwd=ROOT,
        text=True,
        timeout=END,
    )
    assert ended.returncode == (141 if ">&- 2" in closed and not status else status)
    assert "Traceback" not in ended.stderr and (ended.stdout == "") is (
        status != 0 or ">&- 2" in closed
    )

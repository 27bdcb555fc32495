"""Which process reads a pane, which others share its terminal, and the fallbacks without /proc."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from foreground import BASH, FAMILY, assert_left_alone, known, look, python
from panes import deliver, run, ticket, until, wait_reason

from bridge.tmux.readiness import terminal
from bridge.tmux.readiness.program import Learned, Rules
from bridge.tmux.readiness.terminal import has_changed, read_terminal
from bridge.tmux.readiness.verdict import judge

STILL = Learned(still=9.0)

# Known agents, and the processes beside and below them


@pytest.mark.parametrize("shape", ["alone", "launched", "carried", "with-helpers"])
def test_a_known_agent_is_recognized_however_it_was_started(server, tmp_path, shape, told_by):
    agent = known(tmp_path, tmp_path / "log")
    command = {
        "alone": shlex.join(agent),
        "launched": python(FAMILY, "--below", *agent),
        "carried": f"sh -c {shlex.quote(shlex.join(agent) + '; exec sh')}",
        "with-helpers": python(
            FAMILY, "--pipe", "docker", "--pipe", "bash", "--pipe", "deno", *agent
        ),
    }[shape]
    pane = server.open(command)
    pane.log = tmp_path / "log"
    pane.wait_shown("BRIDGE-TEST-AGENT")
    run(deliver(pane.injector(), ticket("one")))
    until(lambda: len(pane.messages()) == 1, "the message")


@pytest.mark.parametrize("name", ["ssh", "vim", "psql"])
def test_a_child_that_shares_the_agents_terminal_is_an_objection(server, tmp_path, name):
    pane = server.open(python(FAMILY, "--terminal", name, *known(tmp_path, tmp_path / "log")))
    pane.wait_shown("BRIDGE-TEST-AGENT")
    assert_left_alone(pane, name, "auto", "agent")


def test_the_reader_and_the_program_below_it_are_found(server, tmp_path, told_by):
    agent = shlex.join(known(tmp_path, tmp_path / "log"))
    pane = server.open(BASH)
    pane.wait_shown("$" if os.getuid() else "#")
    before = look(pane)
    assert (before.own, before.below, before.argv) == (True, "", tuple(BASH.split()))
    pane.type(agent)
    pane.keys("Enter")
    pane.wait_shown("BRIDGE-TEST-AGENT")
    seen = look(pane)
    pid, _, started = seen.process.partition("-")
    assert seen.reader.argv[1].endswith("/claude") and (seen.own, seen.below) == (False, "bash")
    assert (
        pid.isdigit()
        and started.isdigit()
        and seen.process != before.process
        and int(pid) != int(pane.get("pane_pid"))
    )
    assert look(pane).process.partition("-")[0] == pid and not has_changed(
        pane.get("pane_tty"), seen
    )
    os.kill(int(pid), signal.SIGKILL)
    until(
        lambda: look(pane).process.partition("-")[0] == before.process.partition("-")[0],
        "the shell in the foreground",
    )
    assert has_changed(pane.get("pane_tty"), seen)
    alone = server.open(agent)
    alone.wait_shown("BRIDGE-TEST-AGENT")
    assert (look(alone).own, look(alone).below) == (True, "")
    carried = server.open(f"sh -c {shlex.quote(agent + '; exec sh')}")
    carried.wait_shown("BRIDGE-TEST-AGENT")
    assert (look(carried).own, look(carried).below) == (False, "sh")
    repl = server.open("python3 -q")
    repl.wait_shown(">>>")
    repl.type(f"__import__('subprocess').call({known(tmp_path, tmp_path / 'log')})")
    repl.keys("Enter")
    repl.wait_shown("BRIDGE-TEST-AGENT")
    assert look(repl).below == "python3"


# Scripts of a shell, and terminals that cannot be read


def test_a_shell_script_that_reads_with_a_line_editor_is_not_a_shell(server, tmp_path, told_by):
    script = tmp_path / "ask.sh"
    script.write_text("read -e -p 'commit % ' answer; eval \"$answer\"\n")
    pane = server.open(f"bash {script}")
    pane.wait_shown("commit %")
    assert_left_alone(pane, "bash is running", "auto", "shell", "agent")


def test_a_terminal_that_cannot_be_read_is_not_ready(server):
    """Another user's pane on a shared socket: `read -s` would look like a prompt."""
    pane = server.open(BASH)
    pane.type("read -s -p 'API token% ' token")
    pane.keys("Enter")
    pane.wait_shown("API token%")
    state = run(pane.injector().look())[1]
    assert not judge(state, STILL) and "password" in judge(state, STILL).reason
    with without_permission(state.tty):
        unreadable = replace(state, terminal=read_terminal(state.tty, state.pane_pid))
    assert unreadable.terminal.argv == tuple(BASH.split()) and not unreadable.terminal.known
    for form in ("auto", "shell", "agent"):
        verdict = judge(unreadable, STILL, Rules(form=form))
        assert not verdict.ready and "--allow-opaque" in verdict.reason, verdict


@contextlib.contextmanager
def without_permission(tty: str) -> Iterator[None]:
    """Act as a user who does not own the terminal."""
    mode, is_root = os.stat(tty).st_mode, os.geteuid() == 0
    try:
        os.seteuid(65534) if is_root else os.chmod(tty, 0)
        yield
    finally:
        os.seteuid(0) if is_root else os.chmod(tty, mode)


def test_the_fallbacks_are_switched_on_by_the_environment(server):
    """The variables are read once, when a process starts. ps reports the same as /proc."""
    pane = server.open(BASH)
    code = (
        "import json, sys; from bridge.tmux.readiness import terminal, tty_events\n"
        "seen = terminal.read_terminal(sys.argv[1], int(sys.argv[2]))\n"
        "executables = [one.executable for one in seen.group]\n"
        "has = [terminal.HAS_PROC, tty_events.HAS_INOTIFY]\n"
        "read = [*has, seen.own, list(seen.argv), executables]\n"
        "print(json.dumps(read))"
    )
    argv = [sys.executable, "-c", code, pane.get("pane_tty"), pane.get("pane_pid")]
    root = str(pathlib.Path(terminal.__file__).parents[3])
    for setting, has_it in (("", True), ("1", False)):
        environment = {
            **os.environ,
            "PYTHONPATH": root,
            "BRIDGE_TEST_NO_PROC": setting,
            "BRIDGE_TEST_NO_INOTIFY": setting,
        }
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=30, check=True, env=environment
        )
        read = json.loads(done.stdout)
        assert read[1:4] == [has_it, True, BASH.split()]
        assert read[0] is has_it and bool(read[4][0]) is has_it


def test_the_end_of_a_command_is_noticed_without_events_and_without_proc(server, told_by):
    pane = server.open(BASH)

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("sleep 0.7")
        pane.keys("Enter")
        await wait_reason(injector, "sleep is running")
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"

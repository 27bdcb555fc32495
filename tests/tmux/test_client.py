"""Running tmux as a process: the deadline, the locale, the version, and older servers."""

from __future__ import annotations

import asyncio
import os
import signal
import stat

import pytest
from panes import PATIENCE, QUICK, deliver, run, ticket, until

from bridge.errors import TmuxError
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.pane_marks import read_mark
from bridge.tmux.readiness.terminal import read_terminal
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane import resolve


@pytest.fixture
def program(tmp_path):
    """Write an executable that replaces tmux."""

    def write(body: str) -> str:
        path = tmp_path / "tmux"
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("tmux 3.3a", (3, 3)),
        ("tmux next-3.6", (3, 6)),
        ("tmux 2.7", (2, 7)),
        ("tmux 3.7-rc", (3, 7)),
        ("tmux openbsd-7.4", (7, 4)),
        ("tmux master", (99, 0)),
    ],
)
def test_versions_are_read_leniently(program, printed, version):
    assert run(Tmux(program=program(f"echo '{printed}'")).version()) == version


def test_a_command_that_fails_names_itself(server):
    server("new-session", "-d", "-s", "some", "dash")
    with pytest.raises(TmuxError, match="tmux no-such-command: .*unknown command"):
        run(Tmux(socket_name=server.name).run("no-such-command"))


def test_a_missing_program_is_reported_as_not_installed():
    with pytest.raises(TmuxError, match="is tmux installed"):
        run(Tmux(program="/nonexistent/tmux").version_text())


def test_a_call_that_hangs_is_killed_at_the_deadline(program, tmp_path):
    tmux = Tmux(program=program(f"echo $$ > {tmp_path}/pid\nexec sleep 60"), deadline=0.5)
    with pytest.raises(TmuxError, match="no answer"):
        run(tmux.query("list-panes"))
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("started", ["sleep 60 | cat", "setsid sleep 60"], ids=["child", "daemon"])
def test_a_child_of_a_tmux_wrapper_does_not_delay_the_deadline(program, tmp_path, started):
    """The child holds our pipes open. A wait for their end would last until the child ends."""
    tmux = Tmux(program=program(f"{started} &\necho $! > {tmp_path}/pid\nwait"), deadline=0.5)

    async def scenario():
        with pytest.raises(TmuxError, match="no answer"):
            await asyncio.wait_for(tmux.query("list-panes"), PATIENCE)

    run(scenario())
    pid = int((tmp_path / "pid").read_text())
    if started.startswith("setsid"):  # it is outside the session that the deadline kills
        os.kill(pid, signal.SIGKILL)
    else:
        until(lambda: not is_alive(pid), "the end of the child")


def test_ctrl_c_in_our_terminal_does_not_reach_tmux(program):
    """SIGINT stops the watcher. A tmux call that types must finish nevertheless."""
    session = run(Tmux(program=program("exec ps -o sid= -p $$")).run("set-option"))
    assert int(session) != os.getsid(0)


@pytest.mark.parametrize(
    "body", ["exit 0", "echo something else", "echo no such thing >&2; exit 1"]
)
def test_no_batched_look_waits_for_an_answer_that_does_not_come(program, body):
    """Concurrent looks share one call of tmux, and the program may not be tmux."""
    tmux = Tmux(program=program(body))

    async def scenario():
        looks = [asyncio.ensure_future(tmux.query("list-panes")) for _ in range(5)]
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        assert all(
            isinstance(outcome, TmuxError) or outcome in ("", "something else\n")
            for outcome in outcomes
        )
        with pytest.raises(TmuxError, match="null byte"):
            await tmux.query("list-panes", "-t", "a\0b")

    run(scenario())


def test_a_cancelled_caller_leaves_no_child_behind(program, tmp_path):
    tmux = Tmux(program=program(f"echo $$ > {tmp_path}/pid\nexec sleep 60"))

    async def scenario():
        task = asyncio.ensure_future(tmux.query("list-panes"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    run(scenario())
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_cancellation_is_never_lost(program):
    """A task that polls tmux stops when it is cancelled, also while an answer arrives."""
    tmux = Tmux(program=program("exit 0"))

    async def forever():
        while True:
            await tmux.run("set-option")

    async def scenario():
        for moment in range(160):
            task = asyncio.ensure_future(forever())
            await asyncio.sleep(0.004 + moment % 40 * 0.0005)
            task.cancel()
            await asyncio.wait([task], timeout=10)
            assert task.cancelled()

    run(scenario())


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_stdin_reaches_tmux_unchanged(server):
    body = bytes(range(1, 256)) * 1000
    server("new-session", "-d", "-s", "any", "dash")
    tmux = Tmux(socket_name=server.name)
    run(tmux.run("load-buffer", "-b", "b", "-", stdin=body))
    assert run(tmux.run("show-buffer", "-b", "b")).startswith("\x01\x02")


def test_names_are_read_as_utf_8_in_any_locale(server, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    server("new-session", "-d", "-s", "日本 ü", "dash")
    assert run(resolve(Tmux(socket_name=server.name), "日本 ü", "0")).session == "日本 ü"


class Old(Tmux):
    """Reports version 2.7, in which panes have no options of their own.

    The commands that bridge uses behave the same there; this was measured on 2.7.
    """

    async def version(self):
        return (2, 7)


@pytest.mark.parametrize("kind", ["shell", "agent"])
def test_before_tmux_3_the_marks_are_global_and_carry_the_panes_number(server, kind):
    pane = server.open("dash") if kind == "shell" else server.agent()

    async def scenario():
        injector = Injector(Old(socket_name=server.name), pane.session, "0", QUICK, pane.form)
        await deliver(injector, ticket())
        return await deliver(
            Injector(Old(socket_name=server.name), pane.session, "0", QUICK, pane.form), ticket()
        )

    assert run(scenario()).form == kind
    name = f"@bridge_sent_{pane.id[1:]}"
    assert read_mark(server("show-options", "-gv", name), "T-1")
    if kind == "agent":
        until(pane.messages, "the message")
        assert len(pane.messages()) == 1


def test_the_terminal_of_an_ended_process_is_unknown():
    terminal = read_terminal("/nonexistent/tty", 2**22 + 1)
    assert not terminal.known and terminal.own is None and terminal.argv == ()


def test_the_terminal_of_a_pane_is_read(server):
    pane = server.open("dash")
    pane.wait_shown("#") if os.getuid() == 0 else pane.wait_shown("$")
    terminal = read_terminal(pane.get("pane_tty"), int(pane.get("pane_pid")))
    assert (
        terminal.known
        and terminal.canonical
        and terminal.echo
        and terminal.own
        and terminal.argv == ("dash",)
    )

"""Running tmux: the deadline, the locale, the version, and servers older than the one at hand."""

from __future__ import annotations

import asyncio
import os
import signal
import stat

import pytest
from panes import PATIENCE, QUICK, deliver, run, ticket, until

from bridge.errors import TmuxError
from bridge.tmux.command import Tmux
from bridge.tmux.injector import Injector
from bridge.tmux.marks import read_mark
from bridge.tmux.pane import resolve
from bridge.tmux.terminal import read_terminal


@pytest.fixture
def program(tmp_path):
    """Write an executable that stands in for tmux itself."""

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


def test_a_missing_program_is_one_clear_sentence():
    with pytest.raises(TmuxError, match="is tmux installed"):
        run(Tmux(program="/nonexistent/tmux").run("-V"))


def test_a_server_that_hangs_is_left_at_the_deadline(program, tmp_path):
    tmux = Tmux(program=program(f"echo $$ > {tmp_path}/pid\nexec sleep 60"), deadline=0.5)
    with pytest.raises(TmuxError, match="no answer"):
        run(tmux.run("list-panes"))
    assert not is_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("started", ["sleep 60 | cat", "setsid sleep 60"], ids=["child", "daemon"])
def test_what_a_wrapper_of_tmux_has_started_holds_nobody_up(program, tmp_path, started):
    """It holds our pipes open: waiting for their end would take as long as it lives."""
    tmux = Tmux(program=program(f"{started} &\necho $! > {tmp_path}/pid\nwait"), deadline=0.5)

    async def scenario():
        with pytest.raises(TmuxError, match="no answer"):
            await asyncio.wait_for(tmux.run("list-panes"), PATIENCE)

    run(scenario())
    pid = int((tmp_path / "pid").read_text())
    if started.startswith("setsid"):  # it has left the session that we can end
        os.kill(pid, signal.SIGKILL)
    else:
        until(lambda: not is_alive(pid), "the end of the child")


def test_a_ctrl_c_in_our_terminal_is_not_tmux_s(program):
    """An injection under way is finished: the call that types must not be ended half-way by the signal that tells us to stop."""
    assert int(run(Tmux(program=program("exec ps -o sid= -p $$")).run("set-option"))) != os.getsid(
        0
    )


@pytest.mark.parametrize(
    "body", ["exit 0", "echo something else", "echo no such thing >&2; exit 1"]
)
def test_no_look_waits_for_an_answer_that_does_not_come(program, body):
    """Many at once are asked together, and what answers may be no tmux."""
    tmux = Tmux(program=program(body))

    async def scenario():
        looks = [asyncio.ensure_future(tmux.run("list-panes")) for _ in range(5)]
        outcomes = await asyncio.gather(*looks, return_exceptions=True)
        assert all(
            isinstance(outcome, TmuxError) or outcome in ("", "something else\n")
            for outcome in outcomes
        )
        with pytest.raises(TmuxError, match="null byte"):
            await tmux.run("list-panes", "-t", "a\0b")

    run(scenario())


def test_a_cancelled_caller_leaves_no_child_behind(program, tmp_path):
    tmux = Tmux(program=program(f"echo $$ > {tmp_path}/pid\nexec sleep 60"))

    async def scenario():
        task = asyncio.ensure_future(tmux.run("list-panes"))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])

    run(scenario())
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_cancellation_is_never_lost(program):
    """Whoever waits for a pane calls tmux again and again; told to stop at any moment, also as an answer comes in, it stops."""
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


def test_bytes_go_through_stdin_whole(server):
    body = bytes(range(1, 256)) * 1000
    server("new-session", "-d", "-s", "any", "dash")
    tmux = Tmux(socket_name=server.name)
    run(tmux.run("load-buffer", "-b", "b", "-", stdin=body))
    assert run(tmux.run("show-buffer", "-b", "b")).startswith("\x01\x02")


def test_names_come_back_whole_in_any_locale(server, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    server("new-session", "-d", "-s", "日本 ü", "dash")
    assert run(resolve(Tmux(socket_name=server.name), "日本 ü", "0")).session == "日本 ü"


class Old(Tmux):
    """Says that it is 2.7: panes have no options of their own. (The commands used are the same, measured on 2.7.)"""

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


def test_the_terminal_of_a_process_that_is_gone_is_unknown():
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

"""`explain` in a real tmux: the watcher's own verdict and text, live, and without a broker."""

from __future__ import annotations

import io
import json
import shlex
import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from panes import QUICK, PaneHandle, Server, deliver, run, until
from running import wait_until

from bridge.cli.commands.explain import EXAMPLE, follow, gist
from bridge.cli.fit_text import around, hanging
from bridge.cli.safe_text import Page
from bridge.self_command import own_words
from bridge.settings import TmuxSettings
from bridge.tmux.injection.injector import Injector
from bridge.tmux.readiness.verdict import Verdict
from bridge.tmux.server.client import Tmux

NO_BROKER = "http://127.0.0.1:1"  # no server listens there; explain does not need one


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("home"))
    yield started
    started.stop()


@pytest.fixture
def explain(program_for, server):
    """explain(pane, flags...): the JSON of one explanation."""

    def ask(handle: PaneHandle, *flags: str) -> dict:
        return json.loads(
            program_for("http://127.0.0.1:5050").run(
                "explain", handle.session, "0", "-L", server.name, "--json", *flags
            )
        )

    return ask


def shell(server: Server, prompt: str = "$ ") -> PaneHandle:
    handle = server.open("env " + shlex.quote("PS1=" + prompt) + " bash --norc --noprofile")
    handle.wait_shown(prompt.strip()[-1])
    return handle


def half_a_line(handle: PaneHandle) -> None:
    handle.type("rm -rf build")
    handle.wait_shown("rm -rf build")


def command(handle: PaneHandle) -> None:
    handle.keys("sleep 1000", "Enter")
    until(lambda: handle.get("pane_current_command") == "sleep", "sleep")


def copy_mode(handle: PaneHandle) -> None:
    handle.server("copy-mode", "-t", handle.id)


def password(handle: PaneHandle) -> None:
    handle.keys("read -s -p 'Password: '", "Enter")
    until(lambda: handle.screen().rstrip().endswith("Password:"), "the password prompt")


def pager(handle: PaneHandle) -> None:
    handle.keys("seq 1000 > numbers; more numbers", "Enter")
    until(
        lambda: handle.get("pane_current_command") == "more" and handle.is_shown("--More--"),
        "the pager",
    )


def idle(handle: PaneHandle) -> None:
    """Do nothing: the prompt stays."""


@pytest.mark.parametrize(
    "state, rule",
    [
        (idle, "shell_prompt"),
        (half_a_line, "prompt"),
        (command, "busy"),
        (copy_mode, "tmux_objection"),
        (password, "password"),
        (pager, "program"),
    ],
)
def test_it_reports_the_verdict_of_the_injector(explain, server, state, rule):
    handle = shell(server)
    state(handle)
    until(lambda: run(handle.injector().explain()).rule == rule, rule)
    verdict = run(handle.injector().explain())
    found = explain(handle)
    assert (found["ready"], found["rule"], found["reason"], found["form"] or "") == (
        verdict.ready,
        verdict.rule,
        verdict.reason,
        verdict.form,
    )
    assert (
        found["pane"]["id"] == handle.id
        and found["pane"]["pid"] == int(handle.get("pane_pid"))
        and found["pane"]["tty"] == handle.get("pane_tty")
    )
    assert found["server"]["pid"] == int(handle.get("pid")) and found["server"][
        "socket"
    ] == handle.get("socket_path")
    assert found["flags"]["inMode"] is (state is copy_mode) and found["terminal"]["icanon"] is (
        state in (command, password)
    )


def test_the_example_is_the_text_that_an_injection_types(explain, server):
    handle = server.agent()
    found = until(
        lambda: (look := explain(handle, "--form", "agent", "--still", "300"))["ready"] and look,
        "it stands still",
    )
    assert found["form"] == "agent" and found["program"]["kind"] == "agent"
    run(deliver(handle.injector(settings=replace(QUICK, shell_command="")), EXAMPLE))
    until(handle.messages, "the message")
    assert handle.messages() == [found["exampleText"]]
    assert any(mark.startswith("T42=") for mark in explain(handle)["marks"]["sent"])


def test_a_shell_gets_a_command_that_names_the_broker_and_settings_count(
    program_for, explain, server
):
    handle = shell(server)
    assert explain(handle)["exampleText"] == f"{own_words()} show T42"
    assert (
        explain(handle, "--broker-url", "http://127.0.0.1:1")["exampleText"]
        == f"{own_words()} show T42 --broker-url http://127.0.0.1:1"
    )
    assert explain(handle, "--shell-command", "b show {id}")["exampleText"] == "b show T42"
    refused = explain(handle, "--form", "agent")
    assert not refused["ready"] and refused["form"] is None and refused["exampleText"] is None


def test_the_verdict_comes_first_and_hidden_characters_are_made_visible(program_for, server):
    handle = shell(server, "a\u202eb$ ")
    printed = program_for(NO_BROKER).run("explain", handle.session, "0", "-L", server.name)
    lines = printed.splitlines()
    assert lines[0] == "READY: bash waits at an empty prompt" and "\u202e" not in printed
    assert [line for line in lines if line.startswith("row ")] == ["row       a\\u{202e}b$ █"]
    assert (
        f"process {handle.get('pane_pid')} on {handle.get('pane_tty')}" in printed
        and f"({handle.id})" in printed
    )
    half_a_line(handle)
    handle.keys("Left", "Left")
    until(
        lambda: handle.get("cursor_x") == str(len("ab$ rm -rf build") - 2),
        "the cursor between the letters",
    )
    lines = (
        program_for(NO_BROKER).run("explain", handle.session, "0", "-L", server.name).splitlines()
    )
    assert (
        lines[0].startswith("NOT READY: ")
        and "row       a\\u{202e}b$ rm -rf bui█ld" in lines
        and "rule      prompt" in lines
    )


def test_an_unknown_pane_is_status_8_and_lists_the_panes(program_for, server):
    handle = shell(server)
    program = program_for(NO_BROKER)
    program.run("explain", handle.session + "x", "0", "-L", server.name, status=8)
    assert handle.session in program.stderr
    program.run("explain", handle.session, "7", "-L", server.name, "--follow", status=8)
    assert handle.id in program.stderr


def test_follow_prints_each_change_and_a_lost_pane_and_ends_without_an_error(program_for, server):
    handle = shell(server)
    with program_for(NO_BROKER).running(
        "explain", handle.session, "0", "-L", server.name, "--follow", "--json", "--poll-max", "30"
    ) as process:

        def told(rule: str, count: int):
            wait_until(
                lambda: sum(json.loads(line)["rule"] == rule for line in process.lines) == count,
                f"{count} x {rule} in {process.lines}",
            )

        told("shell_prompt", 1)
        command(handle)
        told("busy", 1)
        handle.keys("C-c")
        told("shell_prompt", 2)
        server("kill-session", "-t", f"={handle.session}")
        told("lost", 1)
        server(
            "new-session", "-d", "-s", handle.session, "exec env PS1='$ ' bash --norc --noprofile"
        )
        told("shell_prompt", 3)
        process.stop(signal.SIGINT, 130)
        assert process.complaints() == []
        assert all(
            line["at"].endswith("Z") and line["ready"] is (line["rule"] == "shell_prompt")
            for line in map(json.loads, process.lines)
        )


def test_follow_prints_a_line_with_a_time(program_for, server):
    handle = shell(server)
    with program_for(NO_BROKER).running(
        "explain", handle.session, "0", "-L", server.name, "--follow"
    ) as process:
        wait_until(lambda: process.lines, "the first line")
        clock, word, rest = process.lines[0].split(None, 2)
        assert (
            len(clock) == len("12:34:56.789")
            and word == "ready"
            and rest == "bash waits at an empty prompt (shell_prompt)"
        )
        process.stop(signal.SIGINT, 130)


class Enough(Exception):
    """Ends `follow`, which never ends by itself."""


class FiveLooks(Injector):
    """The injector itself, for five looks."""

    looks = 0

    async def look(self):
        self.looks += 1
        if self.looks > 5:
            raise Enough
        return await super().look()


def test_follow_is_silent_while_nothing_changes(server):
    handle, out = shell(server), io.StringIO()
    until(lambda: run(handle.injector().explain()).ready, "the prompt")
    settings = TmuxSettings(poll_max=10)
    with pytest.raises(Enough):
        run(
            follow(
                FiveLooks(Tmux(server.name), handle.session, "0", settings),
                settings,
                Page(out),
                True,
            )
        )
    assert [json.loads(line)["rule"] for line in out.getvalue().splitlines()] == ["shell_prompt"]


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("a person typed here 0.3 s ago", "a person typed here 1.1 s ago", True),
        ("claude is working: '✳ Thinking… (12s)'", "claude is working: '✻ Thinking… (13s)'", True),
        ("the pane is dead", "the pane is in a mode", False),
    ],
)
def test_the_gist_of_a_verdict_has_no_counters(one, other, same):
    assert (gist(Verdict(False, one, "", "x")) == gist(Verdict(False, other, "", "x"))) is same


words = st.text("abc ", max_size=120)


@given(words, words, st.integers(20, 90))
def test_a_row_keeps_its_mark_and_fits(left, right, width):
    shown = around(left, "█", right, width)
    assert shown.count("█") == 1 and len(shown) <= max(width, 1)
    before, _, after = shown.partition("█")
    assert left.endswith(before.lstrip("…")) and right.startswith(after.rstrip("…"))
    assert len(left) + len(right) >= width or shown == left + "█" + right


@given(words, st.integers(0, 90))
def test_folding_loses_no_word(text, width):
    shown = hanging("label  ", text, width)
    assert shown.split() == ["label", *text.split()] and (width or "\n" not in shown)

"""Real programs in real panes: one that executes, picks or edits its input gets no byte.

This holds for each process of the foreground group, not only for its leader. Each body would
create a file if it were executed. Prompts end in `% ` or `❯ `, because a command behind `> ` would
also write a file.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil

import pytest
from foreground import BASH, EXECUTOR, ZSH, assert_left_alone, called, python
from panes import deliver, run, ticket, until

# Programs that execute their input


@pytest.mark.parametrize(
    "prompt",
    ["❯ ", "% ", ">>> ", "╭─ ~\r\n╰─❯ "],
    ids=["glyph", "percent", "repl", "frame"],
)
def test_an_unknown_program_gets_nothing_without_form_agent(server, prompt):
    pane = server.open(python(EXECUTOR, f"--prompt={prompt}"))
    pane.wait_shown(prompt.strip()[-1])
    assert_left_alone(pane, "--form agent")


def test_a_node_program_that_shows_a_table_and_starts_a_repl_is_not_an_agent(server, tmp_path):
    script = tmp_path / "tool.js"
    script.write_text("console.table([1, 2]); require('repl').start('❯ ');")
    pane = server.open(f"node {script}")
    pane.wait_shown("❯")
    assert_left_alone(pane, "node is no agent that is known here")


@pytest.mark.parametrize(
    "call", ["subprocess.run({!r}, shell=True)", "subprocess.run(shlex.split({!r}))"]
)
def test_a_wrapper_around_another_terminal_hides_what_runs_inside(server, call):
    inner = f"""script -q -c 'env PS1="❯ " {BASH} -i' /dev/null"""
    pane = server.open(python("-c", "import shlex,subprocess;" + call.format(inner)))
    pane.wait_shown("❯")
    assert_left_alone(pane, "script is in the foreground and hides", "auto", "agent")


def test_asciinema_hides_what_runs_inside(server, tmp_path):
    pane = server.open(
        f"env PS1='❯ ' asciinema rec -q -c {shlex.quote(BASH + ' -i')} {tmp_path / 'cast'}"
    )
    pane.wait_shown("❯")
    assert_left_alone(pane, "asciinema is in the foreground and hides", "auto", "agent")


def test_a_shell_that_is_a_python_script_is_a_shell(server, tmp_path):
    """xonsh runs as `python3 xonsh`, so the interpreter's name does not decide."""
    pane = server.open(python(called(tmp_path, "xonsh", EXECUTOR), "--prompt=❯ "))
    pane.wait_shown("EXECUTOR")
    assert_left_alone(pane, "xonsh is in the foreground, not the agent", "agent")


# Programs in the shell's own process group


@pytest.mark.parametrize("shell", [BASH, ZSH, "fish --no-config"])
def test_a_picker_in_the_shells_own_group_gets_no_key(server, shell, told_by):
    pane = server.open(shell)
    pick = "printf 'alpha\\nbeta\\n' | fzf --height 6 --prompt '❯ '"
    pane.type(
        f"set picked ({pick}); echo took $picked"
        if "fish" in shell
        else f'picked=$({pick}); echo "took $picked"'
    )
    pane.keys("Enter")
    pane.wait_shown("2/2")
    assert_left_alone(pane, "fzf is open", "auto", "shell", "agent")
    assert not pane.is_shown("\ntook alpha")
    pane.keys("Escape")
    assert run(deliver(pane.injector(), ticket())).form == "shell"


@pytest.mark.parametrize("shell", [BASH, ZSH])
def test_an_unknown_program_in_the_shells_own_group_gets_no_key(server, shell):
    pane = server.open(shell)
    pane.type(f"picked=$(printf x | {python(EXECUTOR, '--prompt=% ', '--key')}); echo picked")
    pane.keys("Enter")
    pane.wait_shown("EXECUTOR")
    assert_left_alone(pane, "is running in the foreground", "auto", "shell")
    pane.keys("x")
    assert run(deliver(pane.injector(), ticket())).form == "shell"


WORKERS = {
    "zsh-async": (ZSH, "() { setopt localoptions nomonitor; { sleep 300; true } &! }"),
    "zsh-substitution": (ZSH, "exec {number}< <(sleep 300; true)"),
    "zsh-pty": (ZSH, "zmodload zsh/zpty; zpty -b worker 'sleep 300'"),
    "bash-no-monitor": (BASH, "set +m; (sleep 300; true) & set -m"),
    "bash-coprocess": (BASH, "set +m; coproc { sleep 300; true; }; set -m"),
    "bash-logs-itself": (BASH, "exec 5> >(cat >/dev/null)"),
}


@pytest.mark.parametrize("worker", WORKERS)
def test_a_helper_that_does_not_read_the_terminal_is_not_an_objection(server, worker):
    """Such helpers are gitstatusd, the workers of zsh's plugins, and a `tee` that writes a log."""
    shell, command = WORKERS[worker]
    pane = server.open(shell)
    pane.type(command)
    pane.keys("Enter")
    assert run(deliver(pane.injector(), ticket())).form == "shell"


# Other names for the same program


@pytest.mark.parametrize("name", ["editor", "my-words"])
def test_an_editor_with_another_name_is_an_editor(server, tmp_path, name):
    (tmp_path / "letter").write_text("❯ ")
    link = called(tmp_path, name, pathlib.Path(os.path.realpath(shutil.which("nano") or "")))
    pane = server.open(f"{link} +1,3 {tmp_path / 'letter'}")
    pane.wait_shown("letter")
    assert_left_alone(pane, "is open", "auto", "agent")


# Options count only before the script


def test_an_option_after_the_script_belongs_to_the_script(server):
    pane = server.agent("-i")
    run(deliver(pane.injector(), ticket("one")))
    until(lambda: len(pane.messages()) == 1, "the message")
    assert "os.system" not in pane.messages()[0]
    tool = server.open(python(EXECUTOR, "--prompt=>>> ", "-i"))
    tool.wait_shown(">>>")
    assert_left_alone(tool, "--form agent")

"""`judge` for shells, REPLs and other programs.

Tables give a picture (pictures.py), the terminal's flags, and the expected verdict.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from pictures import CLAUDE, COOKED, EDITOR, ONE_KEY, RAW, SILENT, STILL, pane

from bridge.tmux.readiness.program import Learned, Rules
from bridge.tmux.readiness.verdict import judge

READY_SHELLS = [
    ("bash-5.2# █", "bash"),
    ("user@host:~$ █", "-bash"),
    ("日本 ~/x $ █", "bash"),
    ("┌ ~/src\n└ ❯ █", "zsh"),
    ("host% █                        12:34 main", "zsh"),
    ("➜  ~ █", "zsh"),
    ("➜  bridge git:(main) ✗ █", "zsh"),
    ("root@vm /t/exp# █", "fish"),
    ("> █", "fish"),  # fish has no PS2
    ("earlier output$ \nλ █", "fish"),
    ("bash-5.2# █\n\n\n", "bash --norc -i"),
    ("bash-5.2# █", "bash --rcfile /home/x/rc -o vi"),
]


@pytest.mark.parametrize(("picture", "argv"), READY_SHELLS)
def test_a_shell_at_an_empty_prompt_is_ready(picture, argv):
    verdict = judge(pane(picture, argv))
    assert verdict.ready and verdict.form == "shell", verdict


def test_a_bare_angle_is_a_continuation_unless_learned():
    assert "continuation" in judge(pane("> █", "bash")).reason
    assert judge(pane("> █", "bash"), Learned(prompts=("> ",))).ready


WAITING_SHELLS = [
    ("bash-5.2# ls█", "bash", "not empty"),
    ("bash-5.2# █ls", "bash", "right of the cursor"),
    ("root@vm:~# cat foo > █", "bash", "not empty"),
    ("root@vm:~# echo $█", "bash", "not empty"),
    ("bash-5.2# echo 'a\n> █", "bash", "continuation"),
    ("vm# echo 'a\nquote> █", "zsh", "continuation"),
    ("vm# for x in 1\nfor> █", "zsh", "continuation"),
    ("vm# cat <<E\nheredoc> █", "zsh", "continuation"),
    ("vm# f() { if true\nfunction if> █", "zsh", "continuation"),
    ("█", "bash", "no prompt"),
    ("(reverse-i-search)`ls': █ls -l", "bash", ""),
    ("Password: █", "bash", "password"),
    ("[sudo] password for x: █", "bash", "password"),
    ("vm% █echo a    b", "zsh", "right of the cursor"),
    # A right prompt would end at the right edge; this text does not.
    ("vm% █  b", "zsh", "right of the cursor"),
]


@pytest.mark.parametrize(("picture", "argv", "reason"), WAITING_SHELLS)
def test_a_shell_with_any_text_on_its_line_is_not_ready(picture, argv, reason):
    verdict = judge(pane(picture, argv))
    assert not verdict.ready and reason in verdict.reason, verdict


FLAGS = [
    ("bash-5.2# █", "bash", COOKED, "busy"),
    ("bash-5.2# █", "bash", SILENT, "password"),
    ("bash-5.2# █", "bash", ONE_KEY, "single key"),
    ("bash-5.2# █", "sleep 60", COOKED, "sleep is running"),
    ("bash-5.2# █", "bash deploy.sh", COOKED, "bash is running"),
    ("bash-5.2# █", "bash -c x", EDITOR, "bash is running"),
    ("> █", "python3 server.py", COOKED, "running"),
    ("> █", "python3 repl.py", EDITOR, "may execute"),
    (">>> █", "/usr/bin/python3 /usr/bin/ptpython", RAW, "would execute"),
    ("> █", "node /usr/bin/mongosh", RAW, "would execute"),
    ("$ █", "python3 /usr/bin/xonsh deploy.xsh", RAW, "running"),
    ("$ █", "dash deploy.sh", COOKED, "running"),
    (":█", "less README", EDITOR, "less is open"),
    ("~ █", "vim x", RAW, "vim is open"),
    ("host$ █", "ssh host", RAW, "hides"),
    ("host$ █", "docker run -it x", RAW, "hides"),
    ("$ █", "tmux attach", RAW, "hides"),
    ("mydb=> █", "psql", EDITOR, "would execute"),
    ("> █", "R", EDITOR, "would execute"),
    ("> █", "lua", EDITOR, "would execute"),
]


@pytest.mark.parametrize(("picture", "argv", "flags", "reason"), FLAGS)
def test_the_terminals_flags_and_the_programs_name_come_before_the_screen(
    picture, argv, flags, reason
):
    verdict = judge(pane(picture, argv, flags), STILL)
    assert not verdict.ready and reason in verdict.reason, verdict


def test_a_shell_without_a_line_editor_is_ready_only_at_a_known_prompt():
    assert judge(pane("$ █", "dash", COOKED)).form == "shell"
    assert judge(pane("$ █", "dash", COOKED)).ready
    assert not judge(pane("█", "dash", COOKED)).ready
    assert not judge(pane("> █", "dash", COOKED)).ready


REPLS = [
    (">>> █", "python3", EDITOR, True),
    ("... █", "python3", EDITOR, False),
    (">>> 1█", "python3 -q", EDITOR, False),
    ("> █", "node", RAW, True),
    ("... █", "node", RAW, False),
    ("| █", "node", RAW, False),
    (">>> █", "python3 -i x.py", EDITOR, True),
]


@pytest.mark.parametrize(("picture", "argv", "flags", "ready"), REPLS)
def test_a_repl_is_ready_only_at_its_empty_primary_prompt(picture, argv, flags, ready):
    verdict = judge(pane(picture, argv, flags), STILL)
    assert (verdict.ready, verdict.form) == (ready, "repl"), verdict
    assert not judge(pane(picture, argv, flags), Learned()).ready  # the screen may still change


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"dead": True}, "dead"),
        ({"in_mode": True}, "mode"),
        ({"input_off": True}, "switched off"),
        ({"synchronized": True}, "synchronize"),
        ({"human_idle": 0.4}, "typed here 0.4 s ago"),
    ],
)
def test_tmux_and_the_person_are_checked_first(fields, reason):
    verdict = judge(pane("$ █", **fields))
    assert not verdict.ready and reason in verdict.reason


def test_a_person_whose_last_key_is_long_ago_is_not_an_objection():
    assert judge(pane("$ █", human_idle=2.0)).ready
    assert judge(pane("$ █", human_idle=0.5), rules=Rules(quiet=0.3)).ready


FORMS = [
    ("agent", "$ █", "bash", EDITOR, "", "not the agent"),
    ("agent", ">>> █", "python3", EDITOR, "", "not the agent"),
    ("agent", "> █", "python3 tool.py", EDITOR, "agent", ""),
    ("agent", "> █", "node", RAW, "", "not the agent"),
    ("shell", CLAUDE, "claude", RAW, "shell", ""),
    ("shell", "mysh$ █", "mysh", RAW, "shell", ""),
    ("shell", "mydb=> █", "psql", EDITOR, "shell", ""),
    ("shell", "host$ █", "ssh x", RAW, "shell", "hides"),
    ("agent", "~ █", "vim", RAW, "", "open"),
    ("agent", "> █", "less x", RAW, "", "open"),
]


@pytest.mark.parametrize(("form", "picture", "argv", "flags", "typed", "reason"), FORMS)
def test_a_form_overrides_detection_but_never_gives_text_to_a_shell(
    form, picture, argv, flags, typed, reason
):
    verdict = judge(pane(picture, argv, flags), STILL, Rules(form=form))
    assert verdict.form == typed and (reason in verdict.reason if reason else verdict.ready), (
        verdict
    )


def test_an_opaque_program_is_ready_only_with_allow_opaque():
    allowed = Rules(allow_opaque=True)
    assert judge(pane("host$ █", "ssh host", RAW), STILL, allowed).form == "shell"
    assert judge(pane("host$ █", "ssh host", RAW), STILL, allowed).ready
    assert not judge(pane("host$ █", "ssh host", RAW), Learned(), allowed).ready
    assert not judge(pane("Password: █", "ssh host", RAW), STILL, allowed).ready
    assert (
        judge(
            pane("❯ █Try it", "docker exec -it a claude", RAW),
            STILL,
            replace(allowed, form="agent"),
        ).form
        == "agent"
    )


def test_a_terminal_whose_flags_are_unknown_is_not_ready():
    """Without the flags of another user's terminal, `read -s` looks like a prompt."""
    state, allowed = pane("$ █", "bash", {"known": False}), Rules(allow_opaque=True)
    verdict = judge(state, STILL)
    assert not verdict.ready and "--allow-opaque" in verdict.reason, verdict
    assert not judge(state, STILL, Rules(form="shell")).ready
    assert judge(state, STILL, allowed).ready and not judge(state, Learned(), allowed).ready


def test_a_ready_pattern_counts_for_every_program():
    rules = Rules(ready_pattern=re.compile(r"go: $"))
    assert judge(pane("[#1] go: █", "bash"), STILL, rules).ready
    assert judge(
        pane("my agent, go: █", "./my-agent", RAW), STILL, replace(rules, form="agent")
    ).ready
    assert not judge(pane("my agent, go: █", "./my-agent", RAW), STILL, Rules(form="agent")).ready
    assert not judge(pane("my agent, go: █", "./my-agent", RAW), STILL, rules).ready


def test_without_process_information_tmuxs_command_name_serves_with_allow_opaque():
    """If ps fails too, `fzf` in the shell's group would not be noticed."""

    def known_to_tmux(picture, command, flags):
        state = pane(picture, command, flags)
        return replace(state, terminal=replace(state.terminal, argv=(), own=None))

    allowed = Rules(allow_opaque=True)
    assert "--allow-opaque" in judge(known_to_tmux("$ █", "bash", EDITOR), STILL).reason
    assert judge(known_to_tmux("$ █", "-bash", EDITOR), STILL, allowed).ready
    assert judge(known_to_tmux(">>> █", "Python", EDITOR), STILL, allowed).form == "repl"
    assert judge(known_to_tmux(CLAUDE, "claude", RAW), STILL, replace(allowed, form="agent")).ready
    # python3 may be a REPL.
    as_agent = replace(allowed, form="agent")
    assert not judge(known_to_tmux("> █", "python3", RAW), STILL, as_agent).ready
    assert not judge(known_to_tmux("x█", "sleep", COOKED), STILL, allowed).ready

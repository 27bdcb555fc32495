"""`judge` from tables: a screen with the cursor drawn as █, the terminal's flags, and what must come out."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bridge.tmux.program import Learned, Rules
from bridge.tmux.prompt import judge
from bridge.tmux.cells import text_width
from bridge.tmux.state import PaneState, Terminal

EDITOR = dict(known=True, canonical=False, echo=False, signals=True)  # readline, zle, fish
RAW = dict(known=True, canonical=False, echo=False, signals=False)  # full-screen programs, node
COOKED = dict(known=True, canonical=True, echo=True, signals=True)  # a running command
SILENT = dict(known=True, canonical=True, echo=False, signals=True)  # a password prompt
ONE_KEY = dict(known=True, canonical=False, echo=True, signals=True)  # read -n 1
STILL = Learned(still=1.0)


def pane(picture: str, argv: str = "bash", flags=EDITOR, **fields) -> PaneState:
    rows = picture.split("\n")
    y = next((index for index, row in enumerate(rows) if "█" in row), 0)
    x = text_width(rows[y].split("█")[0]) if "█" in rows[y] else 0
    words = tuple(argv.split(" "))
    terminal = Terminal(own=True, argv=words, **flags)
    state = PaneState("", 1, "%0", 2, cursor_x=x, cursor_y=y, rows=tuple(row.replace("█", "") for row in rows), width=40, command=words[0], terminal=terminal)
    return replace(state, **fields)


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
    ("vm% █  b", "zsh", "right of the cursor"),  # blanks, but it does not end at the right edge
]


@pytest.mark.parametrize(("picture", "argv", "reason"), WAITING_SHELLS)
def test_a_shell_with_anything_on_its_line_is_not(picture, argv, reason):
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
def test_the_kernel_and_the_name_come_before_the_screen(picture, argv, flags, reason):
    verdict = judge(pane(picture, argv, flags), STILL)
    assert not verdict.ready and reason in verdict.reason, verdict


def test_a_shell_without_a_line_editor_has_only_its_prompt():
    assert judge(pane("$ █", "dash", COOKED)).form == "shell"
    assert judge(pane("$ █", "dash", COOKED)).ready
    assert not judge(pane("█", "dash", COOKED)).ready
    assert not judge(pane("> █", "dash", COOKED)).ready


REPLS = [(">>> █", "python3", EDITOR, True), ("... █", "python3", EDITOR, False), (">>> 1█", "python3 -q", EDITOR, False), ("> █", "node", RAW, True), ("... █", "node", RAW, False), ("| █", "node", RAW, False), (">>> █", "python3 -i x.py", EDITOR, True)]


@pytest.mark.parametrize(("picture", "argv", "flags", "ready"), REPLS)
def test_repls(picture, argv, flags, ready):
    verdict = judge(pane(picture, argv, flags), STILL)
    assert (verdict.ready, verdict.form) == (ready, "repl"), verdict
    assert not judge(pane(picture, argv, flags), Learned()).ready  # it has not stood still yet


BOX = "╭──────────╮\n│ > █       │\n╰──────────╯\n  ? for help"
IDLE_AGENTS = [
    ("done.\n\n❯ █", "claude"),
    ('done.\n\n❯ █Try "fix lint"', "claude"),
    (BOX, "claude"),
    ("› █Ask Codex to do anything", "codex"),
    ("│ > █  Type your message or @path/to/file │", "node /usr/bin/gemini"),
    ("> █", "/opt/venv/bin/python /opt/venv/bin/aider --model x"),
    ("architect> █", "python3 aider"),
    ("Would you like me to run the tests?\n\n" + BOX, "claude"),  # what an idle agent last said
    ("✻ Welcome to Claude Code!\n\n" + BOX, "claude"),
    ("✻ Baked for 35s\n\n❯ █", "claude"),
    ("❯ █", "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"),
    ("▌ █Ask Codex", "codex"),
]


@pytest.mark.parametrize(("picture", "argv"), IDLE_AGENTS)
def test_an_idle_agent_is_ready(picture, argv):
    verdict = judge(pane(picture, argv, RAW), STILL)
    assert verdict.ready and verdict.form == "agent", verdict
    assert judge(pane(picture, argv, RAW), Learned()).rule == "settling"


UNKNOWN = [
    ("> █", "node repl.js"),
    ("❯ █", "node tool.js"),
    (">>> █", "./my-repl"),
    ("> █", "node -e x"),
    ("> █", "node agent.js -i"),
    ("say:\n> █", "./my-agent"),
    ("##BRIDGE-READY##\n█", "./my-agent"),
    ("state ##BRIDGE-READY## █", "./my-agent"),
    ("❯ █", "bun agent.ts"),
]


@pytest.mark.parametrize("frame", ["{}", "──────────\n{}\n──────────"])
@pytest.mark.parametrize(("picture", "argv"), UNKNOWN)
def test_a_program_that_is_not_known_gets_nothing_until_a_person_says_that_it_is_an_agent(picture, argv, frame):
    """On either screen, whatever it shows: xonsh, asciinema and a node REPL look like an agent."""
    for alternate in (False, True):
        state = pane(frame.format(picture), argv, RAW, alternate=alternate)
        verdict = judge(state, STILL)
        assert not verdict.ready and verdict.form == "" and "--form agent" in verdict.reason, verdict
        assert verdict.reason.startswith(argv.split()[0].rpartition("/")[2] + " is no agent"), verdict
    assert judge(pane(picture, argv, RAW), STILL, Rules(form="agent")).ready


BUSY_AGENTS = [
    ("✻ Thinking… (12s · esc to interrupt)\n\n" + BOX, "claude", "working"),
    ("⠏ Reading files (esc to cancel, 3s)\n\n" + BOX, "gemini", "working"),
    ("• Working (3s • esc to interrupt)\n\n› █", "codex", "working"),
    ("❯ my draft█", "claude", "not empty"),
    ("│ > my draft█ │", "claude", "not empty"),
    ("Do you want to create x?\n❯ 1. Yes█\n  2. No", "claude", "only a person"),
    ("Do you want to create x?\n❯ █1. Yes\n  2. No", "claude", "only a person"),
    ("Allow command `rm`?\n› █", "codex", "only a person"),
    ("│ Apply this change? │\n│ ● 1. Yes, allow once │\n│   2. No │\n█", "gemini", "only a person"),
    ("Add file to the chat? (Y)es/(N)o [Yes]: █", "aider", "only a person"),
    ("Proceed? [y/N] █", "codex", "only a person"),
    ("Press enter to continue\n> █", "claude", "only a person"),
    ("Enter your password: █", "claude", "password"),
    ("█", "claude", "no prompt"),
    ("some output\n█", "claude", "no prompt"),
    (":█", "claude", "not empty"),
    ("# █", "claude", "not empty"),
]


@pytest.mark.parametrize(("picture", "argv", "reason"), BUSY_AGENTS)
def test_an_agent_that_works_or_asks_is_not(picture, argv, reason):
    verdict = judge(pane(picture, argv, RAW), STILL)
    assert not verdict.ready and reason in verdict.reason, verdict


@pytest.mark.parametrize(
    ("picture", "argv", "ready"),
    [
        ("done\n╭────╮\n│ >  │\n╰────╯\n", "claude", True),
        ('│ > Try "fix lint" │', "claude", True),
        ("│ >   Type your message or @path │", "gemini", True),
        ("│ > my draft │", "claude", False),
        ("> what I said\n\nits answer\n\n>", "claude", True),
        ("> what I said\n\nits answer", "claude", False),
        ("Do you want to?\n❯ 1. Yes\n  2. No", "claude", False),
        ("⠏ Thinking\n>", "claude", False),
        ("", "claude", False),
    ],
)
def test_behind_a_hidden_cursor_only_a_provably_empty_input_counts(picture, argv, ready):
    assert judge(pane(picture, argv, RAW, cursor_shown=False), STILL).ready is ready


@pytest.mark.parametrize(
    ("fields", "reason"),
    [(dict(dead=True), "dead"), (dict(in_mode=True), "mode"), (dict(input_off=True), "switched off"), (dict(synchronized=True), "synchronize"), (dict(human_idle=0.4), "typed here 0.4 s ago")],
)
def test_tmux_and_the_person_come_first(fields, reason):
    verdict = judge(pane("$ █", **fields))
    assert not verdict.ready and reason in verdict.reason


def test_a_person_who_went_away_is_no_obstacle():
    assert judge(pane("$ █", human_idle=2.0)).ready
    assert judge(pane("$ █", human_idle=0.5), rules=Rules(quiet=0.3)).ready


FORMS = [
    ("agent", "$ █", "bash", EDITOR, "", "not the agent"),
    ("agent", ">>> █", "python3", EDITOR, "", "not the agent"),
    ("agent", "> █", "python3 tool.py", EDITOR, "agent", ""),
    ("agent", "> █", "node", RAW, "", "not the agent"),
    ("shell", "❯ █", "claude", RAW, "shell", ""),
    ("shell", "my shell$ █", "mysh", RAW, "shell", ""),
    ("shell", "mydb=> █", "psql", EDITOR, "shell", ""),
    ("shell", "host$ █", "ssh x", RAW, "shell", "hides"),
    ("agent", "~ █", "vim", RAW, "", "open"),
    ("agent", "> █", "less x", RAW, "", "open"),
]


@pytest.mark.parametrize(("form", "picture", "argv", "flags", "typed", "reason"), FORMS)
def test_a_form_decides_what_detection_cannot_and_never_gives_a_shell_text(form, picture, argv, flags, typed, reason):
    verdict = judge(pane(picture, argv, flags), STILL, Rules(form=form))
    assert verdict.form == typed and (reason in verdict.reason if reason else verdict.ready), verdict


def test_opaque_by_permission():
    allowed = Rules(allow_opaque=True)
    assert judge(pane("host$ █", "ssh host", RAW), STILL, allowed).form == "shell"
    assert judge(pane("host$ █", "ssh host", RAW), STILL, allowed).ready
    assert not judge(pane("host$ █", "ssh host", RAW), Learned(), allowed).ready
    assert not judge(pane("Password: █", "ssh host", RAW), STILL, allowed).ready
    assert judge(pane("❯ █Try it", "docker exec -it a claude", RAW), STILL, replace(allowed, form="agent")).form == "agent"


def test_what_the_terminal_does_not_tell_is_not_ready():
    """`read -s` looks like a prompt where another user's flags cannot be read."""
    state, allowed = pane("$ █", "bash", dict(known=False)), Rules(allow_opaque=True)
    verdict = judge(state, STILL)
    assert not verdict.ready and "--allow-opaque" in verdict.reason, verdict
    assert not judge(state, STILL, Rules(form="shell")).ready
    assert judge(state, STILL, allowed).ready and not judge(state, Learned(), allowed).ready


def test_a_persons_own_pattern_counts_for_every_program():
    rules = Rules(ready_pattern=re.compile(r"go: $"))
    assert judge(pane("[#1] go: █", "bash"), STILL, rules).ready
    assert judge(pane("my agent, go: █", "./my-agent", RAW), STILL, replace(rules, form="agent")).ready
    assert not judge(pane("my agent, go: █", "./my-agent", RAW), STILL, Rules(form="agent")).ready
    assert not judge(pane("my agent, go: █", "./my-agent", RAW), STILL, rules).ready


def test_where_nothing_is_known_of_the_process_tmuxs_name_of_it_serves_by_permission():
    """Not even ps told; so `fzf` in the shell's group would not be seen."""

    def known_to_tmux(picture, command, flags):
        state = pane(picture, command, flags)
        return replace(state, terminal=replace(state.terminal, argv=(), own=None))

    allowed = Rules(allow_opaque=True)
    assert "--allow-opaque" in judge(known_to_tmux("$ █", "bash", EDITOR), STILL).reason
    assert judge(known_to_tmux("$ █", "-bash", EDITOR), STILL, allowed).ready
    assert judge(known_to_tmux(">>> █", "Python", EDITOR), STILL, allowed).form == "repl"
    assert judge(known_to_tmux("> █", "claude", RAW), STILL, replace(allowed, form="agent")).ready
    assert not judge(known_to_tmux("> █", "python3", RAW), STILL, replace(allowed, form="agent")).ready  # may be a REPL
    assert not judge(known_to_tmux("x█", "sleep", COOKED), STILL, allowed).ready

"""`judge` for agents, from tables. test_agent_screens.py has whole screens of real agents."""

from __future__ import annotations

import pytest
from pictures import CLAUDE, CODEX, GEMINI, LINE, RAW, RULED, STILL, pane

from bridge.tmux.readiness.program import Learned, Rules
from bridge.tmux.readiness.verdict import judge

BOX = "╭──────────╮\n│ > █       │\n╰──────────╯\n  ? for help"
IDLE_AGENTS = [
    (f"done.\n\n{CLAUDE}", "claude"),
    ("done.\n" + RULED.format('❯ █░Try "fix lint"░'), "claude"),
    (BOX, "claude"),
    (CODEX, "codex"),
    (GEMINI, "node /usr/bin/gemini"),
    ("╭─────╮\n│ > █░  Type your message░ │\n╰─────╯", "node /usr/bin/gemini"),
    (RULED.format("> █░ Type your message░"), "node /usr/bin/qwen"),
    # With an open composer, these words are only text of the transcript.
    ("❯ 1. Yes (y/n)? Press enter to continue\n" + CLAUDE, "claude"),
    ("> █", "/opt/venv/bin/python /opt/venv/bin/aider --model x"),
    ("architect> █", "python3 aider"),
    # The last message of an idle agent.
    ("Would you like me to run the tests?\n\n" + BOX, "claude"),
    ("✻ Welcome to Claude Code!\n\n" + BOX, "claude"),
    ("✻ Baked for 35s\n\n" + CLAUDE, "claude"),
    (CLAUDE, "node /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js"),
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
    ("say:\n\n> █", "./my-agent"),
    ("##BRIDGE-READY##\n█", "./my-agent"),
    ("state ##BRIDGE-READY## █", "./my-agent"),
    ("❯ █", "bun agent.ts"),
]


@pytest.mark.parametrize("frame", ["{}", "──────────\n{}\n──────────"])
@pytest.mark.parametrize(("picture", "argv"), UNKNOWN)
def test_an_unknown_program_on_the_main_screen_is_not_ready_without_form_agent(
    picture, argv, frame
):
    """Its screen does not decide: xonsh, asciinema and a node REPL look like an agent."""
    verdict = judge(pane(frame.format(picture), argv, RAW), STILL)
    assert not verdict.ready and verdict.form == "" and "--form agent" in verdict.reason, verdict
    assert verdict.reason.startswith(argv.split()[0].rpartition("/")[2] + " is no agent"), verdict
    assert judge(pane(picture, argv, RAW), STILL, Rules(form="agent")).ready


def test_an_unknown_program_on_the_alternate_screen_counts_as_an_agent():
    box = "╭" + "─" * 24 + "╮\n│ > {}│\n╰" + "─" * 24 + "╯"
    empty, filled = box.format("█" + " " * 20), box.format("█x" + " " * 19)
    for argv in ("./my-agent", "node agent.js", "bun agent.ts"):
        verdict = judge(pane(empty, argv, RAW, alternate=True), STILL)
        assert (verdict.ready, verdict.form) == (True, "agent"), verdict
        draft = judge(pane(filled, argv, RAW, alternate=True), STILL)
        assert not draft.ready and "not empty" in draft.reason, draft
    for argv in ("vim x", "psql", "ssh host", "bash -c x"):
        assert judge(pane("> █", argv, RAW, alternate=True), STILL).form != "agent"


BUSY_AGENTS = [
    ("✻ Thinking… (12s · esc to interrupt)\n\n" + CLAUDE, "claude", "working"),
    ("⠏ Reading files (esc to cancel, 3s)\n\n" + GEMINI, "gemini", "working"),
    ("• Working (3s • esc to interrupt)\n\n" + CODEX, "codex", "working"),
    (RULED.format("❯ my draft█"), "claude", "not empty"),
    (RULED.format("❯ █my draft"), "claude", "not empty"),
    (RULED.format("❯ first\n  > █"), "claude", "not empty"),
    ("╭────╮\n│ > my draft█ │\n╰────╯", "claude", "not empty"),
    # Without the placeholder, the draft is a blank or a blank row.
    ("› █\n\n  gpt-5 default · ~/work", "codex", "not empty"),
    ("Do you want to create x?\n❯ 1. Yes█\n  2. No", "claude", "only a person"),
    ("Do you want to create x?\n❯ █1. Yes\n  2. No", "claude", "only a person"),
    ("Allow command `rm`?\nPress enter to continue█", "codex", "only a person"),
    ("│ Apply this change? │\n│ ● 1. Yes, allow once │\n│   2. No │\n█", "gemini", "only a person"),
    ("Add file to the chat? (Y)es/(N)o [Yes]: █", "aider", "only a person"),
    ("Proceed? [y/N] █", "codex", "only a person"),
    ("Press enter to continue\n> █", "claude", "only a person"),
    ("Enter your password: █", "claude", "password"),
    ("█", "claude", "no open composer"),
    ("some output\n█", "claude", "no open composer"),
    (":█", "claude", "no open composer"),
    ("❯ █", "claude", "no open composer"),  # a glyph alone is not a composer
    # A glyph below one rule, without the lower rule, is not a composer.
    (f"{LINE}\n❯ █\n  Enable auto mode?", "claude", "no open composer"),
    (RULED.format("! █"), "claude", "no open composer"),  # shell mode
]


@pytest.mark.parametrize(("picture", "argv", "reason"), BUSY_AGENTS)
def test_an_agent_that_works_or_asks_is_not_ready(picture, argv, reason):
    verdict = judge(pane(picture, argv, RAW), STILL)
    assert not verdict.ready and reason in verdict.reason, verdict


@pytest.mark.parametrize(
    ("picture", "argv", "ready"),
    [
        ("done\n╭────╮\n│ >  │\n╰────╯\n", "claude", True),
        ('╭────╮\n│ > ░Try "fix lint"░ │\n╰────╯', "claude", True),
        ("╭────╮\n│ > ░  Type your message or @path░ │\n╰────╯", "gemini", True),
        ("╭────╮\n│ > my draft │\n╰────╯", "claude", False),
        ("> what I said\n\nits answer\n" + RULED.format("❯ █"), "claude", True),
        ("> what I said\n\nits answer\n" + RULED.format("❯ █x"), "claude", False),
        ("> what I said\n\nits answer\n\n>", "claude", False),
        ("> what I said\n\nits answer", "claude", False),
        (CODEX, "codex", False),  # Codex shows the cursor while its composer is open
        ("Do you want to?\n❯ 1. Yes\n  2. No", "claude", False),
        ("⠏ Thinking\n>", "claude", False),
        ("", "claude", False),
    ],
)
def test_with_a_hidden_cursor_only_a_provably_empty_input_is_ready(picture, argv, ready):
    assert judge(pane(picture, argv, RAW, cursor_shown=False), STILL).ready is ready

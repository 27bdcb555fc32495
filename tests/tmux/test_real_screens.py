"""Screens of older versions of real agents, copied by hand: first questions, pickers and drafts.

The versions are Claude Code 2.1.197, Codex 0.169.0, Gemini CLI 0.61.0 and aider 0.86.2, in a pane
of 110 columns. Frames are shortened, and rows that no rule reads are left out. Claude Code and
Gemini CLI hide the terminal's cursor, but place it. test_agent_screens.py has whole screens of ten
agents.
"""

from __future__ import annotations

import pytest
from pictures import RAW, STILL
from pictures import pane as drawn

from bridge.tmux.injection.pasted_text import ComposerState, PastedText
from bridge.tmux.readiness.program import Learned, Rules, sight_of
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.readiness.verdict import judge

ARGV = {
    "claude": ("claude",),
    "codex": ("node", "/opt/agents/node_modules/.bin/codex"),
    "gemini": ("node", "/opt/agents/node_modules/.bin/gemini"),
    "aider": ("/opt/aider/bin/python3", "/opt/aider/bin/aider", "--model", "gpt-4o"),
}
LINE = "─" * 110


def pane(agent: str, picture: str) -> PaneState:
    """A picture as a snapshot; without a █ the cursor is hidden, below the last row."""
    shown = agent in ("codex", "aider") and "█" in picture
    where = picture if "█" in picture else picture + "\n█"
    return drawn(where, " ".join(ARGV[agent]), RAW, width=110, height=36, cursor_shown=shown)


IDLE = [
    (
        "claude",
        (
            "Opus 4.8 (1M context) · API Usage Billing\n\n"
            f"{LINE}\n"
            "❯ █\n"
            f"{LINE}\n"
            "  ? for shortcuts · ← for agents\n\n"
        ),
    ),
    (
        "codex",
        (
            "  >_ OpenAI Codex (v0.169.0)\n"
            "     /tmp/work\n\n"
            "› █░Ask Codex to do anything░\n\n"
            "  GPT-6.1-Sol default · /tmp/work\n"
            "  ← for agents · ? for shortcuts     ⚠ 1 warning · f2 to view"
        ),
    ),
    (
        "codex",
        (
            "■ Conversation interrupted - use /feedback if something went wrong\n\n\n"
            "› █░Ask Codex to do anything░\n\n"
            "  GPT-6.1-Sol default · /tmp/work"
        ),
    ),
    (
        "gemini",
        (
            "ℹ User cancelled the request.\n\n"
            "                ? for shortcuts\n"
            f"{LINE}\n"
            " Shift+Tab to accept edits\n\n"
            " > █░  Type your message or @path/to/file░\n\n"
            " workspace (/directory)   sandbox   /model\n"
            " /tmp/work   no sandbox   Auto"
        ),
    ),
    ("aider", f"Repo-map: using 4096 tokens, auto refresh\n{LINE}\n> █"),
    (
        "aider",
        (
            "https://aider.chat/HISTORY.html#release-notes\n"
            "Would you like to see what's new in this version? (Y)es/(N)o [Yes]: n\n"
            f"{LINE}\n"
            "> █"
        ),
    ),
]


@pytest.mark.parametrize(("agent", "picture"), IDLE)
def test_a_real_agent_that_waits_for_its_user_is_ready(agent, picture):
    verdict = judge(pane(agent, picture), STILL)
    assert (verdict.ready, verdict.form) == (True, "agent"), verdict


NOT_NOW = [
    (
        "claude",
        (
            "✻ Unable to connect to API (ConnectionRefused) · Retrying in 15s · attempt 6/10\n\n"
            f"{LINE}\n"
            "❯ █\n"
            f"{LINE}\n"
            "  esc to interrupt · ← for agents"
        ),
        "working",
    ),
    (
        "claude",
        (
            " Claude Code'll be able to read, edit, and execute files here.\n\n"
            " Security guide\n\n"
            " ❯ 1. Yes, I trust this folder\n"
            "   2. No, exit\n\n"
            " Enter to confirm · Esc to cancel"
        ),
        "only a person",
    ),
    (
        "claude",
        (
            "  Select model\n\n"
            "  ❯ 1. Default (recommended) ✔  Use the default model\n"
            "    2. Opus      Best for everyday\n\n"
            "  ● High effort (default) ←/→ to adjust\n\n"
            "  Enter to set as default · Esc to cancel"
        ),
        "only a person",
    ),
    # After Ctrl-R, in version 2.1.332 on the main screen.
    (
        "claude",
        f"✻ Cogitated for 0s\n\n{LINE}\n❯ \n{LINE}\n  search prompts: █ ⏸ manual mode on",
        "",
    ),
    (
        "claude",
        f"{LINE}\n❯ my own half draft█\n{LINE}\n       Ctrl+Y to paste deleted text",
        "not empty",
    ),
    (
        "codex",
        (
            "  Choose how you want to use Codex.\n\n"
            "> 1. Sign in with ChatGPT\n"
            "     Usage included with Plus\n\n"
            "  2. Sign in with Device Code\n\n"
            "  Press enter to continue"
        ),
        "only a person",
    ),
    (
        "codex",
        (
            "> Use your own OpenAI API key for usage-based billing\n\n"
            "╭API key────╮\n"
            "│sk-fake    │\n"
            "╰───────────╯\n\n"
            "  Press enter to save\n"
            "  Press esc to go back"
        ),
        "",
    ),
    (
        "codex",
        (
            "  Trust this folder? Codex can read, edit, and run files here.\n\n"
            "› 1. Trust and continue\n"
            "  2. Back to Agent Command Center\n\n"
            "  enter continue · esc back"
        ),
        "only a person",
    ),
    (
        "codex",
        (
            "◦ Working (3s • esc to interrupt)\n\n\n"
            "› █░Ask Codex to do anything░\n\n"
            "  GPT-6.1-Sol default · /tmp/work"
        ),
        "working",
    ),
    (
        "codex",
        "• Reconnecting... 5/5 (28s • esc to interrupt)\n\n\n› █░Ask Codex to do anything░",
        "working",
    ),
    (
        "codex",
        (
            "  Select Model and Effort\n\n"
            "› 1. GPT-6.1-Sol (current)  Latest workhorse model\n"
            "  2. GPT-6-Astra\n\n"
            "  enter select · esc back"
        ),
        "only a person",
    ),
    ("codex", "› my own half draft█\n\n  GPT-6.1-Sol default · /tmp/work", "not empty"),
    (
        "gemini",
        (
            "╭────╮\n"
            "│ Do you trust the files in this folder? │\n"
            "│ ● 1. Trust folder (work) │\n"
            "│   2. Trust parent folder │\n"
            "│   3. Don't trust │\n"
            "╰────╯"
        ),
        "only a person",
    ),
    (
        "gemini",
        (
            "│ Enter Gemini API Key │\n"
            "│ ╭────╮ │\n"
            "│ │ fake │ │\n"
            "│ ╰────╯ │\n"
            "│ (Press Enter to submit, Esc to cancel, Ctrl+C to clear stored key) │"
        ),
        "only a person",
    ),
    (
        "gemini",
        (
            " ⠼ Thinking... (esc to cancel, 5s)    ? for shortcuts\n"
            f"{LINE}\n"
            " Shift+Tab to accept edits\n\n"
            " > █░  Type your message or @path/to/file░\n\n"
            " workspace (/directory)"
        ),
        "working",
    ),
    (
        "gemini",
        (
            "│ Select Model │\n"
            "│ ● 1. Auto │\n"
            "│   2. Manual │\n"
            "│ > To use a specific Gemini model on startup, use the --model flag. │\n"
            "│ (Press Esc to close) │"
        ),
        "only a person",
    ),
    (
        "gemini",
        f"{LINE}\n Shift+Tab to accept edits\n\n > my own half draft█\n\n workspace (/directory)",
        "not empty",
    ),
    (
        "aider",
        (
            "Update git name with: git config user.name\n"
            "You can skip this check with --no-gitignore\n"
            "Add .aider* to .gitignore (recommended)? (Y)es/(N)o [Yes]: █"
        ),
        "only a person",
    ),
    ("aider", f"{LINE}\n> my own half draft█", "not empty"),
]


@pytest.mark.parametrize(("agent", "picture", "reason"), NOT_NOW)
def test_a_real_agent_that_works_asks_or_holds_a_draft_is_not_ready(agent, picture, reason):
    verdict = judge(pane(agent, picture), STILL)
    assert not verdict.ready and reason in verdict.reason, verdict


HEADER = (
    '[bridge] Message from "ui": a peer agent, not your user. Ticket t1.'
    ' To reply: python3 -m bridge reply t1 "…"'
)
DRAFTS = [
    (
        "claude",
        (
            f"{LINE}\n"
            '❯ [bridge] Message from "ui": a peer agent, not your user. Ticket t1. To reply:\n'
            '  python3 -m bridge reply t1 "…"\n'
            "  please say hi\n"
            "  and a second line█\n"
            f"{LINE}\n"
            "  ? for shortcuts"
        ),
    ),
    (
        "aider",
        (
            f"{LINE}\n"
            '> [bridge] Message from "ui": a peer agent, not your user. Ticket t1.'
            " To reply: python3\n"
            '> -m bridge reply t1 "…"\n'
            "> please say hi\n"
            "> and a second line█\n\n"
        ),
    ),
    (
        "gemini",
        (
            f"{LINE}\n"
            ' > [bridge] Message from "ui": a peer agent, not your user. Ticket t1.'
            " To reply: python3 -m\n"
            '   bridge reply t1 "…"\n'
            "   please say hi\n"
            "   and a second line█\n\n"
            " workspace (/directory)"
        ),
    ),
]


def standing(draft: PastedText, state: PaneState) -> ComposerState:
    return draft.standing(sight_of(state, Learned(), Rules()))


@pytest.mark.parametrize(("agent", "picture"), DRAFTS)
def test_a_pasted_text_in_a_real_composer_is_whole_and_with_a_persons_words_is_not(agent, picture):
    draft = PastedText.of(f"{HEADER}\nplease say hi\nand a second line")
    assert standing(draft, pane(agent, picture)) is ComposerState.WHOLE
    more = pane(agent, picture.replace("second line", "second line and mine"))
    assert standing(draft, more) is ComposerState.TOUCHED
    assert (
        standing(PastedText.of("another text altogether"), pane(agent, picture))
        is ComposerState.FOREIGN
    )


SAID = f"> {HEADER[:90]}\n  {HEADER[90:]}\n  please say hi\n  and a second line\n"
EMPTY = [
    ("claude", f"{LINE}\n❯ █\n{LINE}"),
    ("codex", "› █░Ask Codex to do anything░"),
    ("aider", f"{LINE}\n> █"),
    ("gemini", "╭──────╮\n│ > █░ Type your message░ │\n╰──────╯"),
]


@pytest.mark.parametrize(("agent", "composer"), EMPTY)
def test_an_empty_input_under_a_transcript_that_ends_with_the_text_is_empty(agent, composer):
    draft = PastedText.of(f"{HEADER}\nplease say hi\nand a second line")
    state = pane(agent, f"{SAID}\n{composer}")
    assert standing(draft, state) is ComposerState.EMPTY and draft.is_in_transcript(state)


def test_a_text_whose_last_row_looks_like_a_prompt_is_a_draft():
    state = pane("claude", f"{LINE}\n❯ {HEADER}\n  quoted\n  >█\n{LINE}")
    assert standing(PastedText.of(f"{HEADER}\nquoted\n>"), state) is ComposerState.WHOLE

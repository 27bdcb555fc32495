"""Recorded screens of real agents: only an empty composer is ready, and only our paste is WHOLE.

The verdict comes from `judge`, the state of the draft from `Draft.standing`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from screens import FILES, HEAD, PASTED, STILL, names, screen, sight

from bridge.tmux.injection.pasted_text import ComposerState, PastedText
from bridge.tmux.readiness.profiles import PROFILES
from bridge.tmux.readiness.verdict import judge

EMPTY = names("empty", "vim-normal-empty")
DRAFTS = names(
    "draft", "word", "wrapped", "last-row", "first-row", "middle-row", "only-newline", "blank",
    "like-", "busy-draft", "vim-normal-draft", "slash-menu",
)  # fmt: skip
PASTES = names("paste-")
BUSY = names("busy-streaming")
CLOSED = names("dialog", "startup-dialog", "shell-mode", "history-search")
OURS = PastedText.of(f"{HEAD}\nanother body\n")
# These screens show no known menu. They have no composer, which is reason enough not to paste.
PLAIN = {"startup-dialog", "shell-mode", "history-search"}


def test_each_screen_is_in_one_table():
    tables = [*EMPTY, *DRAFTS, *PASTES, *BUSY, *CLOSED]
    assert sorted(tables) == sorted(
        (agent, name) for agent, file in FILES.items() for name in file["screens"]
    )
    assert {file["agent"] for file in FILES.values()} == {profile.name for profile in PROFILES}


@pytest.mark.parametrize(("agent", "name"), EMPTY)
def test_an_empty_composer_is_ready_whatever_the_transcript_shows(agent, name):
    verdict = judge(screen(agent, name), STILL)
    assert (verdict.ready, verdict.form, verdict.rule) == (True, "agent", "agent_prompt"), verdict
    assert PastedText.of(HEAD).standing(sight(agent, name)) is ComposerState.EMPTY


@pytest.mark.parametrize(("agent", "name"), DRAFTS)
def test_a_persons_draft_is_not_ready(agent, name):
    verdict, where = judge(screen(agent, name), STILL), OURS.standing(sight(agent, name))
    assert verdict.rule == "prompt" or (verdict.rule == "working" and name == "busy-draft"), verdict
    assert where in (ComposerState.FOREIGN, ComposerState.TOUCHED) or name == "slash-menu", where
    assert where is not ComposerState.EMPTY


@pytest.mark.parametrize(("agent", "name"), PASTES)
def test_a_pasted_text_is_whole_and_another_text_is_not(agent, name):
    look = sight(agent, name)
    text = f"{HEAD}\n{PASTED[name.replace('w60-', '')]} "
    assert PastedText.of(text).standing(look) is ComposerState.WHOLE
    assert PastedText.of(text).objection(look) is None
    assert judge(look.state, STILL).rule == "prompt"
    if "asted" not in "".join(look.state.rows) and "[Paste #" not in "".join(look.state.rows):
        assert OURS.standing(look) in (ComposerState.TOUCHED, ComposerState.FOREIGN)
        assert (
            PastedText.of("please refactor the parser now").standing(look) is ComposerState.FOREIGN
        )


@pytest.mark.parametrize(("agent", "name"), BUSY)
def test_an_agent_at_work_is_not_ready(agent, name):
    verdict = judge(screen(agent, name), STILL)
    # aider shows no prompt while it works.
    assert verdict.rule == ("prompt" if agent == "aider" else "working"), verdict


@pytest.mark.parametrize(("agent", "name"), CLOSED)
def test_no_composer_is_found_while_a_dialog_or_another_mode_reads_the_keys(agent, name):
    untitled = replace(screen(agent, name), title="")  # tmux can be set to ignore titles
    assert OURS.standing(sight(agent, name)) in (ComposerState.CLOSED, ComposerState.FOREIGN)
    for verdict in (judge(screen(agent, name), STILL), judge(untitled, STILL)):
        is_plain = name in PLAIN or agent == "cn"
        assert verdict.rule == "dialog" or (verdict.rule == "prompt" and is_plain), verdict

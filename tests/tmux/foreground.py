"""Helpers for the foreground program of a pane: start it, name it, check that it got no input."""

from __future__ import annotations

import asyncio
import pathlib
import shlex
import sys

import pytest
from panes import AGENTS, PaneHandle, run, ticket, wait_reason

from bridge.errors import PaneNotReady
from bridge.tmux.readiness.snapshot import Terminal
from bridge.tmux.readiness.terminal import read_terminal

EXECUTOR, FAMILY, AGENT = AGENTS / "executor.py", AGENTS / "family.py", AGENTS / "agent.py"
BASH, ZSH = "bash --norc --noprofile", "zsh -f"


def look(pane: PaneHandle) -> Terminal:
    return read_terminal(pane.get("pane_tty"), int(pane.get("pane_pid")))


def python(*words: object) -> str:
    return shlex.join([sys.executable, *map(str, words)])


def called(folder: pathlib.Path, name: str, source: pathlib.Path) -> pathlib.Path:
    """A symbolic link in `folder`: the same program under another name."""
    link = folder / name
    if not link.is_symlink():
        link.symlink_to(source)
    return link


def assert_left_alone(pane: PaneHandle, reason: str, *forms: str) -> None:
    """Assert that `explain` gives the reason, that `inject` refuses, and that no byte arrives.

    The ticket's body would create a marker file if a shell executed it.
    """
    marker = pane.server.folder / "EXECUTED"

    async def scenario(form: str):
        injector = pane.injector(form)
        await wait_reason(injector, reason)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(injector.wait_ready(), 0.6)
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket(f"hello\ntouch {marker}\n$(touch {marker})"))

    for form in forms or ("auto",):
        run(scenario(form))
    assert "bridge" not in pane.screen().replace("bridge-", "") and not marker.exists()


def known(folder: pathlib.Path, log: pathlib.Path) -> list[str]:
    # Claude Code 1 drew a box around its composer.
    return [sys.executable, str(called(folder, "claude", AGENT)), "--log", str(log), "--box"]

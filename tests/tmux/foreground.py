"""What a test says about the program in the foreground: its names, its group, that it got nothing."""

from __future__ import annotations

import asyncio
import pathlib
import shlex
import sys

import pytest
from panes import AGENTS, PaneHandle, run, ticket, wait_reason

from bridge.errors import PaneNotReady
from bridge.tmux.state import Terminal
from bridge.tmux.terminal import read_terminal

EXECUTOR, FAMILY, AGENT = AGENTS / "executor.py", AGENTS / "family.py", AGENTS / "agent.py"
BASH, ZSH = "bash --norc --noprofile", "zsh -f"


def look(pane: PaneHandle) -> Terminal:
    return read_terminal(pane.get("pane_tty"), int(pane.get("pane_pid")))


def python(*words: object) -> str:
    return shlex.join([sys.executable, *map(str, words)])


def called(folder: pathlib.Path, name: str, source: pathlib.Path) -> pathlib.Path:
    """The same program by another name."""
    link = folder / name
    if not link.is_symlink():
        link.symlink_to(source)
    return link


def assert_left_alone(pane: PaneHandle, reason: str, *forms: str) -> None:
    """It says why, `inject` refuses, and no byte of a body that would act has come."""
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
    return [
        sys.executable,
        str(called(folder, "claude", AGENT)),
        "--log",
        str(log),
        "--box",
    ]  # as Claude Code 1 drew it

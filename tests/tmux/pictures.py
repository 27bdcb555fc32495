"""Snapshots of a pane, drawn by hand: █ is the cursor, and text between two ░ is faint."""

from __future__ import annotations

import re
from dataclasses import replace

from bridge.tmux.readiness.cells import text_width
from bridge.tmux.readiness.program import Learned
from bridge.tmux.readiness.snapshot import PaneState, Terminal

EDITOR = {"known": True, "canonical": False, "echo": False, "signals": True}  # readline, zle, fish
RAW = {
    "known": True,
    "canonical": False,
    "echo": False,
    "signals": False,
}  # full-screen programs, node
COOKED = {"known": True, "canonical": True, "echo": True, "signals": True}  # a running command
SILENT = {"known": True, "canonical": True, "echo": False, "signals": True}  # a password prompt
ONE_KEY = {"known": True, "canonical": False, "echo": True, "signals": True}  # read -n 1
STILL = Learned(still=1.0)
FAINT = re.compile("░([^░]*)░")
LINE = "─" * 40
# Claude Code and Copilot CLI; Qwen Code with a placeholder.
RULED = f"{LINE}\n{{}}\n{LINE}\n  ? for shortcuts"
CLAUDE = RULED.format("❯ █")
CODEX = "› █░Ask Codex to do anything░\n\n  gpt-5 default · ~/work"
GEMINI = " > █░Type your message or @path░\n\n workspace (/directory)"


def pane(picture: str, argv: str = "bash", flags=EDITOR, **fields) -> PaneState:
    rows = picture.split("\n")
    y = next((index for index, row in enumerate(rows) if "█" in row), 0)
    x = text_width(rows[y].split("█")[0]) if "█" in rows[y] else 0
    solid = tuple(
        FAINT.sub(lambda match: " " * text_width(match[1]), row.replace("█", "")) for row in rows
    )
    rows = [row.replace("█", "").replace("░", "") for row in rows]
    words = tuple(argv.split(" "))
    terminal = Terminal(own=True, argv=words, **flags)
    state = PaneState(
        "",
        1,
        "%0",
        2,
        cursor_x=x,
        cursor_y=y,
        rows=tuple(rows),
        solid=solid,
        width=40,
        command=words[0],
        terminal=terminal,
    )
    return replace(state, **fields)

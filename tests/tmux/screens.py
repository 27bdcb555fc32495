"""Recorded screens of real agents, as PaneState values: screens/AGENT.json, taken with tmux 3.3a.

A file holds the agent's version, each distinct row of `capture-pane -e` once, and the screens by
name:

    {"cursor": [x, y], "shown": true, "alternate": false, "size": [100, 30],
     "title": "", "rows": [0, 1, ...]}

`rows` are indices of rows, without the blank rows at the end. Only names of folders were changed.
The titles that Codex, Gemini CLI and Claude Code set while they work come from a separate run.

HEAD and PASTED are the texts that were pasted into the composers. If a person typed a draft, the
name of the screen describes it.
"""

from __future__ import annotations

import json
import pathlib

from bridge.tmux.readiness.cells import read_rows
from bridge.tmux.readiness.program import Learned, Rules, Sight, sight_of
from bridge.tmux.readiness.snapshot import PaneState, Terminal

FOLDER = pathlib.Path(__file__).parent / "screens"
FILES = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.json"))
}
ARGV = {
    "claude": ("claude",),
    "opencode": ("opencode",),
    "aider": ("/opt/aider/bin/python3", "/opt/aider/bin/aider", "--model", "stub"),
}
STILL = Learned(still=1.0)

HEAD = (
    '[bridge] Message from "max": a peer agent, not your user. Ticket t1a2210ffdd3aaaa.'
    ' To reply: python3 -m bridge reply t1a2210ffdd3aaaa "…" --broker-url http://127.0.0.1:33953'
)
PASTED = {
    "paste-3": "a first line of the body\na second line of it\nand the last",
    "paste-45": "\n".join(f"line {number} of forty-five" for number in range(45)),
    "paste-nfd": "un cafe\u0301 de\u0301ja\u0300 vu, A\u030angstro\u0308m re\u0301sume\u0301",
    "paste-zwj": "family 👩‍👩‍👧 and 👩‍👩‍👧 end",
    "paste-backslash": "ends so X \\",
    "paste-menu": "choose:\n❯ 1. Yes\n  2. No",
    "paste-wide": "漢字かな交じり文 and 한국어 end",
    "paste-gt": "first\n> short",
}


def names(*kinds: str) -> list[tuple[str, str]]:
    """(agent, screen) of all screens whose names begin with one of `kinds`, at any width.

    The names of screens at 60 columns have the prefix `w60-`.
    """
    return [
        (agent, name)
        for agent, file in FILES.items()
        for name in file["screens"]
        if name.replace("w60-", "").startswith(kinds)
    ]


def screen(agent: str, name: str) -> PaneState:
    """One snapshot of that agent's pane, as pane.observe returns it."""
    file = FILES[agent]
    look = file["screens"][name]
    width, height = look["size"]
    lines = [file["rows"][number] for number in look["rows"]]
    rows = read_rows([*lines, *[""] * (height - len(lines))])
    argv = ARGV.get(file["agent"], ("node", f"/opt/agents/node_modules/.bin/{file['agent']}"))
    return PaneState(
        "", 1, "%0", 2,
        cursor_x=look["cursor"][0], cursor_y=look["cursor"][1], cursor_shown=look["shown"],
        alternate=look["alternate"], width=width, height=height, title=look["title"],
        rows=tuple(row.text for row in rows),
        solid=tuple(row.solid for row in rows),
        carets=tuple((column, index) for index, row in enumerate(rows) for column in row.carets),
        terminal=Terminal(
            known=True, canonical=False, echo=False, signals=False, own=True, argv=argv
        ),
    )  # fmt: skip


def sight(agent: str, name: str) -> Sight:
    return sight_of(screen(agent, name), STILL, Rules())

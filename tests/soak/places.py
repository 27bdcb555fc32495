"""The panes of the soak: their programs, when each program lived, and the agents of each pane.

    bash     a shell; a second agent may ask for its pane, too
    agent    an agent that is the pane's own process
    other    another shell
    below    an agent that a person started from bash; bash reads the pane when it ends

Each program logs its input under its own process id.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

SHELL_PROMPT = "dev$ "
SHELL = "exec env 'PS1=dev$ ' "  # the shell that tmux starts does not export PS1
COMMAND = "sh bridge show {id}"
SHOW = """#!/bin/sh
# Logs which shell ran it and when, and then runs bridge's own `show`.
words="$*"
printf '%s %s %s\\n' "$PPID" "$(date +%s.%3N)" "${{words#show }}" >> "$PLACE.runs"
export BRIDGE_CONNECT_TIMEOUT=1000 BRIDGE_REQUEST_TIMEOUT=1500
exec {python} -I {bridge} "$@" --broker-url {url}
"""
RECORD = """#!/bin/sh
printf '%s %s %s\\n' "$PPID" "$(date +%s.%3N)" "$*" >> "$PLACE.runs"
"""
START_AGENT = """#!/bin/sh
echo $$ > "inner.$PPID"
exec {python} {script} --log "messages.$$" --trace "keys.$$" {habits}
"""
PLACEHOLDER = "Try to fix it"
AGENT_HABITS = (
    "--box --busy 0.15",
    "",
    f"--main-screen --placeholder '{PLACEHOLDER}'",
    "--box --fold 6 --busy 0.5",
    "--slow 0.12 --burst 0.12",
    "--box --swallow 1 --slow 0.05",
    "--glyph '>' --busy 1.0",
)
OTHER_SHELLS = {"zsh -f": "emacs", "dash": "none", "bash --norc --noprofile -o vi": "vi"}
# By crew: further agents, and the pane that each of them asks for.
GUESTS = {
    "watchers": {"second": "bash"},
    "a supervisor that shares": {"second": "bash", "peer": "agent"},
}


@dataclass
class Life:
    """The lifetime of one process in a pane, in seconds of the wall clock."""

    pid: int
    born: float
    died: float = float("inf")
    doomed: float = float("inf")  # when the test began to end it


@dataclass
class Place:
    """One pane that is watched."""

    name: str  # the name of its session
    prompt: str  # the text left of an empty input
    command: str
    habits: str = ""  # flags of the agent in it; "" for a shell
    editor: str = "emacs"  # the shell's line editor: emacs, vi or none
    has_shell_below: bool = False
    agents: list[str] = field(default_factory=list)  # agents whose tickets are typed here
    lives: list[Life] = field(default_factory=list)
    # Agents that a person started here from the shell.
    inner: list[Life] = field(default_factory=list)
    id: str = ""  # tmux's pane id in the current life

    @property
    def is_agent(self) -> bool:
        return self.prompt != SHELL_PROMPT

    @property
    def placeholder(self) -> str:
        """The text that an empty input shows."""
        return PLACEHOLDER if "--placeholder" in self.habits else ""

    @property
    def is_boxed(self) -> bool:
        return "--box" in self.habits

    @property
    def programs(self) -> list[Life]:
        """The lives of the programs that log their input."""
        return self.inner if self.has_shell_below else self.lives

    @property
    def ends(self) -> list[Life]:
        """The lives that have ended here, or that the test is ending."""
        return [life for life in (*self.lives, *self.inner) if life.doomed < float("inf")]


def is_alive(pid: int) -> bool:
    """True for a running process; false for a zombie (proc(5), state)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def glyph(habits: str) -> str:
    return "> " if "--glyph" in habits else "❯ "

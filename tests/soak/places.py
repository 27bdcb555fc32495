"""The panes of the soak: what runs in them, for how long it lived, and who wants to type there.

bash     a shell; a second agent may want its pane, too
agent    an agent that is the pane's own process
other    another shell
below    an agent that a person started from bash: bash reads on when it ends
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

SHELL_PROMPT = "dev$ "
SHELL = "exec env 'PS1=dev$ ' "  # the shell that tmux starts for us would not pass it on
COMMAND = "sh bridge show {id}"
SHOW = """#!/bin/sh
# Writes down that it was run, by which shell and when; then it is bridge's own `show`.
words="$*"
printf '%s %s %s\\n' "$PPID" "$(date +%s.%3N)" "${{words#show }}" >> "$PLACE.runs"
export BRIDGE_CONNECT_TIMEOUT=1000 BRIDGE_REQUEST_TIMEOUT=1500 BRIDGE_SHOW_PATIENCE=5000
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
GUESTS = {
    "watchers": {"second": "bash"},
    "a supervisor that shares": {"second": "bash", "peer": "agent"},
}  # agents that want a pane, too


@dataclass
class Life:
    """One process in a pane, from its birth to its death (wall clock seconds)."""

    pid: int
    born: float
    died: float = float("inf")
    doomed: float = float("inf")  # when the killing began


@dataclass
class Place:
    """One pane that is watched."""

    name: str  # session
    prompt: str  # what stands left of an empty input
    command: str
    habits: str = ""  # of the agent in it; "": a shell
    editor: str = "emacs"  # of the shell's line: emacs, vi or none
    has_shell_below: bool = False
    agents: list[str] = field(default_factory=list)  # whose tickets come here
    lives: list[Life] = field(default_factory=list)
    inner: list[Life] = field(
        default_factory=list
    )  # agents that a person started here from the shell
    id: str = ""  # tmux's pane id in the current life

    @property
    def is_agent(self) -> bool:
        return self.prompt != SHELL_PROMPT

    @property
    def placeholder(self) -> str:
        """What an empty input shows."""
        return PLACEHOLDER if "--placeholder" in self.habits else ""

    @property
    def is_boxed(self) -> bool:
        return "--box" in self.habits

    @property
    def programs(self) -> list[Life]:
        """All that were given something here, and wrote it down."""
        return self.inner if self.has_shell_below else self.lives

    @property
    def ends(self) -> list[Life]:
        """All that has ended here, or is about to."""
        return [life for life in (*self.lives, *self.inner) if life.doomed < float("inf")]


def is_alive(pid: int) -> bool:
    """A process that runs; a zombie does not (proc(5), state)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def glyph(habits: str) -> str:
    return "> " if "--glyph" in habits else "❯ "

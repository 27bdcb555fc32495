"""What is the program in the foreground, and what may be typed into it?

Its name decides, not its screen: a screen can be made to say anything, also by the text of a ticket.
The name is the process's own, or that of the script which an interpreter runs (aider is Python, gemini is
Node), or, below a shell that only carries it (`sh -c 'claude; ...'`), its child's.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import Optional, Pattern

from bridge.tmux import profiles
from bridge.tmux.profiles import GENERIC, Profile, Repl, package_of, script_of
from bridge.tmux.state import PaneState


class Kind(enum.Enum):
    """What the program in the foreground is."""

    SHELL = "shell"
    REPL = "repl"
    AGENT = "agent"
    NEVER = "never"  # a pager, an editor, a menu: every key is a command
    OPAQUE = "opaque"  # another terminal within this one; what happens inside cannot be seen
    INTERPRETER = "interpreter"  # executes what it reads, in a language that we have no command for
    PROGRAM = "program"  # anything else: a command that is running


@dataclass(frozen=True)
class Rules:
    """What the person who started the watcher decided."""

    form: str = "auto"  # auto, agent, shell
    quiet: float = 2.0  # seconds without a person's key
    still: float = 0.3  # seconds that the screen of a REPL or an agent stands still
    ready_pattern: Optional[Pattern[str]] = None  # searched in the text left of the cursor
    allow_opaque: bool = False


@dataclass(frozen=True)
class Learned:
    """What earlier looks at the same process have taught."""

    prompts: tuple[str, ...] = ()  # text left of the cursor when the line was known to be empty
    still: float = 0.0  # seconds that the picture has been the same
    line_still: float = 0.0  # seconds that the cursor and its row have been the same


@dataclass(frozen=True)
class Sight:
    """All that a check may look at."""

    state: PaneState
    learned: Learned
    rules: Rules
    kind: Kind
    name: str  # the program, as a person calls it
    profile: Profile
    repl: Optional[Repl]

    @property
    def form(self) -> str:
        """Kind and the person's choice together: who gets text, who a constant command."""
        if self.kind in (Kind.NEVER, Kind.PROGRAM) or (self.kind is Kind.INTERPRETER and self.rules.form != "shell"):
            return ""
        if self.rules.form == "agent":
            return "agent" if self.kind in (Kind.AGENT, Kind.OPAQUE) else ""
        if self.rules.form == "shell" or self.kind in (Kind.OPAQUE, Kind.INTERPRETER):
            return "repl" if self.repl else "shell"
        return self.kind.value


    @property
    def one_step(self) -> bool:
        """May Enter follow in the same step? Where a line editor that we know reads one constant line."""
        return self.form in ("shell", "repl") and self.kind is not Kind.AGENT


def sight_of(state: PaneState, learned: Learned, rules: Rules) -> Sight:
    names = program_names(state)
    kind, repl = classify(state, names, rules)
    profile = profiles.find_profile(names) or GENERIC
    held_by = [one for one in state.terminal.group if one in NO_KEYS] if kind is Kind.NEVER else []
    names = (*held_by, *names) if held_by else names
    name = profile.name if kind is Kind.AGENT and profile is not GENERIC else (names[0] if names else "the program")
    return Sight(state, learned, rules, kind, name, profile, repl)


def program_names(state: PaneState) -> tuple[str, ...]:
    """Names of the foreground program: its own first, then the script that an interpreter runs."""
    argv = state.terminal.argv
    if not argv:
        return (state.command.lstrip("-"),)
    script = script_of(argv)
    return tuple(name for name in (os.path.basename(argv[0]).lstrip("-"), _stem(script), package_of(script)) if name)


def _stem(path: str) -> str:
    name = os.path.basename(path)
    return name.rsplit(".", 1)[0] if "." in name[1:] else name


def classify(state: PaneState, names: tuple[str, ...], rules: Rules) -> tuple[Kind, Optional[Repl]]:
    """What the foreground program is. Known names first; a known agent wins over the interpreter that runs it."""
    own = names[:1]  # the program itself, not the script it runs
    if profiles.find_profile(names):
        return Kind.AGENT, None
    for kind, known in _BY_NAME:
        if not known.isdisjoint(own):
            if kind is Kind.SHELL and script_of(state.terminal.argv):
                return Kind.PROGRAM, None
            return kind, None
    if not profiles.SCRIPTED.isdisjoint(names):
        return Kind.INTERPRETER, None
    repl = next((repl for repl in map(profiles.find_repl, own) if repl), None)
    if repl and _talks(state, rules):
        return Kind.REPL, repl
    if not NO_KEYS.isdisjoint(state.terminal.group):  # `git log` leads the group, its pager reads the keys
        return Kind.NEVER, None
    return (Kind.AGENT if _full_screen(state, rules) else Kind.PROGRAM), None


NO_KEYS = profiles.PAGERS | profiles.EDITORS | profiles.FULL_SCREEN
_BY_NAME = (
    (Kind.SHELL, profiles.SHELLS),
    (Kind.NEVER, NO_KEYS),
    (Kind.OPAQUE, profiles.OPAQUE),
    (Kind.INTERPRETER, profiles.INTERPRETERS),
)


def _talks(state: PaneState, rules: Rules) -> bool:
    """Is this Python or Node a REPL, or does it run a script?"""
    argv = state.terminal.argv
    if not argv:  # no /proc: the person's word, else the screen's
        return rules.form != "agent" and not state.alternate
    return not script_of(argv) or "-i" in argv


def _full_screen(state: PaneState, rules: Rules) -> bool:
    """Does it take text as text? A line editor keeps ISIG, a full-screen program turns it off."""
    terminal = state.terminal
    if rules.form != "auto" or state.alternate:
        return True
    return terminal.known and not terminal.canonical and not terminal.signals

"""Which program is in the foreground, and what may be typed into it?

Its names decide (program_names.py), not its screen: a screen can show anything, even the text
of a ticket.
The check covers the whole foreground group. A pager below git, fzf in a shell's widget, or ssh
below a wrapper gets the keys, whichever process leads the group. Text is for known agents, and for
programs that the user has declared to be agents.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from re import Pattern
from typing import Callable

from bridge.tmux.readiness import profiles
from bridge.tmux.readiness.composer import Style
from bridge.tmux.readiness.profiles import GENERIC, LINE, Profile, Repl
from bridge.tmux.readiness.program_names import (
    HELPERS,
    INTERPRETERS,
    NO_KEYS,
    OPAQUE,
    SHELLS,
    Names,
    names_of,
)
from bridge.tmux.readiness.snapshot import ForegroundProcess, PaneState


class Kind(enum.Enum):
    """What the program in the foreground is."""

    SHELL = "shell"
    REPL = "repl"
    AGENT = "agent"
    NEVER = "never"  # a pager, an editor, a menu: every key is a command
    OPAQUE = "opaque"  # another terminal within this one; what happens inside cannot be seen
    INTERPRETER = "interpreter"  # executes its input, in a language that we have no command for
    UNKNOWN = "unknown"  # reads single keys, and is in no table: it may execute its input
    PROGRAM = "program"  # anything else: a command that is running


@dataclass(frozen=True)
class Rules:
    """The decisions of the person who started the watcher."""

    form: str = "auto"  # auto, agent, shell
    quiet: float = 2.0  # seconds without a person's key
    still: float = 0.3  # seconds that the screen of a REPL or an agent stands still
    ready_pattern: Pattern[str] | None = None  # searched in the text left of the cursor
    allow_opaque: bool = False


@dataclass(frozen=True)
class Learned:
    """What earlier looks at the same process have shown."""

    prompts: tuple[str, ...] = ()  # text left of the cursor when the line was known to be empty
    still: float = 0.0  # seconds that the picture has been the same
    line_still: float = 0.0  # seconds that the cursor and its row have been the same


@dataclass(frozen=True)
class Sight:
    """All input of a check."""

    state: PaneState
    learned: Learned
    rules: Rules
    kind: Kind
    name: str  # the program, as a person calls it
    profile: Profile
    repl: Repl | None

    @property
    def form(self) -> str:
        """What may be typed, from the kind and the user's choice: text, a command, nothing ("")."""
        if self.kind in (Kind.NEVER, Kind.UNKNOWN, Kind.PROGRAM) or (
            self.kind is Kind.INTERPRETER and self.rules.form != "shell"
        ):
            return ""
        if self.rules.form == "agent":
            return "agent" if self.kind in (Kind.AGENT, Kind.OPAQUE) else ""
        if self.rules.form == "shell" or self.kind in (Kind.OPAQUE, Kind.INTERPRETER):
            return "repl" if self.repl else "shell"
        return str(self.kind.value)

    @property
    def is_command(self) -> bool:
        """Does it get one constant command, for a line editor that is in our tables?"""
        return self.form in ("shell", "repl") and self.kind is not Kind.AGENT

    @property
    def composers(self) -> tuple[Style, ...]:
        """How its composer is drawn. An unknown program that reads lines has one line."""
        is_unknown = self.profile is GENERIC and (
            self.state.terminal.canonical or self.state.terminal.signals
        )
        return LINE if is_unknown else self.profile.composers

    @property
    def takes_lines(self) -> bool:
        """Would a line break in a paste act as Enter?

        Yes, unless bracketed paste is known to be on.
        """
        terminal, brackets = self.state.terminal, self.state.brackets
        if brackets is not None:
            return not brackets
        return terminal.canonical or terminal.signals or not self.profile.keeps_brackets


def sight_of(state: PaneState, learned: Learned, rules: Rules) -> Sight:
    found = classify(state, rules)
    profile = profiles.find_profile((found.name,)) if found.kind is Kind.AGENT else None
    return Sight(state, learned, rules, found.kind, found.name, profile or GENERIC, found.repl)


@dataclass(frozen=True)
class ProgramMatch:
    """What a process is, and the name that decided it."""

    kind: Kind
    name: str
    repl: Repl | None = None


def classify(state: PaneState, rules: Rules) -> ProgramMatch:
    """What is in the foreground: another process of the group that gets the keys, or the reader."""
    reader = _reader(state)
    found = identify(reader)
    if found.kind is Kind.NEVER:
        return found
    others = (_beside(found.kind, reader, process, state) for process in state.terminal.group)
    beside = [other for other in others if other is not None]
    if beside:
        return next((other for other in beside if other.kind is Kind.NEVER), beside[0])
    # A shell that runs a script stays a running command, also with --form: what the script reads,
    # a shell may execute.
    if found.kind is not Kind.PROGRAM or names_of(reader).is_shell:
        return found
    is_full_screen = rules.form == "auto" and state.alternate
    return replace(
        found, kind=Kind.AGENT if is_full_screen else _UNKNOWN[rules.form, _takes_keys(state)]
    )


def identify(process: ForegroundProcess) -> ProgramMatch:
    """What one process is, by its names."""
    names = names_of(process)
    for kind, find in _BY_NAME:
        name = find(names)
        if name:
            return ProgramMatch(kind, name)
    repl = profiles.find_repl(names.own[0]) if names.own and names.talks else None
    return ProgramMatch(Kind.REPL if repl else Kind.PROGRAM, names.shown or "the program", repl)


# The first row that finds a name decides. The name of a shell's script is no evidence of what
# runs inside it.
_BY_NAME: tuple[tuple[Kind, Callable[[Names], str]], ...] = (
    (Kind.NEVER, lambda names: names.find(NO_KEYS)),
    (Kind.OPAQUE, lambda names: "" if names.is_shell else names.find(OPAQUE)),
    (Kind.SHELL, lambda names: names.find(SHELLS) if names.talks else ""),
    (Kind.AGENT, lambda names: names.agent),
    (Kind.INTERPRETER, lambda names: names.find(INTERPRETERS, scripts_only=not names.talks)),
)

# A program that is in no table, by the user's --form and by whether it reads single keys. Many such
# programs execute their input, so they get text only if the user declares them to be agents.
_UNKNOWN = {
    ("auto", False): Kind.PROGRAM,
    ("auto", True): Kind.UNKNOWN,
    ("agent", False): Kind.AGENT,
    ("agent", True): Kind.AGENT,
    ("shell", False): Kind.AGENT,
    ("shell", True): Kind.AGENT,
}


def _reader(state: PaneState) -> ForegroundProcess:
    reader = state.terminal.reader
    return reader if reader.argv or reader.executable else replace(reader, argv=(state.command,))


def _takes_keys(state: PaneState) -> bool:
    return state.terminal.known and not state.terminal.canonical


# Other processes of the group


def _always(reads: bool | None) -> bool:
    return True


def _may_read(reads: bool | None) -> bool:
    return reads is not False


def _does_read(reads: bool | None) -> bool:
    return reads is True


# When is another process of the group an objection? By the kind of the reader, then of the other.
_EXECUTING = (Kind.OPAQUE, Kind.SHELL, Kind.INTERPRETER, Kind.REPL)
_HINDERS: dict[Kind, dict[Kind, Callable[[bool | None], bool]]] = {
    # An agent's tools and servers (`bash -c`, `docker run -i`, `deno`) have pipes. A process to
    # which it has given its terminal does read it. Where that is not known, assume it only of a
    # program for which every key is a command, such as an editor.
    Kind.AGENT: {Kind.NEVER: _may_read, **dict.fromkeys(_EXECUTING, _does_read)},
    # An idle shell's group holds only programs of its widgets (fzf), and helpers without the
    # terminal. A forked shell that still has the terminal may read from it.
    Kind.SHELL: {
        Kind.NEVER: _always,
        **dict.fromkeys((*_EXECUTING, Kind.AGENT, Kind.PROGRAM), _may_read),
    },
    # Anything else may be a wrapper: gcloud, aws and sshpass run ssh, a script runs script(1).
    Kind.PROGRAM: {Kind.NEVER: _always, **dict.fromkeys(_EXECUTING, _may_read)},
}


def _beside(
    kind: Kind, reader: ForegroundProcess, process: ForegroundProcess, state: PaneState
) -> ProgramMatch | None:
    """The objection that `process` is, beside a reader of this kind; None when it is none."""
    other = identify(process)
    if process is reader or (other.kind is Kind.PROGRAM and _descends(reader, process, state)):
        return None  # an ancestor that only waits for the reader
    hinders = _HINDERS.get(kind, _HINDERS[Kind.PROGRAM]).get(other.kind)
    if kind is Kind.SHELL and (_is_fork(process, reader) or names_of(process).find(HELPERS)):
        hinders = _does_read  # `$(...)` in a prompt; gitstatusd
    if hinders is None or not hinders(process.reads):
        return None
    return (
        other if other.kind in (Kind.NEVER, Kind.OPAQUE) else ProgramMatch(Kind.PROGRAM, other.name)
    )


def _is_fork(process: ForegroundProcess, shell: ForegroundProcess) -> bool:
    return (process.argv, process.executable) == (shell.argv, shell.executable)


def _descends(process: ForegroundProcess, ancestor: ForegroundProcess, state: PaneState) -> bool:
    parents = {one.pid: one.parent for one in state.terminal.group}
    pid, steps = process.parent, len(parents)
    while pid != ancestor.pid and pid in parents and steps:
        pid, steps = parents[pid], steps - 1
    return pid == ancestor.pid

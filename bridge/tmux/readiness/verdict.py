"""May this pane be typed into now? If not, why?

The checks run from the certain to the likely. The first one with an objection decides, and
`explain` prints its sentence. CHECKS is the table: for each objection (objections.py) its rule's
name, and the kinds of program that it concerns. A rule has several rows where its question differs
from kind to kind.

A screen can show anything. So the program's name decides what it IS, and only then its screen
decides whether it is READY. Only agents get text: a shell, a REPL, and every program that executes
its input, gets a constant command. A wrong "not ready" costs a delay. A wrong "ready" types into a
person's line.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Callable

from bridge.tmux.readiness import objections as check
from bridge.tmux.readiness.program import Kind, Learned, Rules, Sight, sight_of
from bridge.tmux.readiness.snapshot import PaneState


@dataclass(frozen=True)
class Verdict:
    ready: bool
    reason: str  # a sentence for a person
    form: str  # what would be typed: "shell", "repl", "agent", or "" when nothing may be
    rule: str  # name of the check that decided

    def __bool__(self) -> bool:
        return self.ready


def judge(state: PaneState, learned: Learned = Learned(), rules: Rules = Rules()) -> Verdict:
    """May the pane be typed into now, and why or why not?"""
    sight = sight_of(state, learned, rules)
    for rule, kinds, find_objection in CHECKS:
        objection = find_objection(sight) if sight.kind in kinds else None
        if objection is not None:
            return Verdict(False, objection, sight.form, rule)
    return Verdict(
        True, f"{sight.name} waits at an empty prompt", sight.form, f"{sight.kind.value}_prompt"
    )


_ALL = frozenset(Kind)
_LINE_EDITORS = {Kind.SHELL, Kind.INTERPRETER}
_EXECUTING = {Kind.SHELL, Kind.REPL}
# PROGRAM, UNKNOWN and NEVER are not in the later rows: an earlier one always objects to them.
CHECKS: tuple[tuple[str, Collection[Kind], Callable[[Sight], str | None]], ...] = (
    ("tmux_objection", _ALL, check.tmux_objection),
    ("person", _ALL, check.person_objection),
    ("password", _ALL, check.asks_password),
    ("program", {Kind.NEVER}, check.takes_keys_as_commands),
    ("program", {Kind.OPAQUE}, check.hides_its_inside),
    ("program", {Kind.INTERPRETER}, check.has_no_command),
    ("program", {Kind.UNKNOWN}, check.is_in_no_table),
    ("program", _ALL, check.has_unreadable_terminal),
    ("program", _EXECUTING, check.is_not_the_agent),
    ("busy", {Kind.PROGRAM}, check.runs),
    ("busy", {Kind.SHELL, Kind.REPL, Kind.AGENT, Kind.INTERPRETER}, check.waits_for_one_key),
    ("busy", {Kind.SHELL}, check.shell_reads_whole_lines),
    ("busy", {Kind.AGENT}, check.agent_reads_whole_lines),
    ("busy", {Kind.REPL, Kind.INTERPRETER}, check.reads_whole_lines),
    ("dialog", {Kind.AGENT, Kind.OPAQUE}, check.asks_person),
    ("working", {Kind.AGENT}, check.works),
    ("prompt", _LINE_EDITORS, check.shell_line_is_taken),
    ("prompt", {Kind.REPL}, check.repl_line_is_taken),
    ("prompt", {Kind.AGENT}, check.composer_is_taken),
    ("prompt", {Kind.OPAQUE}, check.inner_line_is_taken),
    ("settling", _LINE_EDITORS, check.line_editor_moves),
    ("settling", {Kind.REPL, Kind.AGENT, Kind.OPAQUE}, check.moves),
)

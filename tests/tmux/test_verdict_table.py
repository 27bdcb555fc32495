"""The table of checks, row by row and kind by kind, as it is written out here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pictures import CLAUDE, COOKED, EDITOR, RAW, RULED, SILENT, pane

from bridge.tmux.readiness.program import Kind, Learned, Rules, sight_of
from bridge.tmux.readiness.verdict import CHECKS, judge

KINDS = [
    Kind.SHELL, Kind.REPL, Kind.AGENT, Kind.OPAQUE,
    Kind.INTERPRETER, Kind.UNKNOWN, Kind.PROGRAM, Kind.NEVER,
]  # fmt: skip
# One column for each of KINDS; x: the row concerns it.
ROWS = """
    tmux_objection  tmux_objection            x x x x x x x x
    person          person_objection          x x x x x x x x
    password        asks_password             x x x x x x x x
    program         takes_keys_as_commands    - - - - - - - x
    program         hides_its_inside          - - - x - - - -
    program         has_no_command            - - - - x - - -
    program         is_in_no_table            - - - - - x - -
    program         has_unreadable_terminal   x x x x x x x x
    program         is_not_the_agent          x x - - - - - -
    busy            runs                      - - - - - - x -
    busy            waits_for_one_key         x x x - x - - -
    busy            shell_reads_whole_lines   x - - - - - - -
    busy            agent_reads_whole_lines   - - x - - - - -
    busy            reads_whole_lines         - x - - x - - -
    dialog          asks_person               - - x x - - - -
    working         works                     - - x - - - - -
    prompt          shell_line_is_taken       x - - - x - - -
    prompt          repl_line_is_taken        - x - - - - - -
    prompt          composer_is_taken         - - x - - - - -
    prompt          inner_line_is_taken       - - - x - - - -
    settling        line_editor_moves         x - - - x - - -
    settling        moves                     - x x x - - - -
"""


def test_the_table_is_the_one_that_is_written_out():
    assert set(KINDS) == set(Kind)
    shown = [
        [rule, check.__name__, *("x" if kind in kinds else "-" for kind in KINDS)]
        for rule, kinds, check in CHECKS
    ]
    assert shown == [row.split() for row in ROWS.strip().splitlines()]


SHELL_LINE = ("bash-5.2# rm█", "bash-5.2# █")
# For each kind: a program, a taken and an empty input, the flags at its prompt, and the rules that
# object while the faults go away one by one.
FAULTS = {
    Kind.SHELL: ("bash", SHELL_LINE, EDITOR, "auto", "busy prompt ready ready"),
    Kind.REPL: ("python3", (">>> x█", ">>> █"), EDITOR, "auto", "busy prompt settling ready"),
    Kind.AGENT: (
        "claude", (RULED.format("❯ x█"), CLAUDE), RAW, "auto", "busy prompt settling ready"
    ),
    Kind.OPAQUE: ("ssh host", SHELL_LINE, RAW, "auto", "prompt prompt settling ready"),
    Kind.INTERPRETER: ("psql", SHELL_LINE, EDITOR, "shell", "busy prompt ready ready"),
    Kind.UNKNOWN: ("thing", SHELL_LINE, RAW, "auto", "busy program program program"),
    Kind.PROGRAM: ("sleep 60", SHELL_LINE, COOKED, "auto", "busy busy busy busy"),
    Kind.NEVER: ("less x", SHELL_LINE, RAW, "auto", "program program program program"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_objection_decides(kind):
    argv, (taken, empty), flags, form, expected = FAULTS[kind]
    rules = Rules(form=form, allow_opaque=kind is Kind.OPAQUE)
    asks_password = pane(taken, argv, SILENT, dead=True, human_idle=0.1)
    at_its_prompt = pane(empty, argv, flags)
    looks = [
        (asks_password, 0.0),
        (replace(asks_password, dead=False), 0.0),
        (replace(asks_password, dead=False, human_idle=9.0), 0.0),
        (pane(taken, argv, COOKED), 0.0),
        (pane(taken, argv, flags), 0.0),
        (at_its_prompt, 0.0),
        (at_its_prompt, 1.0),
    ]
    assert sight_of(at_its_prompt, Learned(), rules).kind is kind
    found = [judge(state, Learned(still=still), rules) for state, still in looks]
    assert ["ready" if verdict else verdict.rule for verdict in found] == [
        "tmux_objection", "person", "password", *expected.split(),
    ]  # fmt: skip


def test_no_row_is_missing_for_a_kind_that_may_be_typed_into():
    """Each such kind has a row of each rule whose answer depends on its input."""
    for kind in (Kind.SHELL, Kind.REPL, Kind.AGENT, Kind.OPAQUE, Kind.INTERPRETER):
        rules = {rule for rule, kinds, _ in CHECKS if kind in kinds}
        assert {"tmux_objection", "person", "password", "program", "prompt", "settling"} <= rules

"""For any screen `judge` returns a verdict, and never text for a program that would execute it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.tmux.readiness.program import Learned, Rules
from bridge.tmux.readiness.snapshot import PaneState, Terminal
from bridge.tmux.readiness.verdict import judge

STILL = Learned(still=1.0)
TEXT = st.text(alphabet=st.sampled_from("ab $#>❯›%λ:│日\u0301 1.()/yn"), max_size=30)
FLAG = st.booleans()


@given(
    st.lists(TEXT, min_size=1, max_size=6),
    st.integers(0, 35),
    st.integers(0, 5),
    st.sampled_from(
        ["bash", "zsh", "dash", "node", "python3", "claude", "less", "ssh", "x", "psql"]
    ),
    st.tuples(FLAG, FLAG, FLAG, FLAG),
    st.sampled_from(["auto", "agent", "shell"]),
    FLAG,
)
def test_every_state_has_a_verdict_and_no_text_is_for_a_program_that_executes_it(
    rows, x, y, name, flags, form, shown
):
    terminal = Terminal(*flags, own=True, argv=(name,))
    state = PaneState(
        "",
        1,
        "%0",
        2,
        cursor_x=x,
        cursor_y=min(y, len(rows) - 1),
        cursor_shown=shown,
        rows=tuple(rows),
        command=name,
        terminal=terminal,
    )
    verdict = judge(state, STILL, Rules(form=form))
    assert verdict.reason and verdict.rule
    if verdict.ready:
        assert verdict.form in ("shell", "repl", "agent")
        assert verdict.form != "agent" or name in ("claude", "x")
        assert not (terminal.known and terminal.canonical and not terminal.echo)

"""Law of a shell's line: at any width and cursor position, it is ready exactly when it is empty."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.tmux.readiness.cells import clusters, text_width
from bridge.tmux.readiness.program import Learned
from bridge.tmux.readiness.snapshot import PaneState, Terminal
from bridge.tmux.readiness.verdict import judge

PROMPTS = [
    ("bash", "bash-5.2# ", ""),
    ("bash", "user@host:~/x$ ", ""),
    ("bash", "[root@vm x]# ", ""),
    ("bash", "日本 ~ $ ", ""),
    ("zsh", "host% ", ""),
    ("zsh", "host% ", "12:34"),
    ("zsh", "❯ ", "~/x main"),
    ("zsh", "┌ ~/src\n└ ❯ ", ""),
    ("zsh", "╭─ ~/src ─┤\n╰─❯ ", ""),
    ("zsh", "➜  ~ ", ""),
    ("fish", "root@vm ~/x# ", ""),
    ("fish", "> ", "12:34"),
    ("fish", "~/x (main)\nλ ", ""),
]
EARLIER = ["total 0", "", "$ ls"]
CHARACTER = st.one_of(
    st.sampled_from("ab  $#%>❯›»➜λ│└╰╭?:]日🇩🇪👩🏽\u0301\u200d<"),
    st.characters(blacklist_categories=("Cc", "Cs")),
)
LINE = st.one_of(
    st.text(CHARACTER, max_size=40),
    st.text(st.sampled_from("ab $>"), max_size=400),
    st.builds(
        lambda size, end: "a" * size + end,
        st.integers(0, 250),
        st.sampled_from(["$ ", "> ", "🇩🇪$ ", "日# "]),
    ),
)


def draw(argv: str, prompt: str, right: str, line: str, cursor: int, width: int) -> PaneState:
    """Draw the line as a shell does.

    The line wraps at the edge. A right prompt stands in its first row, if at least two columns
    separate the two.
    """
    *above, first = prompt.split("\n")
    rows, place = [first], (text_width(first), 0)
    used = text_width(first)
    for count, (cluster, columns) in enumerate(clusters(line), start=1):
        if used + columns > width:
            rows, used = [*rows, ""], 0
        rows[-1], used = rows[-1] + cluster, used + columns
        place = (used, len(rows) - 1) if count <= cursor else place
    if place[0] >= width:
        place = (0, place[1] + 1)
    if used >= width and place[1] == len(rows):
        rows.append("")
    room = width - text_width(rows[0]) - text_width(right)
    rows[0] += " " * room + right if right and len(rows) == 1 and room >= 2 else ""
    screen = [*EARLIER, *above, *rows, "", ""]
    return PaneState(
        "", 1, "%0", 2,
        cursor_x=place[0], cursor_y=len(EARLIER) + len(above) + place[1], width=width,
        height=len(screen), rows=tuple(screen), command=argv,
        terminal=Terminal(known=True, canonical=False, echo=False, own=True, argv=(argv,)),
    )  # fmt: skip


@settings(max_examples=300)
@given(
    shell=st.sampled_from(PROMPTS),
    line=LINE,
    place=st.floats(0, 1),
    width=st.integers(20, 120),
    knows=st.booleans(),
)
@example(shell=PROMPTS[5], line="  b", place=0.0, width=60, knows=False)
@example(shell=PROMPTS[4], line="a" * 59 + "🇩🇪$ ", place=1.0, width=33, knows=False)
@example(shell=PROMPTS[9], line="✗ ", place=1.0, width=29, knows=False)
def test_a_shell_is_ready_exactly_when_its_line_is_empty(shell, line, place, width, knows):
    argv, prompt, right = shell
    cursor = round(place * sum(1 for _ in clusters(line)))
    if line and (text_width(line) == 0 or (cursor == 0 and not line.strip())):
        return  # blanks after the cursor do not show
    state = draw(argv, prompt, right, line, cursor, width)
    learned = Learned(prompts=(prompt.rpartition("\n")[2],) if knows else ())
    verdict = judge(state, learned)
    assert verdict.ready is (line == ""), (verdict, state.rows, state.cursor_x, state.cursor_y)


def test_a_row_is_full_by_the_columns_of_a_terminal_that_does_not_join_skin_tones():
    """tmux 3.3a and readline give this emoji four columns, and text_width gives it two."""
    rows = ("$ echo 👍🏽" + "a" * 30, "a > ", "")
    terminal = Terminal(known=True, canonical=False, echo=False, own=True, argv=("bash",))
    state = PaneState(
        "",
        1,
        "%0",
        2,
        cursor_x=4,
        cursor_y=1,
        width=41,
        rows=rows,
        command="bash",
        terminal=terminal,
    )
    assert "full to the right edge" in judge(state).reason

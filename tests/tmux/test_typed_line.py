"""Is it the command that stands on a shell's line, and nothing else? Wrapped anywhere, behind any prompt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import pane

from bridge.tmux.cells import clusters
from bridge.tmux.typed_line import holds_command

COMMAND = (
    "/usr/bin/python3 -I /opt/bridge.pyz show T-1a2210ffdd3aaaa --broker-url http://127.0.0.1:33953"
)
PYTHON = f'__import__("os").system("{COMMAND}")'
PROMPTS = ["$ ", "bash-5.2# ", "user@host:~/x$ ", "└ ❯ ", "日本 % ", "> ", ">>> "]


def holds(picture: str, prompt: str, command: str = COMMAND, width: int = 40) -> bool:
    return holds_command(
        pane(picture, width=width), command, lambda head: head.rstrip() == prompt.rstrip()
    )


def wrapped(line: str, width: int, mark: str = "") -> str:
    """`mark` stands at the end of each row that goes on."""
    rows, used = [""], 0
    for cluster, columns in clusters(line):
        if used + columns > width - len(mark):
            rows, used = [*rows[:-1], rows[-1] + mark, ""], 0
        rows[-1], used = rows[-1] + cluster, used + columns
    return "\n".join(rows)


@settings(max_examples=200)
@given(
    st.sampled_from(PROMPTS),
    st.sampled_from([COMMAND, PYTHON]),
    st.integers(15, 200),
    st.booleans(),
)
def test_a_command_is_known_behind_its_prompt_at_any_width(prompt, command, width, is_marked):
    line = wrapped(prompt + command, width, "\\" if is_marked else "")
    assert holds(f"earlier output\n{line}█", prompt, command, width)
    assert holds(f"{'x' * width}\n{line}█".replace("x" * width, "earlier"), prompt, command, width)


@settings(max_examples=200)
@given(
    st.sampled_from(PROMPTS),
    st.integers(15, 200),
    st.text("ab$/.;|&日", min_size=1, max_size=9),
    st.floats(0, 1),
)
def test_with_anything_more_on_the_line_it_is_not(prompt, width, more, place):
    index = round(place * len(COMMAND))
    line = COMMAND[:index] + more + COMMAND[index:]
    if "".join(line.split()) != "".join(COMMAND.split()):
        assert not holds(f"out\n{wrapped(prompt + line, width)}█", prompt, COMMAND, width)


@pytest.mark.parametrize(
    ("picture", "width", "expected"),
    [
        (f"$ {COMMAND}█", 120, True),
        (f"$ {COMMAND}█ and mine", 120, False),  # typed behind the cursor
        (f"$ {COMMAND}█░ --suggested░", 120, True),  # fish and zsh suggest in faint letters
        (f"$ {COMMAND}█" + " " * 12 + "12:34", 114, True),  # a right prompt
        (f"$ {COMMAND[:-1]}█", 120, False),
        (f"$ █{COMMAND}", 120, False),  # the cursor was moved
        (f"ran before\n{COMMAND}█", 120, False),  # no prompt: a widget's line, a question
        (f"$ ls {COMMAND}█", 120, False),
        (f"Deploy? [y/N] {COMMAND}█", 120, False),
        ("$ █", 120, False),  # swallowed
        (f"$ {COMMAND}\n$ █", 120, False),  # it ran
        (f"$ ls\n{COMMAND}█", 120, False),  # the row above is not full, so the line does not go on
        ("", 120, False),
    ],
)  # fmt: skip
def test_by_example(picture, width, expected):
    assert holds(picture, "$ ", width=width) is expected


@pytest.mark.parametrize(
    "garbage",
    ["ichohow T-1 >> DEPLOYS; ECHO DONE PROd", "[200~" + COMMAND, COMMAND[5:] + "~", "P" + COMMAND],
)
def test_what_vi_mode_makes_of_a_paste_is_not_the_command(garbage):
    assert not holds(f"$ {garbage}█", "$ ", width=200)

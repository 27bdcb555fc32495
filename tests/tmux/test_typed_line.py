"""`holds_command`: a shell's line holds exactly the command, at any width and behind any prompt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import pane

from bridge.tmux.injection.typed_line import holds_command
from bridge.tmux.readiness.cells import clusters

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
    """Wrap a line; `mark` ends each row that continues."""
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
def test_a_command_behind_its_prompt_is_found_at_any_width(prompt, command, width, is_marked):
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
def test_a_line_with_additional_text_does_not_hold_the_command(prompt, width, more, place):
    index = round(place * len(COMMAND))
    line = COMMAND[:index] + more + COMMAND[index:]
    if "".join(line.split()) != "".join(COMMAND.split()):
        assert not holds(f"out\n{wrapped(prompt + line, width)}█", prompt, COMMAND, width)


@pytest.mark.parametrize(
    ("picture", "width", "expected"),
    [
        (f"$ {COMMAND}█", 120, True),
        (f"$ {COMMAND}█ and mine", 120, False),  # text after the cursor
        (f"$ {COMMAND}█░ --suggested░", 120, True),  # fish and zsh draw suggestions faint
        (f"$ {COMMAND}█" + " " * 12 + "12:34", 114, True),  # a right prompt
        (f"$ {COMMAND[:-1]}█", 120, False),
        (f"$ █{COMMAND}", 120, False),  # the cursor was moved
        (f"ran before\n{COMMAND}█", 120, False),  # no prompt: may be a widget or a question
        (f"$ ls {COMMAND}█", 120, False),
        (f"Deploy? [y/N] {COMMAND}█", 120, False),
        ("$ █", 120, False),  # swallowed
        (f"$ {COMMAND}\n$ █", 120, False),  # it ran
        (f"$ ls\n{COMMAND}█", 120, False),  # the row above is not full, so it did not wrap
        ("", 120, False),
    ],
)  # fmt: skip
def test_holds_command_by_example(picture, width, expected):
    assert holds(picture, "$ ", width=width) is expected


@pytest.mark.parametrize(
    "garbage",
    ["ichohow T-1 >> DEPLOYS; ECHO DONE PROd", "[200~" + COMMAND, COMMAND[5:] + "~", "P" + COMMAND],
)
def test_the_result_of_a_paste_in_vi_command_mode_is_not_the_command(garbage):
    assert not holds(f"$ {garbage}█", "$ ", width=200)

"""The effect of each key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.commands.top.columns import COLUMNS
from bridge.cli.commands.top.ui import HELP, KEYS, Rows, Ui, View, press

ROWS = Rows(["a", "b", "c", "d", "e"], 3)


def after(*keys: str, ui: Ui = Ui(), rows: Rows = ROWS) -> Ui:
    for key in keys:
        ui = press(ui, key, rows)
    return ui


@pytest.mark.parametrize(
    "keys, selected",
    [
        ("down", "b"),  # without a selection, the first row counts as selected
        ("down down up", "b"),
        ("up", "a"),
        ("end", "e"),
        ("G j", "e"),
        ("pagedown", "c"),
        ("end pageup", "c"),
        ("end home", "a"),
    ],
)
def test_moving(keys, selected):
    assert after(*keys.split()).agent == selected
    assert after("tab", *keys.split()).ticket == selected, "the same in the other table"


def test_a_selection_that_is_gone_counts_as_the_first_row():
    assert after("down", ui=Ui(agent="gone")).agent == "b"
    assert after("down", "enter", rows=Rows()) == Ui(), "an empty list"


def test_opening_an_agent_and_a_ticket_and_going_back():
    ui = after("down", "enter")
    assert (ui.view, ui.agent, ui.ticket) == (View.AGENT, "b", None)
    ui = after("down", "enter", ui=ui, rows=Rows(["T1", "T2"], 5))
    assert (ui.view, ui.ticket) == (View.TICKET, "T2")
    ui = after("escape", ui=ui)
    assert (ui.view, ui.ticket) == (View.AGENT, "T2")
    assert after("left", ui=ui).view is View.MAIN
    from_main = after("tab", "enter", rows=Rows(["T1"], 5))
    assert (from_main.view, after("escape", ui=from_main).view) == (View.TICKET, View.MAIN)


def test_sorting_by_each_column_in_both_directions():
    ui, seen = Ui(), []
    for _ in COLUMNS:
        ui = after(">", ui=ui)
        seen.append(ui.sort)
    assert ui == Ui() and len(set(seen)) == len(COLUMNS)
    assert after("s", "S") == after("<", ">") == Ui()
    assert after("r").is_reversed and not after("r", "s").is_reversed
    assert after("enter", "s", "r", "/") == after("enter"), "only in the main view"


def test_a_filter_takes_every_key_until_enter_or_escape():
    ui = after("/", "q", "?", "日", "down")
    assert (ui.filter, ui.typing, ui.is_over) == ("q?日", "q?日", False)
    assert after("backspace", "enter", ui=ui) == Ui(filter="q?")
    assert after("escape", ui=ui) == Ui() == after("escape", ui=Ui(filter="x"))
    assert after("/", "b", ui=Ui(filter="a")).filter == "ab"
    assert len(after("/", *("x" * 500)).filter) == 128


def test_help_hold_and_quit():
    assert after("?").is_helping and after("?", "?") == Ui() == after("h", "escape")
    assert after("down", ui=after("?")).scroll == 1 and after("down", ui=after("?")).agent is None
    assert after(" ").is_paused and after(" ", " ") == Ui()
    assert after("q").is_over and after("enter", "enter", "q").is_over and after("?", "q").is_over


def test_every_key_is_in_the_help():
    told = " ".join(keys for keys, _ in HELP).split()
    names = {" ": "space", "pageup": "page", "pagedown": "page", "home": "home", "end": "end"}
    text = " ".join(words for pair in HELP for words in pair)
    for key in KEYS:
        assert (
            key in told
            or names.get(key, key) in text
            or key in ("g", "G", "Q", "right", "left", "backspace")
        ), key


@given(
    st.lists(st.sampled_from([*KEYS, "x", "weird"]), max_size=30),
    st.lists(st.text(max_size=3), unique=True, max_size=4),
)
def test_escape_leads_back_to_the_main_view_after_any_keys(keys, names):
    ui = after(*keys, rows=Rows(names, 2))
    ui = after("escape", "escape", "escape", "escape", ui=ui)
    assert (ui.view, ui.is_helping, ui.typing, ui.filter) == (View.MAIN, False, None, "")

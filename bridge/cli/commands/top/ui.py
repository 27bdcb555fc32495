"""The open view, and what each key does: a pure function (Ui, key, rows) -> Ui.

    MAIN ──Enter──► AGENT ──Enter──► TICKET     Escape goes back, q quits, ? opens the help
      └─────────────Enter───────────────^       a filter takes all keys until Enter or Escape

A selection is a name, not a row number: rows move, and the same name stays selected.
Without a selection, the first row counts as selected.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Callable

from bridge.cli.commands.top.columns import COLUMNS, DEFAULT_SORT

FILTER_MAX = 128  # characters, as many as an id may have


class View(enum.Enum):
    MAIN = "main"
    AGENT = "agent"
    TICKET = "ticket"


class Table(enum.Enum):
    """The table of the main view in which the keys move."""

    AGENTS = "agents"
    TICKETS = "tickets"


@dataclass(frozen=True)
class Rows:
    """The list in which the keys move: its names in order, and how many of them fit."""

    names: Sequence[str] = ()
    height: int = 1


@dataclass(frozen=True)
class Ui:
    view: View = View.MAIN
    pane: Table = Table.AGENTS
    sort: str = DEFAULT_SORT
    is_reversed: bool = False
    filter: str = ""
    typing: str | None = None  # the filter while it is typed
    agent: str | None = None  # selected in the main view; shown in AGENT
    ticket: str | None = None  # selected in the main view's tickets or in AGENT's; shown in TICKET
    came_from: View = View.MAIN  # where Escape leads from TICKET
    scroll: int = 0  # first line shown in TICKET and in the help
    is_paused: bool = False
    is_helping: bool = False
    is_over: bool = False  # q

    @property
    def moves_in_tickets(self) -> bool:
        return self.view is View.AGENT or (self.view is View.MAIN and self.pane is Table.TICKETS)

    @property
    def scrolls(self) -> bool:
        return self.is_helping or self.view is View.TICKET

    @property
    def selected(self) -> str | None:
        return self.ticket if self.moves_in_tickets else self.agent


def press(ui: Ui, key: str, rows: Rows) -> Ui:
    """The state after a key. A key without a meaning changes nothing."""
    if ui.typing is not None:
        return _type(ui, ui.typing, key)
    action = KEYS.get(key)
    return action(ui, rows) if action is not None else ui


def _type(ui: Ui, text: str, key: str) -> Ui:
    if key == "enter":
        return replace(ui, filter=text, typing=None)
    if key == "escape":
        return replace(ui, filter="", typing=None)
    if key == "backspace":
        return replace(ui, typing=text[:-1], filter=text[:-1])
    if len(key) == 1 and key.isprintable() and len(text) < FILTER_MAX:
        return replace(ui, typing=text + key, filter=text + key)
    return ui


def index_of(name: str | None, names: Sequence[str]) -> int:
    return names.index(name) if name in names else 0


def _move(by: Callable[[Rows], int]) -> Callable[[Ui, Rows], Ui]:
    def move(ui: Ui, rows: Rows) -> Ui:
        if ui.scrolls:
            # The view bounds it at the last line.
            return replace(ui, scroll=max(0, ui.scroll + by(rows)))
        if not rows.names:
            return ui
        chosen = rows.names[
            max(0, min(len(rows.names) - 1, index_of(ui.selected, rows.names) + by(rows)))
        ]
        return replace(ui, ticket=chosen) if ui.moves_in_tickets else replace(ui, agent=chosen)

    return move


def _open(ui: Ui, rows: Rows) -> Ui:
    if ui.is_helping or ui.view is View.TICKET or not rows.names:
        return ui
    chosen = rows.names[index_of(ui.selected, rows.names)]
    if ui.moves_in_tickets:
        return replace(ui, view=View.TICKET, ticket=chosen, came_from=ui.view, scroll=0)
    return replace(ui, view=View.AGENT, agent=chosen, ticket=None)


def _back(ui: Ui, rows: Rows) -> Ui:
    if ui.is_helping:
        return replace(ui, is_helping=False, scroll=0)
    if ui.view is View.TICKET:
        return replace(ui, view=ui.came_from, scroll=0)
    if ui.view is View.AGENT:
        return replace(ui, view=View.MAIN, ticket=None)
    return replace(ui, filter="")


def _sort_by(step: int) -> Callable[[Ui, Rows], Ui]:
    def sort(ui: Ui, rows: Rows) -> Ui:
        keys = [column.key for column in COLUMNS]
        return replace(ui, sort=keys[(keys.index(ui.sort) + step) % len(keys)], is_reversed=False)

    return sort


def _on_main(change: Callable[[Ui, Rows], Ui]) -> Callable[[Ui, Rows], Ui]:
    """A key that works only in the main view."""
    return lambda ui, rows: change(ui, rows) if ui.view is View.MAIN and not ui.is_helping else ui


def _other_pane(ui: Ui, rows: Rows) -> Ui:
    return replace(ui, pane=Table.AGENTS if ui.pane is Table.TICKETS else Table.TICKETS)


_UP, _DOWN = _move(lambda rows: -1), _move(lambda rows: 1)
_PAGE_UP = _move(lambda rows: -max(1, rows.height - 1))
_PAGE_DOWN = _move(lambda rows: max(1, rows.height - 1))
_FIRST, _LAST = _move(lambda rows: -1_000_000), _move(lambda rows: 1_000_000)


def _help(ui: Ui, rows: Rows) -> Ui:
    return replace(ui, is_helping=not ui.is_helping, scroll=0)


KEYS: Mapping[str, Callable[[Ui, Rows], Ui]] = {
    "q": lambda ui, rows: replace(ui, is_over=True),
    "Q": lambda ui, rows: replace(ui, is_over=True),
    "?": _help,
    "h": _help,
    "up": _UP,
    "k": _UP,
    "down": _DOWN,
    "j": _DOWN,
    "pageup": _PAGE_UP,
    "pagedown": _PAGE_DOWN,
    "home": _FIRST,
    "g": _FIRST,
    "end": _LAST,
    "G": _LAST,
    "enter": _open,
    "right": _open,
    "escape": _back,
    "left": _back,
    "backspace": _back,
    "tab": _on_main(_other_pane),
    "s": _on_main(_sort_by(1)),
    ">": _on_main(_sort_by(1)),
    "<": _on_main(_sort_by(-1)),
    "S": _on_main(_sort_by(-1)),
    "r": _on_main(lambda ui, rows: replace(ui, is_reversed=not ui.is_reversed)),
    "/": _on_main(lambda ui, rows: replace(ui, typing=ui.filter)),
    " ": lambda ui, rows: replace(ui, is_paused=not ui.is_paused),
}

HELP = (
    ("up down j k", "move; also page up, page down, home, end"),
    ("enter", "open an agent or a ticket"),
    ("escape", "go back; in the list: remove the filter"),
    ("tab", "switch between agents and tickets"),
    ("s > S <", "sort by the next or the previous column"),
    ("r", "reverse the order"),
    ("/", "filter agents and tickets; enter keeps the filter, escape removes it"),
    ("space", "hold the picture; press it again to continue"),
    ("? h", "this help"),
    ("q", "quit"),
)

"""The tables of the main view: the agents, and the latest tickets.

Each shows as many rows as fit. The selected row is always in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable

from bridge.cli.commands.top.columns import BY_KEY, GAP, Placed, arrange, waits
from bridge.cli.commands.top.line import Lines, Paper, Span
from bridge.cli.commands.top.model import TicketLine
from bridge.cli.commands.top.ui import Table, Ui, index_of
from bridge.cli.local_time import local
from bridge.client.observation import AgentView

MARKS = 2  # cells before an agent's name: selected, online
STAGE_WIDTH = 12  # "acknowledged"
CLOCK_WIDTH = 8
TEXT_MIN = 8  # cells; with less room, the beginning of a ticket's text is left out


def agent_table(
    agents: Sequence[AgentView], height: int, ui: Ui, paper: Paper, is_old: bool
) -> Lines:
    """The titles, with a mark at the column that sorts, and as many rows as fit.

    `is_old`: the broker is lost, so the rows are not up to date.
    """
    charset = paper.charset
    columns = arrange(agents, paper.width - MARKS, charset.safe)
    lines = [_titles(columns, ui, paper)]
    is_focus = ui.pane is Table.AGENTS
    for agent, is_chosen in window(agents, height, ui.agent, lambda each: each.agent_id):
        chosen = is_chosen and is_focus and ui.agent is not None
        dot = charset.mark("●", "+") if agent.status == "online" else charset.mark("○", "-")
        cells = "".join(
            " " * (GAP * bool(index)) + _cell(placed, agent, paper)
            for index, placed in enumerate(columns)
        )
        style = "dim" if is_old else _style(agent)
        lines.append(
            paper.line(
                (">" if chosen else " ", "bold"),
                (dot, "good" if agent.status == "online" and not is_old else "dim"),
                (cells, "chosen" if chosen else style),
            )
        )
    return lines


def _titles(columns: Sequence[Placed], ui: Ui, paper: Paper) -> tuple[Span, ...]:
    charset, titles, shown = paper.charset, [], {placed.column.key for placed in columns}
    for placed in columns:
        column = placed.column
        is_hidden = placed is columns[-1] and ui.sort not in shown
        # When the column that sorts has no room, the last title names it.
        title = f"by {ui.sort}" if is_hidden else column.title
        down = (BY_KEY[ui.sort] if is_hidden else column).is_descending is not ui.is_reversed
        mark = (
            (charset.mark("▼", "v") if down else charset.mark("▲", "^"))
            if is_hidden or column.key == ui.sort
            else ""
        )
        titles.append(
            charset.fit(
                mark + title if column.is_right else title + mark, placed.width, column.is_right
            )
        )
    return paper.line((charset.fit(" " * MARKS + (" " * GAP).join(titles), paper.width), "head"))


def _cell(placed: Placed, agent: AgentView, paper: Paper) -> str:
    return paper.charset.fit(
        paper.charset.safe(placed.column.text(agent, paper.now)),
        placed.width,
        placed.column.is_right,
    )


def _style(agent: AgentView) -> str:
    if agent.health == "lost":
        return "bad"
    if waits(agent):
        return "warn"
    return "plain" if agent.status == "online" else "dim"


def ticket_list(
    tickets: Sequence[TicketLine],
    height: int,
    selected: str | None,
    is_focus: bool,
    paper: Paper,
) -> Lines:
    """One line for each ticket: time, sender and receiver, stage, and the beginning of its text."""
    charset = paper.charset
    who_width = min(28, max(8, (paper.width - CLOCK_WIDTH - STAGE_WIDTH - 3) * 2 // 5))
    lines = []
    for ticket, is_chosen in window(tickets, height, selected, lambda each: each.ticket_id):
        chosen = is_chosen and is_focus and selected is not None
        who = charset.fit(charset.safe(f"{ticket.origin} > {ticket.agent_id}"), who_width)
        at = local(ticket.at, paper.now)[-CLOCK_WIDTH:]
        left = paper.width - CLOCK_WIDTH - who_width - STAGE_WIDTH - 4
        text = f" {charset.safe(ticket.preview)}" if left >= TEXT_MIN else ""
        stage = charset.fit(charset.safe(ticket.stage), STAGE_WIDTH)
        row = f"{charset.fit(charset.safe(at), CLOCK_WIDTH)} {who} {stage}{text}"
        lines.append(
            paper.line(
                (">" if chosen else " ", "bold"),
                (
                    row,
                    "chosen"
                    if chosen
                    else "bad"
                    if ticket.stage in ("expired", "dropped")
                    else "plain",
                ),
            )
        )
    return lines


def window(rows: Sequence, height: int, selected: str | None, name: Callable) -> list:  # type: ignore[type-arg]
    """The rows in sight, each with whether it is the selected one."""
    chosen = index_of(selected, [name(row) for row in rows]) if selected is not None else 0
    first = max(0, min(chosen - height // 2, len(rows) - height))
    return [(row, index == chosen) for index, row in enumerate(rows[first : first + height], first)]

"""The picture: Model and Ui become the lines of a screen of so many columns and rows.

    head      broker, how it is heard, totals, charts      (one line where there are few rows)
    table     agents, by the chosen column
    tickets   the latest, by their last stage
    foot      what the keys do, the filter, what went wrong

The two tables share the rows: where one has few, the other gets them; on a low screen only the one that the
keys move in is shown. The row that is selected is always in sight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from bridge.cli.moment import clock, local, read_at, short_span
from bridge.cli.top.chart import bars
from bridge.cli.top.columns import (
    BY_KEY,
    GAP,
    Placed,
    agent_matches,
    arrange,
    in_order,
    matches,
    waits,
)
from bridge.cli.top.line import Look, Span, first_that_fits, line_of
from bridge.cli.top.model import Link, Model, TicketLine
from bridge.cli.top.ui import Pane, Rows, Ui, index_of
from bridge.client.observation import AgentView

HIGH = 10  # rows from which the head has its three lines
BOTH = 9  # rows from which both tables are shown
MARKS = 2  # cells before an agent's name: selected, online
STAGE_WIDTH = 12  # "acknowledged"
CLOCK_WIDTH = 8
TEXT_MIN = 8  # cells that the beginning of a ticket's text is worth having

Lines = list[tuple[Span, ...]]


@dataclass(frozen=True)
class Frame:
    """What is painted, and what the keys move in."""

    lines: Lines
    rows: Rows
    scroll: int = 0  # as far as there is something to scroll to


@dataclass(frozen=True)
class Paper:
    """What a picture is drawn on."""

    width: int
    height: int
    look: Look
    now: float  # wall clock, seconds

    def line(self, *spans: tuple[str, str]) -> tuple[Span, ...]:
        return line_of(self.width, self.look, *spans)


def main_frame(model: Model, ui: Ui, paper: Paper) -> Frame:
    head = head_lines(model, ui, paper)
    agents = in_order(
        filter(lambda agent: agent_matches(agent, ui.filter), model.agents.values()),
        ui.sort,
        ui.is_reversed,
        paper.now,
    )
    tickets = [
        ticket
        for ticket in reversed(model.tickets.values())
        if matches(
            ui.filter,
            ticket.agent_id,
            ticket.origin,
            ticket.ticket_id,
            ticket.stage,
            ticket.preview,
        )
    ]
    room = paper.height - len(head) - 1
    agent_rows, ticket_rows = share(room, len(agents), len(tickets), ui.pane)
    lines = list(head)
    if agent_rows is not None:
        lines += agent_table(agents, agent_rows, ui, paper, model.link is Link.LOST)
    if ticket_rows is not None:
        title = f"TICKETS {len(tickets)}"
        lines.append(paper.line((paper.look.fit(title, paper.width), "head")))
        lines += ticket_list(
            tickets,
            ticket_rows,
            ui.ticket if ui.pane is Pane.TICKETS else None,
            ui.pane is Pane.TICKETS,
            paper,
        )
    lines = (
        lines[: paper.height - 1]
        + [()] * (paper.height - 1 - len(lines))
        + [foot_line(model, ui, len(agents), paper)]
    )
    in_tickets = ui.pane is Pane.TICKETS
    names = (
        [ticket.ticket_id for ticket in tickets]
        if in_tickets
        else [agent.agent_id for agent in agents]
    )
    return Frame(
        lines[: paper.height], Rows(names, (ticket_rows if in_tickets else agent_rows) or 1)
    )


def share(room: int, agents: int, tickets: int, pane: Pane) -> tuple[int | None, int | None]:
    """Rows below each table's title; None = that table is not shown."""
    if room < BOTH:
        return (None, max(0, room - 1)) if pane is Pane.TICKETS else (max(0, room - 1), None)
    rows = room - 2
    least = rows // 3 if pane is Pane.AGENTS else rows * 2 // 3
    ticket_rows = max(min(tickets, least), rows - agents)
    return rows - ticket_rows, ticket_rows


# Head and foot


def head_lines(model: Model, ui: Ui, paper: Paper) -> Lines:
    lines = [title_line(model, ui, paper)]
    if paper.height >= HIGH:
        lines += [totals_line(model, paper), chart_line(model, paper)]
    return lines


def title_line(model: Model, ui: Ui, paper: Paper) -> tuple[Span, ...]:
    state, style = link_words(model, paper)
    held = " HELD" if ui.is_paused else ""
    room = paper.width - len(state) - len(held) - 1
    url = paper.look.safe(model.url)
    name = first_that_fits(
        room,
        f"bridge {model.overview.version}  {url}",
        f"bridge {url}",
        url.partition("//")[2] or url,
    )
    return paper.line(
        (paper.look.fit(name, max(0, room)) + " ", "bold"), (state, style), (held, "warn")
    )


def link_words(model: Model, paper: Paper) -> tuple[str, str]:
    if model.link is Link.LOST:
        since = clock(model.link_since, paper.now)
        return first_that_fits(
            paper.width // 2,
            f"BROKER LOST since {since}, trying again",
            f"LOST since {since}",
            "LOST",
        ), "bad"
    return {
        Link.LIVE: ("live", "good"),
        Link.POLLING: ("polling", "warn"),
        Link.CONNECTING: ("connecting", "warn"),
    }[model.link]


def totals_line(model: Model, paper: Paper) -> tuple[Span, ...]:
    totals, now = model.overview.totals, paper.now
    online = sum(agent.status == "online" for agent in model.agents.values())
    stuck = sum(bool(waits(agent)) for agent in model.agents.values())
    oldest = read_at(model.overview.oldest_at)
    age = (
        f", oldest {short_span(max(0.0, now - oldest))}"
        if oldest is not None and totals.get("pending")
        else ""
    )
    agents = f"{len(model.agents)} agent{'s' * (len(model.agents) != 1)}{' of more' if model.overview.is_truncated else ''}, {online} online"
    pending = f"{totals.get('pending', 0)} pending{age}"
    counts = "".join(
        f"  {totals.get(name, 0)} {name}"
        for name in ("accepted", "acknowledged", "replied", "expired", "dropped", "refused")
    )
    wide = f"{agents}, {stuck} waiting  {pending}"
    text = first_that_fits(
        paper.width,
        f"{wide} {counts}  {totals.get('streams', 0)} streams",
        f"{wide} {counts}",
        wide,
        f"{agents}  {pending}",
        pending,
    )
    return paper.line((text, "plain"))


def chart_line(model: Model, paper: Paper) -> tuple[Span, ...]:
    delivered = model.overview.latency.get("delivered")
    rate = f"{model.rate(paper.now):.1f}/s "
    if delivered is not None and delivered.count:
        latency = f" p50 {_ms(delivered.p50_ms)} p99 {_ms(delivered.p99_ms)} ms "
    else:
        latency = " p99 - "
    room = max(0, paper.width - len(rate) - len(latency))
    left = min(room - room // 2, 120)
    right = min(room - left, 120)
    unicode = paper.look.is_unicode
    accepted, p99 = (
        bars(model.accepted(paper.now), left, unicode),
        bars(model.p99(paper.now), right, unicode),
    )
    return paper.line(
        (rate, "bold"), (accepted.rjust(left), "chart"), (latency, "plain"), (p99, "chart")
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def foot_line(model: Model, ui: Ui, shown: int, paper: Paper) -> tuple[Span, ...]:
    look = paper.look
    if ui.typing is not None:
        return paper.line(
            ("filter: ", "bold"),
            (look.safe(ui.typing), "plain"),
            ("_", "chosen"),
            ("  enter keeps it, escape drops it", "dim"),
        )
    if model.link in (Link.LOST, Link.POLLING):
        return paper.line(
            (look.safe(model.link_reason), "bad" if model.link is Link.LOST else "warn")
        )
    notes = []
    if ui.filter:
        notes.append((f"filter: {look.safe(ui.filter)} ({shown} of {len(model.agents)})  ", "warn"))
    if model.missed:
        notes.append((f"{model.missed} events missed  ", "warn"))
    keys = "? help  q quit  s sort  r reverse  / filter  tab tickets  enter open  space hold"
    return paper.line(
        *notes,
        (first_that_fits(paper.width, keys, "? help  q quit  s sort  / filter  enter"), "dim"),
    )


# Tables


def agent_table(
    agents: Sequence[AgentView], height: int, ui: Ui, paper: Paper, is_old: bool
) -> Lines:
    """The titles, with a mark at the column that sorts, and as many rows as there is room for; `is_old`: as they were
    when the broker was lost."""
    look = paper.look
    columns = arrange(agents, paper.width - MARKS, look.safe)
    lines = [_titles(columns, ui, paper)]
    is_focus = ui.pane is Pane.AGENTS
    for agent, is_chosen in window(agents, height, ui.agent, lambda each: each.agent_id):
        chosen = is_chosen and is_focus and ui.agent is not None
        dot = look.mark("●", "+") if agent.status == "online" else look.mark("○", "-")
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
    look, titles, shown = paper.look, [], {placed.column.key for placed in columns}
    for placed in columns:
        column = placed.column
        is_hidden = placed is columns[-1] and ui.sort not in shown
        title = (
            f"by {ui.sort}" if is_hidden else column.title
        )  # the column that sorts has no room: the last one says which
        down = (BY_KEY[ui.sort] if is_hidden else column).is_descending is not ui.is_reversed
        mark = (
            (look.mark("▼", "v") if down else look.mark("▲", "^"))
            if is_hidden or column.key == ui.sort
            else ""
        )
        titles.append(
            look.fit(
                mark + title if column.is_right else title + mark, placed.width, column.is_right
            )
        )
    return paper.line((look.fit(" " * MARKS + (" " * GAP).join(titles), paper.width), "head"))


def _cell(placed: Placed, agent: AgentView, paper: Paper) -> str:
    return paper.look.fit(
        paper.look.safe(placed.column.text(agent, paper.now)), placed.width, placed.column.is_right
    )


def _style(agent: AgentView) -> str:
    if agent.health == "lost":
        return "bad"
    if waits(agent):
        return "warn"
    return "plain" if agent.status == "online" else "dim"


def ticket_list(
    tickets: Sequence[TicketLine], height: int, selected: str | None, is_focus: bool, paper: Paper
) -> Lines:
    """One line each: when, who to whom, how far, and its beginning."""
    look = paper.look
    who_width = min(28, max(8, (paper.width - CLOCK_WIDTH - STAGE_WIDTH - 3) * 2 // 5))
    lines = []
    for ticket, is_chosen in window(tickets, height, selected, lambda each: each.ticket_id):
        chosen = is_chosen and is_focus and selected is not None
        who = look.fit(look.safe(f"{ticket.origin} > {ticket.agent_id}"), who_width)
        at = local(ticket.at, paper.now)[-CLOCK_WIDTH:]
        left = paper.width - CLOCK_WIDTH - who_width - STAGE_WIDTH - 4
        text = f" {look.safe(ticket.preview)}" if left >= TEXT_MIN else ""
        row = f"{look.fit(look.safe(at), CLOCK_WIDTH)} {who} {look.fit(look.safe(ticket.stage), STAGE_WIDTH)}{text}"
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
    """(row, is it the selected one) of the rows in sight."""
    chosen = index_of(selected, [name(row) for row in rows]) if selected is not None else 0
    first = max(0, min(chosen - height // 2, len(rows) - height))
    return [(row, index == chosen) for index, row in enumerate(rows[first : first + height], first)]

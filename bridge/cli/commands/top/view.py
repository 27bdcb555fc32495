"""The main view: Model and Ui become the lines of a screen.

    head      the broker, the state of the connection, totals, charts   (one line on a low screen)
    table     agents, sorted by the chosen column                       (tables.py)
    tickets   the latest ones, with their last stage                    (tables.py)
    foot      the keys, the filter, the last error

The two tables share the rows: a short table leaves its rows to the other one. A low screen
shows only the table in which the keys move.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.cli.commands.top.chart import bars
from bridge.cli.commands.top.columns import agent_matches, in_order, matches, waits
from bridge.cli.commands.top.line import Lines, Paper, Span, first_that_fits
from bridge.cli.commands.top.model import Link, Model, TicketLine
from bridge.cli.commands.top.tables import agent_table, ticket_list
from bridge.cli.commands.top.ui import Rows, Table, Ui
from bridge.cli.local_time import clock, read_at, short_span
from bridge.client.observation import AgentView

HIGH = 10  # rows; from here on the head has its three lines
BOTH = 9  # rows; from here on both tables are shown


@dataclass(frozen=True)
class Frame:
    """The lines to paint, and the list in which the keys move."""

    lines: Lines
    rows: Rows
    scroll: int = 0  # not beyond the last line


def main_frame(model: Model, ui: Ui, paper: Paper) -> Frame:
    head = head_lines(model, ui, paper)
    agents, tickets = _agents_to_show(model, ui, paper.now), _tickets_to_show(model, ui)
    room = paper.height - len(head) - 1
    agent_rows, ticket_rows = share(room, len(agents), len(tickets), ui.pane)
    in_tickets = ui.pane is Table.TICKETS
    lines = list(head)
    if agent_rows is not None:
        lines += agent_table(agents, agent_rows, ui, paper, model.link is Link.LOST)
    if ticket_rows is not None:
        title = f"TICKETS {len(tickets)}"
        lines.append(paper.line((paper.charset.fit(title, paper.width), "head")))
        chosen = ui.ticket if in_tickets else None
        lines += ticket_list(tickets, ticket_rows, chosen, in_tickets, paper)
    above_foot = paper.height - 1
    lines = lines[:above_foot] + [()] * (above_foot - len(lines))
    lines.append(foot_line(model, ui, len(agents), paper))
    if in_tickets:
        rows = Rows([ticket.ticket_id for ticket in tickets], ticket_rows or 1)
    else:
        rows = Rows([agent.agent_id for agent in agents], agent_rows or 1)
    return Frame(lines[: paper.height], rows)


def _agents_to_show(model: Model, ui: Ui, now: float) -> list[AgentView]:
    matching = [agent for agent in model.agents.values() if agent_matches(agent, ui.filter)]
    return in_order(matching, ui.sort, ui.is_reversed, now)


def _tickets_to_show(model: Model, ui: Ui) -> list[TicketLine]:
    """The latest first."""

    def texts(ticket: TicketLine) -> tuple[str, ...]:
        return ticket.agent_id, ticket.origin, ticket.ticket_id, ticket.stage, ticket.preview

    return [
        ticket for ticket in reversed(model.tickets.values()) if matches(ui.filter, *texts(ticket))
    ]


def share(room: int, agents: int, tickets: int, pane: Table) -> tuple[int | None, int | None]:
    """The rows below each table's title; None for a table that is not shown."""
    if room < BOTH:
        return (None, max(0, room - 1)) if pane is Table.TICKETS else (max(0, room - 1), None)
    rows = room - 2
    least = rows // 3 if pane is Table.AGENTS else rows * 2 // 3
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
    url = paper.charset.safe(model.url)
    name = first_that_fits(
        room,
        f"bridge {model.overview.version}  {url}",
        f"bridge {url}",
        url.partition("//")[2] or url,
    )
    return paper.line(
        (paper.charset.fit(name, max(0, room)) + " ", "bold"), (state, style), (held, "warn")
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
    of_more = " of more" if model.overview.is_truncated else ""
    agents = f"{len(model.agents)} agent{'s' * (len(model.agents) != 1)}{of_more}, {online} online"
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
    unicode = paper.charset.is_unicode
    accepted = bars(model.accepted(paper.now), left, unicode)
    p99 = bars(model.p99(paper.now), right, unicode)
    return paper.line(
        (rate, "bold"), (accepted.rjust(left), "chart"), (latency, "plain"), (p99, "chart")
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def foot_line(model: Model, ui: Ui, shown: int, paper: Paper) -> tuple[Span, ...]:
    charset = paper.charset
    if ui.typing is not None:
        return paper.line(
            ("filter: ", "bold"),
            (charset.safe(ui.typing), "plain"),
            ("_", "chosen"),
            ("  enter keeps it, escape drops it", "dim"),
        )
    if model.link in (Link.LOST, Link.POLLING):
        return paper.line(
            (charset.safe(model.link_reason), "bad" if model.link is Link.LOST else "warn")
        )
    notes = []
    if ui.filter:
        notes.append(
            (f"filter: {charset.safe(ui.filter)} ({shown} of {len(model.agents)})  ", "warn")
        )
    if model.missed:
        notes.append((f"{model.missed} events missed  ", "warn"))
    keys = "? help  q quit  s sort  r reverse  / filter  tab tickets  enter open  space hold"
    return paper.line(
        *notes,
        (first_that_fits(paper.width, keys, "? help  q quit  s sort  / filter  enter"), "dim"),
    )

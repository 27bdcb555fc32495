"""The views of one agent, of one ticket, and of the help. Each fills the screen.

The view of a ticket shows the output of `why` (cli/commands/why.py), and then the ticket's text.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.cli.cells import fold
from bridge.cli.commands.top.columns import TIERS, place, waits
from bridge.cli.commands.top.line import Lines, Paper, Span, first_that_fits
from bridge.cli.commands.top.model import Model, TicketLine
from bridge.cli.commands.top.tables import ticket_list
from bridge.cli.commands.top.ui import HELP, Rows, Ui, View
from bridge.cli.commands.top.view import Frame, foot_line, main_frame, title_line
from bridge.cli.commands.why import describe_ticket
from bridge.cli.local_time import local, since
from bridge.cli.safe_text import payload_text, visible
from bridge.cli.ticket_status import Facts, find_status
from bridge.client.observation import AgentView

LABEL = 10  # cells of a label
BODY_MAX = 20_000  # characters of a ticket's text; `show` prints all of it
HELP_LABEL = 13  # cells of a key, and of a column's name
COLUMN_HELP = (
    ("BACKLOG", "the agent's pending tickets: accepted, but not yet in its pane"),
    ("OLDEST", "how long the oldest of them has waited"),
    ("TIER", "how the agent's watcher is connected: stream, lpoll, poll"),
    ("HEALTH", "the agent's pane, as its watcher reports: healthy, busy, lost"),
    ("WAITS FOR", "why the agent's next ticket is not typed yet"),
)
# The styles of `describe_ticket`, as those of a Span.
STYLES = {"": "plain", "bold": "bold", "dim": "dim", "green": "good", "yellow": "warn"}


@dataclass(frozen=True)
class Detail:
    """The broker's answer for the view of an agent or a ticket.

    `name` is that of the agent or ticket. It may be one that is not shown any more.
    """

    name: str = ""
    tickets: tuple[TicketLine, ...] = ()  # of the agent, newest first
    facts: Facts | None = None  # of the ticket
    error: str = ""


def frame(model: Model, ui: Ui, detail: Detail, paper: Paper) -> Frame:
    """The whole screen."""
    if ui.is_helping:
        return _scrolled(model, ui, _help_lines(paper), paper)
    if ui.view is View.AGENT:
        return _agent_frame(model, ui, detail if detail.name == ui.agent else Detail(), paper)
    if ui.view is View.TICKET:
        return _scrolled(
            model, ui, _ticket_lines(detail if detail.name == ui.ticket else Detail(), paper), paper
        )
    return main_frame(model, ui, paper)


def _scrolled(model: Model, ui: Ui, lines: Lines, paper: Paper) -> Frame:
    height = max(1, paper.height - 2)
    scroll = max(0, min(ui.scroll, len(lines) - height))
    shown = lines[scroll : scroll + height]
    more = (
        f"  line {scroll + 1} to {scroll + len(shown)} of {len(lines)}"
        if len(lines) > height
        else ""
    )
    foot = (
        paper.line((f"escape back  q quit{more}", "dim"))
        if model.link_reason == ""
        else foot_line(model, ui, 0, paper)
    )
    return Frame(_page(model, ui, shown, foot, paper), Rows((), height), scroll)


def _page(model: Model, ui: Ui, lines: Lines, foot: tuple[Span, ...], paper: Paper) -> Lines:
    body = lines[: max(0, paper.height - 2)]
    page = [title_line(model, ui, paper), *body, *[()] * (paper.height - 2 - len(body)), foot]
    return page[-paper.height :] if paper.height < 2 else page


def _help_lines(paper: Paper) -> Lines:
    lines = [paper.line(("KEYS", "bold"))]
    for keys, text in HELP:
        lines += _labelled(keys, text, paper, HELP_LABEL)
    lines += [(), paper.line(("COLUMNS", "bold"))]
    for name, text in COLUMN_HELP:
        lines += _labelled(name, text, paper, HELP_LABEL)
    return lines


def _labelled(
    label: str, text: str, paper: Paper, width: int = LABEL, style: str = "plain"
) -> Lines:
    """A label and a text, folded into lines that align."""
    rows = fold(label.ljust(width) + " " + paper.charset.safe(text), paper.width, width + 1)
    head = rows[0][: width + 1]
    return [paper.line((head, "dim"), (rows[0][len(head) :], style))] + [
        paper.line((row, style)) for row in rows[1:]
    ]


def _agent_frame(model: Model, ui: Ui, detail: Detail, paper: Paper) -> Frame:
    lines = _agent_lines(model, ui.agent or "", paper)[: max(1, paper.height - 4)]
    room = paper.height - 2 - len(lines) - 1
    title = (
        "ITS TICKETS"
        if detail.name
        else first_that_fits(paper.width, "ITS TICKETS (asking the broker)")
    )
    lines.append(paper.line((paper.charset.fit(title, paper.width), "head")))
    if detail.error:
        lines += _labelled("", detail.error, paper, 0, "bad")
    lines += ticket_list(detail.tickets, max(0, room), ui.ticket, True, paper)
    foot = (
        foot_line(model, ui, 0, paper)
        if model.link_reason
        else paper.line(("enter open  escape back  q quit  ? help", "dim"))
    )
    return Frame(
        _page(model, ui, lines, foot, paper),
        Rows([ticket.ticket_id for ticket in detail.tickets], max(1, room)),
    )


def _agent_lines(model: Model, name: str, paper: Paper) -> Lines:
    agent, now = model.agents.get(name), paper.now
    if agent is None:
        return _labelled("agent", name, paper, style="bold") + _labelled(
            "", "the broker does not list this agent any more", paper, style="warn"
        )
    lines = _labelled("agent", name, paper, style="bold")
    for label, text, style in _agent_rows(agent, now):
        if text:
            lines += _labelled(label, text, paper, style=style)
    return lines


def _agent_rows(agent: AgentView, now: float) -> list[tuple[str, str, str]]:
    """(label, text, style); a row without a text is not shown."""
    wait = agent.waiting
    if agent.is_connected:
        tier = TIERS.get(agent.connection, agent.connection)
        status = f"{agent.status}, connected by {tier}"
    else:
        status = f"{agent.status}, no watcher"
    oldest = f", the oldest {since(agent.oldest_at, now)}" if agent.oldest_at else ""
    waited = f", {since(wait.since_at, now)}" if wait and wait.since_at else ""
    return [
        ("status", status, "plain"),
        ("type", agent.type, "plain"),
        ("pane", place(agent), "plain"),
        ("health", agent.health, "bad" if agent.health == "lost" else "plain"),
        ("backlog", f"{agent.pending} pending{oldest}", "plain"),
        ("queued", "" if agent.queued is None else f"{agent.queued} in its watcher", "plain"),
        ("waits for", waits(agent) + waited, "warn"),
        ("ticket", wait.ticket_id if wait else "", "plain"),
        ("seen", local(agent.last_heartbeat, now) if agent.last_heartbeat else "", "plain"),
    ]


def _ticket_lines(detail: Detail, paper: Paper) -> Lines:
    if detail.facts is None:
        return [
            paper.line(
                (
                    paper.charset.safe(detail.error) or "asking the broker",
                    "bad" if detail.error else "dim",
                )
            )
        ]
    facts = detail.facts
    lines: Lines = []
    for style, text in describe_ticket(facts, find_status(facts, paper.now), paper.now, 0):
        lines += [
            paper.line((row, STYLES[style]))
            for row in fold(paper.charset.safe(text), paper.width, 5)
        ]
    lines += [(), paper.line(("the message", "dim"))]
    for row in (
        visible(payload_text(facts.ticket.payload)[:BODY_MAX]).replace("\t", "    ").split("\n")
    ):
        lines += [
            paper.line((part, "plain")) for part in fold(paper.charset.safe(row), paper.width)
        ]
    return lines

"""The picture as lines: the place of each part, and no text that leaves its place."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.cells import text_width
from bridge.cli.commands.top.detail import Detail, frame
from bridge.cli.commands.top.line import STYLES, Charset, Paper, text_of
from bridge.cli.commands.top.model import Link, Model, TicketLine
from bridge.cli.commands.top.ui import Table, Ui, View
from bridge.cli.commands.top.view import share
from bridge.cli.safe_text import one_line
from bridge.cli.ticket_status import Facts, Moment
from bridge.client.observation import (
    AgentView,
    Hop,
    Overview,
    StageEvent,
    TimelineChart,
    WaitingReason,
)
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339

NOW = time.mktime((2026, 11, 22, 12, 7, 31, 0, 0, -1))
NASTY = "\x1b[2J\x1b]0;pwn\x07\n\u202eevil\x9b31m"


def at(seconds_ago: float) -> str:
    return rfc3339(int((NOW - seconds_ago) * 1000))


AGENTS = (
    AgentView(
        "lucy",
        "claude",
        "online",
        "sse",
        "busy",
        "dev-lucy",
        "0",
        3,
        at(200),
        WaitingReason("the pane is at a password prompt", at(200), "T1"),
        2,
        at(30),
    ),
    AgentView(
        "max", "codex", "online", "longpoll", "healthy", "dev-max", "1", last_heartbeat=at(5)
    ),
    AgentView("ann", status="offline"),
    AgentView(
        "日本語エージェント",
        status="online",
        connection="sse",
        health="lost",
        pending=1,
        oldest_at=at(90),
    ),
    AgentView(
        NASTY,
        status="offline",
        pending=1,
        waiting=WaitingReason(NASTY, NASTY, NASTY),
        type=NASTY,
        session=NASTY,
        pane=NASTY,
        oldest_at=NASTY,
    ),
)
TOTALS = {
    "accepted": 120,
    "acknowledged": 115,
    "replied": 7,
    "expired": 1,
    "dropped": 4,
    "refused": 2,
    "pending": 5,
    "streams": 3,
}
OVERVIEW = Overview(
    at(0),
    "0.1.0",
    60_000,
    TOTALS,
    at(200),
    TimelineChart(1000, at(119.5), (0,) * 60 + (4,) * 60, (0,) * 120, (None,) * 120, (1.0,) * 120),
    {"delivered": Hop(9, 0.84, 3.21)},
    AGENTS,
)


def model(link: Link = Link.LIVE, reason: str = "") -> Model:
    known = Model("http://127.0.0.1:5050", 100)
    known.take_overview(OVERVIEW)
    known.take_link(link, NOW - 10, reason)
    for number, name in enumerate(["accepted", "streamed", "acknowledged", "expired"]):
        known.take_stage(
            StageEvent(
                f"T{number}",
                number,
                "lucy",
                "max",
                name,
                at(10 - number),
                preview=f"text {number}" if name == "accepted" else None,
            ),
            NOW,
        )
    known.take_stage(StageEvent(NASTY, 9, NASTY, NASTY, NASTY, NASTY, preview=NASTY), NOW)
    return known


def picture(
    ui: Ui = Ui(),
    width: int = 80,
    height: int = 24,
    known: Model = None,
    detail: Detail = Detail(),
    charset: Charset = Charset(),
):
    return frame(known or model(), ui, detail, Paper(width, height, charset, NOW))


def lines(*args, **kwargs) -> list:
    return [text_of(line).rstrip() for line in picture(*args, **kwargs).lines]


def test_eighty_columns():
    shown = lines()
    assert len(shown) == 24
    assert (
        shown[0]
        == "bridge 0.1.0  http://127.0.0.1:5050                                         live"
    )
    assert shown[1] == "5 agents, 3 online, 3 waiting  5 pending, oldest 3m"
    assert shown[2].startswith("4.0/s ▁") and " p50 0.8 p99 3.2 ms ██" in shown[2]
    assert shown[3].split() == ["AGENT", "▼BACKLOG", "OLDEST", "TIER", "HEALTH", "WAITS", "FOR"]
    assert shown[4].split(None, 5) == ["●lucy", "3", "3m", "stream", "busy", "at a password prompt"]
    assert shown[5].startswith(" ○␛[2J␛]0;pwn␇") and shown[6].split() == [
        "●日本語エージェント",
        "1",
        "1m",
        "stream",
        "lost",
        "lost",
    ]
    assert [line.split()[0] for line in shown[7:9]] == ["○ann", "●max"]
    assert shown[9] == "TICKETS 5" and "␛[2J" in shown[10]
    assert shown[11].split() == ["12:07:24", "max", ">", "lucy", "expired"] and shown[
        14
    ].split() == ["12:07:21", "max", ">", "lucy", "accepted", "text", "0"]
    assert shown[23].startswith("? help  q quit")


def test_the_totals_stand_where_there_is_room():
    shown = lines(width=160)[1]
    assert "1 expired  4 dropped  2 refused" in shown and shown.endswith("3 streams")


def test_forty_columns_and_ascii():
    shown = lines(width=40, height=20, charset=Charset(is_unicode=False))
    assert all(line.isascii() for line in shown)
    assert (
        shown[0] == "bridge 0.1.0  http://127.0.0.1:5050 live"
        and shown[1] == "5 agents, 3 online  5 pending, oldest 3m"
    )
    assert shown[3].split() == ["AGENT", "vBACKLOG", "WAITS", "FOR"]
    assert shown[4].split(None, 2) == ["+lucy", "3", "at a password p~"]


def test_the_column_that_sorts_is_named_even_if_it_has_no_room():
    assert (
        "AGENT▲" in lines(Ui(sort="agent"))[3]
        and "AGENT▼" in lines(Ui(sort="agent", is_reversed=True))[3]
    )
    assert "by type▲" in lines(Ui(sort="type"), width=40)[3]


def test_the_selected_row_is_marked_and_in_sight():
    known = model()
    known.take_overview(
        Overview(agents=tuple(AgentView(f"agent-{number:03}") for number in range(500)))
    )
    for chosen in ("agent-000", "agent-250", "agent-499"):
        assert (
            sum(
                line.startswith(f">○{chosen}")
                for line in lines(Ui(agent=chosen, sort="agent"), known=known)
            )
            == 1
        )
    assert not any(line.startswith(">") for line in lines(Ui(sort="agent"), known=known)), (
        "no mark without a selection"
    )
    assert any(
        line.startswith(">12:07:22 max > lucy")
        for line in lines(Ui(pane=Table.TICKETS, ticket="T1"))
    )


def test_a_filter():
    shown = lines(Ui(filter="PASSWORD"))
    assert (
        shown[4].startswith(" ●lucy")
        and shown[5] == "TICKETS 0"
        and shown[23].startswith("filter: PASSWORD (1 of 5)")
    )
    assert lines(Ui(filter="text 0"))[5].endswith("text 0"), "tickets too"
    assert lines(Ui(filter="x", typing="x"))[23].startswith("filter: x_")


def test_a_lost_broker_is_shown_with_the_reason():
    known = model(Link.LOST, f"no broker answers {NASTY}")
    shown = lines(known=known)
    assert shown[0].endswith("BROKER LOST since 12:07:21, trying again") and shown[23].startswith(
        "no broker answers ␛[2J"
    )
    assert lines(known=known, width=40)[0].endswith("LOST since 12:07:21") and lines(
        known=known, width=16
    )[0].endswith("LOST")
    assert {span.style for line in picture(known=known).lines[4:9] for span in line} <= {
        "dim",
        "bold",
    }, "rows that are not up to date are dim"
    assert lines(Ui(is_paused=True))[0].endswith("live HELD") and lines(
        known=model(Link.POLLING, "off")
    )[0].endswith("polling")
    missed = model()
    missed.take_missed(7)
    assert lines(known=missed)[23].startswith("7 events missed")


@pytest.mark.parametrize(
    "room, agents, tickets, pane, rows",
    [
        (20, 3, 50, Table.AGENTS, (3, 15)),  # few agents leave their rows to the tickets
        (20, 50, 50, Table.AGENTS, (12, 6)),
        (20, 50, 2, Table.AGENTS, (16, 2)),
        (20, 50, 50, Table.TICKETS, (6, 12)),
        (8, 50, 50, Table.AGENTS, (7, None)),  # a low screen: one of the two
        (8, 50, 50, Table.TICKETS, (None, 7)),
        (0, 5, 5, Table.AGENTS, (0, None)),
    ],
)
def test_how_the_two_tables_share_the_rows(room, agents, tickets, pane, rows):
    assert share(room, agents, tickets, pane) == rows


def test_an_agent():
    detail = Detail("lucy", tickets=(TicketLine("T1", "lucy", "max", "pending", at(60), "do it"),))
    shown = lines(Ui(view=View.AGENT, agent="lucy", ticket="T1"), detail=detail)
    assert shown[1:4] == [
        "agent      lucy",
        "status     online, connected by stream",
        "type       claude",
    ]
    assert (
        "waits for  the pane is at a password prompt, since 12:04:11 (3 m 20 s)" in shown
        and "backlog    3 pending, the oldest since 12:04:11 (3 m 20 s)" in shown
    )
    assert any(line.startswith(">12:06:31 max > lucy") and line.endswith("do it") for line in shown)
    assert "ITS TICKETS (asking the broker)" in lines(
        Ui(view=View.AGENT, agent="lucy"), detail=Detail("max")
    ), "the tickets of another agent are not shown"
    assert "the broker does not list this agent any more" in "\n".join(
        lines(Ui(view=View.AGENT, agent="gone"))
    )


def test_the_view_of_a_ticket_scrolls():
    ticket = Ticket(
        "T1",
        1,
        "lucy",
        "\n".join(f"line {number}" for number in range(50)),
        status="delivered",
        origin="max",
        created_at=at(60),
        updated_at=at(50),
    )
    detail = Detail(
        "T1",
        facts=Facts(
            ticket, (Moment("accepted", at(60), "", {}), Moment("acknowledged", at(50), "w", {}))
        ),
    )
    ui = Ui(view=View.TICKET, ticket="T1")
    shown = lines(ui, detail=detail)
    assert (
        shown[1] == "T1: max > lucy"
        and "now  delivered at 12:06:41 but not answered; lucy has had it for 50 s" in shown
    )
    assert shown[23] == "escape back  q quit  line 1 to 22 of 57"
    end = picture(Ui(view=View.TICKET, ticket="T1", scroll=1_000_000), detail=detail)
    assert text_of(end.lines[22]) == "line 49" and end.scroll == 35
    assert lines(ui)[1] == "asking the broker" and lines(ui, detail=Detail("T1", error=NASTY))[
        1
    ].startswith("␛[2J")


def test_help_fits_a_narrow_pane():
    shown = lines(Ui(is_helping=True), width=40, height=60)
    assert shown[1] == "KEYS" and "/             filter agents and tickets;" in shown


uis = st.builds(
    Ui,
    view=st.sampled_from(View),
    pane=st.sampled_from(Table),
    agent=st.sampled_from([None, "lucy", NASTY]),
    ticket=st.sampled_from([None, "T1", NASTY]),
    typing=st.sampled_from([None, "", NASTY, "漢" * 99]),
    filter=st.sampled_from(["", "e"]),
    is_helping=st.booleans(),
    is_paused=st.booleans(),
    scroll=st.integers(0, 99),
)
nasty_facts = Facts(
    Ticket(NASTY, 1, NASTY, NASTY + "漢" * 300, origin=NASTY),
    (Moment(NASTY, NASTY, NASTY, {NASTY: NASTY}),),
)
details = st.sampled_from(
    [
        Detail(),
        Detail(NASTY, facts=nasty_facts),
        Detail(NASTY, tickets=(TicketLine(NASTY, NASTY, NASTY, NASTY, NASTY, NASTY),)),
        Detail(NASTY, error=NASTY),
    ]
)


@given(uis, details, st.integers(1, 130), st.integers(1, 40), st.booleans(), st.sampled_from(Link))
def test_a_picture_fits_its_paper_and_cannot_act_on_a_terminal(
    ui, detail, width, height, is_unicode, link
):
    made = picture(ui, width, height, model(link, NASTY), detail, Charset(is_unicode))
    assert len(made.lines) == height
    for line in made.lines:
        text = text_of(line)
        assert text_width(text) <= width and one_line(text) == text
        assert is_unicode or text.isascii()
        assert all(span.style in STYLES for span in line)

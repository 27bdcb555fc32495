"""The data of `top`, after overviews, events and searches."""

from __future__ import annotations

import pytest

from bridge.cli.commands.top.model import Link, Model
from bridge.client.observation import AgentView, Overview, StageEvent, TimelineChart
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339

NOW = 1_795_000_000.0


def at(seconds_ago: float) -> str:
    return rfc3339(int((NOW - seconds_ago) * 1000))


def stage(ticket: str, name: str, preview=None, seconds_ago: float = 0.0) -> StageEvent:
    return StageEvent(ticket, 1, "lucy", "max", name, at(seconds_ago), preview=preview)


def model(bound: int = 3) -> Model:
    return Model("http://x", bound)


def test_an_overview_replaces_the_rows_and_an_agent_can_go():
    known = model()
    known.take_agent(AgentView("lucy", pending=1))
    known.take_agent(AgentView("ann"))
    known.take_agent(AgentView("ann", is_registered=False))
    assert list(known.agents) == ["lucy"]
    known.take_overview(Overview(agents=(AgentView("max"),)))
    assert list(known.agents) == ["max"]


def test_tickets_by_their_last_stage_and_no_more_than_allowed():
    known = model()
    for number in "1234":
        known.take_stage(stage(number, "accepted", f"text {number}"), NOW)
    known.take_stage(stage("2", "replied", "an answer"), NOW)
    assert [(each.ticket_id, each.stage, each.preview) for each in known.tickets.values()] == [
        ("3", "accepted", "text 3"),
        ("4", "accepted", "text 4"),
        ("2", "replied", "text 2"),
    ]


def test_the_stage_shown_does_not_replace_a_later_stage():
    known = model()
    for name in ("accepted", "acknowledged", "replied", "shown"):
        known.take_stage(stage("1", name), NOW)
    known.take_stage(stage("2", "shown"), NOW)  # the first event of this ticket
    assert [(each.ticket_id, each.stage) for each in known.tickets.values()] == [
        ("1", "replied"),
        ("2", "shown"),
    ]


def test_a_search_does_not_replace_a_ticket_that_an_event_changed():
    known = model()
    known.take_stage(stage("2", "acknowledged"), NOW)
    known.take_found(
        [
            Ticket("3", 3, "lucy", {"a": 1}, updated_at=at(50)),
            Ticket("2", 2, "lucy", "x", updated_at=at(60)),
            Ticket("1", 1, "lucy", "old", updated_at=at(70)),
        ]
    )
    assert [(each.ticket_id, each.stage) for each in known.tickets.values()] == [
        ("1", "pending"),
        ("3", "pending"),
        ("2", "acknowledged"),
    ]


def test_a_lost_broker_removes_no_data():
    known = model()
    known.take_agent(AgentView("lucy", connection="sse"))
    known.take_link(Link.LOST, NOW, "gone")
    known.take_link(Link.LOST, NOW + 5, "gone again")
    assert (known.link_since, known.link_reason, known.agents["lucy"].connection) == (
        NOW,
        "gone again",
        "sse",
    )
    known.take_link(Link.LIVE, NOW + 9)
    assert (known.link_since, known.link_reason) == (NOW + 9, "")


@pytest.mark.parametrize(
    "later, row, rate",
    [
        (0, (0,) * 110 + (5,) * 10, 4.5),  # the last step is incomplete and does not count
        # The overview is old: nothing has happened since.
        (3, (0,) * 107 + (5,) * 10 + (0,) * 3, 4.0),
        (500, (0,) * 120, 0.0),
        (-5, (0,) * 110 + (5,) * 10, 4.5),  # the broker's clock is ahead of ours
    ],
)
def test_the_timeline_moves_on(later, row, rate):
    known = model()
    known.take_overview(
        Overview(
            at=at(0),
            timeline=TimelineChart(
                1000,
                at(119.5),
                (0,) * 110 + (5,) * 10,
                (0,) * 120,
                (None,) * 120,
                (None,) * 119 + (7.0,),
            ),
        )
    )
    assert known.accepted(NOW + later) == row and known.rate(NOW + later) == rate
    assert known.p99(NOW + 1)[-2:] == (7.0, None)


def test_is_moving():
    known = model()
    assert not known.is_moving(NOW)
    known.take_stage(stage("1", "accepted"), NOW)
    assert known.is_moving(NOW + 100) and not known.is_moving(NOW + 121)
    known.take_overview(Overview(agents=(AgentView("lucy", pending=1),)))
    assert known.is_moving(NOW + 1000), "its age grows"
    known.take_overview(Overview(at=at(0), timeline=TimelineChart(1000, at(119), (0, 1), (0, 0))))
    assert known.is_moving(NOW + 100) and not known.is_moving(NOW + 200)

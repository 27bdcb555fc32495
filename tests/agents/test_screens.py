"""Nothing is typed while the composer is not open: work, questions, menus, modes, searches."""

from __future__ import annotations

import re

import pytest
from programs import PROGRAMS

SLOW = 6  # seconds of a slow answer


def test_an_agent_at_work_gets_the_ticket_after_its_work(seat):
    seat.submit(f"STUB-SLOW-{SLOW} the first time")
    seat.wait_at_model("the first time")
    ticket = seat.send("a peer's word")
    seat.wait_delivered(ticket)
    slow, given = seat.stub.first("the first time"), seat.stub.first(ticket)
    assert slow.ended and slow.ended <= given.began, seat.tell("it was submitted during the work")
    assert seat.count(ticket) == 1


def test_a_ticket_waits_for_a_draft_that_was_typed_during_the_work(seat):
    seat.submit(f"STUB-SLOW-{SLOW} with a draft")
    seat.wait_at_model("with a draft")
    seat.type("a person's half line")
    ticket = seat.send("a peer's word")
    seat.wait_explained(ticket)
    assert not seat.shows(re.escape(ticket)), seat.tell("the ticket was typed")
    seat.wipe()
    seat.wait_delivered(ticket)
    assert seat.plain_arrival(ticket) == "a peer's word"
    assert seat.count(ticket) == 1


def test_nothing_is_typed_into_a_question_for_a_person(seat):
    seat.submit(seat.program.asks.format(command="touch executed"))
    seat.wait_shown(seat.program.dialog)
    ticket = seat.send("y\n1\nyes")
    seat.wait_explained(ticket)
    assert seat.shows(seat.program.dialog), seat.tell("the question was answered")
    assert not seat.shows(re.escape(ticket))
    assert not list(seat.work.rglob("executed")), "the question was answered with yes"
    seat.press(*seat.program.refuse)
    seat.wait_delivered(ticket)
    assert seat.count(ticket) == 1
    assert not list(seat.work.rglob("executed")), "the question was answered with yes"


def _rows() -> list:
    rows = []
    for name, program in PROGRAMS.items():
        skip = pytest.mark.skipif(bool(program.missing()), reason=program.missing())
        for screen in program.screens:
            row = pytest.param(name, screen, id=f"{name}-{screen.name}", marks=[skip])
            rows.append(row)
    return rows


@pytest.mark.parametrize("name, screen", _rows())
def test_nothing_is_typed_into_a_menu_or_a_mode(seat, name, screen):
    if seat.stub.count("hello") == 0:
        seat.submit("hello")  # the history search needs a history
        seat.wait_at_model("hello")
        seat.wait_empty()
    seat.press(*screen.keys)
    seat.wait_shown(screen.shown)
    ticket = seat.send("a peer's word")
    seat.wait_explained(ticket)
    assert seat.shows(screen.shown), seat.tell(f"{screen.name} was closed")
    assert not seat.shows(re.escape(ticket)), seat.tell(f"it was typed into {screen.name}")
    for key in screen.close:
        seat.press(key)
        seat.wait_still()
    seat.wait_delivered(ticket)
    assert seat.count(ticket) == 1
    assert seat.plain_arrival(ticket) == "a peer's word"

"""Every kind of text reaches the model once, whole and in order, and counts as delivered then."""

from __future__ import annotations

import re

import pytest

LINES = "\n".join(f"{number}. a line of a longer text" for number in range(1, 41))
BODIES = {
    "plain": "please read the parser",
    "many lines": "first line\n\n    indented\nthe last line of it",
    "decomposed": "cafe\u0301 de\u0301ja\u0300 vu, A\u030angstro\u0308m, re\u0301sume\u0301",
    "joined emoji": "a family 👩‍👩‍👧 and its end 👩‍👩‍👧",
    "emoji modifiers": "a hand 👍🏽, a heart ❤️ and a flag 🇩🇪",
    "wide": "漢字かな交じり文 and 한국어, then latin",
    "tabs": "a\tb\n\tc",
    "trailing backslash": "a path that ends so C:\\",
    "leading slash": "/help is what it begins with",
    "leading bang": "!touch executed",
    "leading at": "@README.md is what it begins with",
    "leading hash": "# a heading",
    "leading angle": "> quoted",
    "3 KB": " ".join(f"word{number}" for number in range(400)),
    "a menu": "Which one?\n❯ 1. Yes\n  2. No",
    "a question": "Shall I go on (y/n)?",
    "forty lines": LINES,
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_arrives_once_and_whole(seat, kind):
    body = BODIES[kind]
    ticket = seat.send(body)
    seat.wait_delivered(ticket)
    assert seat.plain_arrival(ticket) == seat.expected(body), seat.tell("the body was changed")
    assert seat.count(ticket) == 1
    assert not list(seat.work.rglob("executed")), "the body was executed"


def test_twenty_kilobytes_are_cut_and_end_with_the_command_that_shows_the_rest(seat):
    body = "\n".join(f"line {number} of a text of twenty kilobytes" for number in range(500))
    ticket = seat.send(body)
    seat.wait_delivered(ticket)
    head, hint, way = seat.plain_arrival(ticket).rpartition("[bridge: cut here, ")
    if not hint:  # an agent that gets one line only gets just the command
        head, hint, way = seat.stub.text_with(ticket).rpartition("To read it: ")
    else:
        assert len(head) > 4000 and seat.expected(body).startswith(head.strip())
    assert hint and re.search(rf"show {ticket}\b", way), seat.tell("it names no way to the rest")
    assert seat.count(ticket) == 1


def test_tickets_sent_at_once_arrive_in_order(seat):
    tickets = [seat.send(f"number {number} of five") for number in range(5)]
    for ticket in tickets:
        seat.wait_delivered(ticket)
    assert [each for each in seat.order() if each in tickets] == tickets
    assert [seat.count(ticket) for ticket in tickets] == [1] * 5


def test_an_agent_that_is_the_panes_own_process_gets_its_tickets(seats, name):
    seat = seats(name).open(has_shell=False)
    seat.watch()
    tickets = [seat.send(f"number {number}\nof two lines") for number in range(2)]
    for ticket in tickets:
        seat.wait_delivered(ticket)
        assert seat.count(ticket) == 1, seat.tell(f"{seat.stub.texts()}")
    assert seat.plain_arrival(tickets[1]) == "number 1\nof two lines"

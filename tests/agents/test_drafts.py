"""Nothing is typed into a person's draft, at any place of the cursor; the ticket arrives later."""

from __future__ import annotations

import re

import pytest

LONG = (
    "please refactor the parser so that it reads one row at a time and keeps what it has read "
    "in a list of rows, then write tests for the empty file, for the file of one row and for a "
    "file whose last row has no end; do not touch the printer, it is right as it is"
)


# Each function types a draft and returns it. It leaves the cursor at its place.


def at_its_end(seat) -> str:
    return seat.type("please refactor the parser")


def at_its_start(seat) -> str:
    draft = at_its_end(seat)
    seat.move("C-a")
    return draft


def last_row_is_a_quote(seat) -> str:
    draft = seat.type("a first line of mine")
    seat.press(seat.program.newline, "L:> ")
    return draft


def last_row_is_empty(seat) -> str:
    draft = seat.type("a first line of mine")
    seat.press(seat.program.newline)
    return draft


def first_row_is_empty(seat) -> str:
    seat.press(seat.program.newline)
    draft = seat.type("a second line of mine")
    seat.move("Up")
    return draft


def like_the_placeholder(seat) -> str:
    return seat.type(seat.program.like_placeholder)


def wrapped(seat) -> str:
    return seat.type(LONG)


def wrapped_from_its_start(seat) -> str:
    draft = seat.type(LONG)
    # No Up follows. On a draft's first row it replaces the draft by an earlier message.
    seat.move("C-a")
    return draft


def watched(seat, text: str) -> list[str]:
    """Return the words of a text that occur in drafts."""
    words = {"refactor", "parser", "printer,", "mine", *seat.program.like_placeholder.split()[-2:]}
    return [word for word in text.split() if word in words]


DRAFTS = {
    draft.__name__: draft
    for draft in (
        at_its_end,
        at_its_start,
        last_row_is_a_quote,
        last_row_is_empty,
        first_row_is_empty,
        like_the_placeholder,
        wrapped,
        wrapped_from_its_start,
    )
}


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_ticket_waits_until_a_draft_is_gone_and_the_draft_is_unchanged(seat, draft):
    if draft in seat.program.undrawn:
        pytest.skip(f"{seat.program.name} draws it wrong, without bridge too")
    typed = watched(seat, DRAFTS[draft](seat))
    seat.wait_still()
    before = watched(seat, seat.screen())
    assert set(typed) <= set(before), seat.tell("the draft is not on the screen")
    ticket = seat.send("a peer's word")
    seat.wait_explained(ticket)
    assert watched(seat, seat.screen()) == before, seat.tell("the draft was changed")
    is_typed = seat.shows(re.escape(ticket)) or seat.shows(r"\[Paste")
    assert not is_typed, seat.tell("the ticket was typed into the draft")
    seat.wipe()
    seat.wait_delivered(ticket)
    assert seat.count(ticket) == 1
    assert seat.plain_arrival(ticket) == "a peer's word", seat.tell("the draft went with it")

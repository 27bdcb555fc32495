"""Nothing is typed into a person's draft, at any place of the cursor; the ticket arrives later."""

from __future__ import annotations

import re

import pytest

LONG = (
    "please refactor the parser so that it reads one row at a time and keeps what it has read "
    "in a list of rows, then write tests for the empty file, for the file of one row and for a "
    "file whose last row has no end; do not touch the printer, it is right as it is"
)


def at_its_end(seat) -> None:
    seat.type("please refactor the parser")


def at_its_start(seat) -> None:
    at_its_end(seat)
    seat.press("C-a")


def last_row_is_a_quote(seat) -> None:
    seat.type("a first line of mine")
    seat.press(seat.program.newline, "L:> ")


def last_row_is_empty(seat) -> None:
    seat.type("a first line of mine")
    seat.press(seat.program.newline)


def first_row_is_empty(seat) -> None:
    seat.press(seat.program.newline)
    seat.type("a second line of mine")
    seat.press("Up")


def like_the_placeholder(seat) -> None:
    seat.type(seat.program.like_placeholder)


def wrapped(seat) -> None:
    seat.type(LONG)


def wrapped_from_its_start(seat) -> None:
    seat.type(LONG)
    seat.press("C-a", "Up")


def words_shown(seat) -> list[str]:
    """Return the person's words on the screen; no agent shows these words by itself."""
    words = {"refactor", "parser", "printer,", "mine", *seat.program.like_placeholder.split()[-2:]}
    return [word for word in seat.screen().split() if word in words]


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
    DRAFTS[draft](seat)
    seat.wait_still()
    before = words_shown(seat)
    ticket = seat.send("a peer's word")
    seat.wait_explained(ticket)
    assert words_shown(seat) == before, seat.tell("the draft was changed")
    is_typed = seat.shows(re.escape(ticket)) or seat.shows(r"\[Paste")
    assert not is_typed, seat.tell("the ticket was typed into the draft")
    seat.wipe()
    seat.wait_delivered(ticket)
    assert seat.count(ticket) == 1
    assert seat.plain_arrival(ticket) == "a peer's word", seat.tell("the draft went with it")

"""The choice of a session for the control client: a person must not notice any effect."""

from __future__ import annotations

import pytest

from bridge.tmux.control_mode.session_choice import choose_anchor, hook_among, read_grounds

PERSON = "client 0 $1 1000"


def choose(rows: list[str], policy: str, came_at: int = 0) -> tuple[str, str]:
    anchor, objection = choose_anchor(read_grounds(rows), policy, came_at)
    return anchor.session_id if anchor else "", objection


def judge(session: str, policy: str, *clients: str):
    return choose([session, *clients, ""], policy)


def test_a_session_with_a_person_and_default_options_is_accepted():
    assert judge("session 3.3a $1 0 0 0 0", "auto", PERSON) == ("$1", "")


@pytest.mark.parametrize(
    ("session", "clients", "words"),
    [
        ("session 3.3a $1 0 0 0 0", [], "nobody is attached"),
        # A control client is not a person.
        ("session 3.3a $1 0 0 0 0", ["client 1 $1 1000"], "nobody is attached"),
        ("session 3.3a $1 0 0 0 0", ["client 0 $2 1000"], "nobody is attached"),
        ("session 3.3a $1 0 0 1 0", [PERSON], "focus-events"),
        ("session 3.3a $1 0 0 0 1", [PERSON], "counts clients"),
    ],
)
def test_an_effect_that_a_person_would_notice_is_an_objection_under_auto_only(
    session, clients, words
):
    assert words in judge(session, "auto", *clients)[1]
    assert judge(session, "on", *clients) == ("$1", "")


@pytest.mark.parametrize(
    ("session", "words"),
    [
        ("session 3.3a $1 1 0 0 0", "destroy-unattached"),
        ("session 3.5a $1 keep-last 0 0 0", "destroy-unattached"),
        ("session 3.3a $1 0 1 0 0", "exit-unattached"),
        ("session 3.1c $1 0 0 0 0", "older than 3.2"),
        ("session  $1 0 0 0 0", "older than 3.2"),
    ],
)
def test_an_effect_on_the_life_of_a_session_is_always_an_objection(session, words):
    for policy in ("auto", "on"):
        assert words in judge(session, policy, PERSON)[1]


ROWS = [
    "session 3.3a $0 0 0 0 0",
    "session next-3.6 $4 0 0 0 0",
    "session master $5 0 0 0 0",
    "client 0 $5 1700",
    "client 0 $4 1600",
    "client 0 $4 1800",
    "client 1 $0 1900",
]


def test_auto_takes_the_session_in_which_a_person_typed_last_or_none():
    assert choose(ROWS, "auto") == ("$4", "")
    refused = [row.replace("next-3.6 $4 0", "next-3.6 $4 1") for row in ROWS]
    assert choose(refused, "auto")[0] == ""
    assert choose(refused, "on") == ("$5", "")
    assert choose([], "on") == ("", "there is no session")


@pytest.mark.parametrize(("came_at", "may_stay"), [(1799, True), (1800, False), (1801, False)])
def test_a_client_that_started_after_the_last_key_does_not_attach(came_at, may_stay):
    session, objection = choose(ROWS, "auto", came_at)
    assert (session == "$4") is may_stay and ("nobody has typed" in objection) is not may_stay
    assert choose(ROWS, "on", came_at) == ("$4", "")


@pytest.mark.parametrize(
    ("line", "hook"),
    [
        ("client-attached", ""),
        ("client-attached[0] run-shell true", "client-attached"),
        ("client-detached[3] display hi", "client-detached"),
        ("alert-bell[0] display x", ""),
    ],
)
def test_hooks_that_our_client_would_trigger_are_found(line, hook):
    assert hook_among(["after-new-session", line, ""]) == hook

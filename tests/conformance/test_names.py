"""Names that look like other names.

Outer white space and characters without width are refused where a name is made.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest
from running import new_name

from conformance.shapes import check_problem

LOOK_ALIKES = [
    " lucy",
    "lucy ",
    "\u00a0lucy",
    "lucy\u3000",
    "lu\u200bcy",
    "lucy\ufeff",
    "\u2060lucy",
    "lu\u00adcy",
    "lu\u200dcy",
]


@pytest.mark.parametrize("name", LOOK_ALIKES, ids=ascii)
def test_a_look_alike_is_refused_with_the_reason(broker, name):
    path = f"/agents/{quote(name)}"
    for answer in (
        broker.ask("POST", f"{path}/send", {"payload": 1}),
        broker.ask("POST", "/agents/register", {"agentId": name}),
        broker.ask("POST", f"{path}/subscribe"),
    ):
        detail = check_problem(answer, 400)["detail"]
        assert "white space" in detail or "cannot be seen" in detail


@pytest.mark.parametrize(
    "name",
    ["a b", "Lucy", "\u00fcmit", "u\u0308mit", "\u0627\u0644", "\U0001f600", "a\u00a0b"],
    ids=ascii,
)
def test_a_name_of_visible_characters_is_accepted(broker, name):
    name += new_name()
    assert broker.ask("POST", f"/agents/{quote(name)}/send", {"payload": 1}).status == 202


def test_tickets_to_an_older_look_alike_can_be_polled_and_purged(broker):
    """An older broker accepted such names, and its store may hold tickets to them."""
    for method, path in (("GET", "tickets/pending"), ("DELETE", "tickets/pending")):
        assert broker.ask(method, f"/agents/lucy%20/{path}").status == 200
    check_problem(broker.ask("DELETE", "/agents/lucy%20"), 404)

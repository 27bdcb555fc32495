"""bridge/HTTP_API.md and the table of routes say the same: one heading for each route."""

from __future__ import annotations

import collections
import pathlib
import re

from bridge.broker.routes import ROUTES

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = (ROOT / "bridge" / "HTTP_API.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^#+ ([A-Z]+) (/\S*)$", re.MULTILINE)


def routes_of(page: str) -> list[tuple[str, str]]:
    """(method, path) of each heading; what an id is called does not matter."""
    return [(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in HEADING.findall(page)]


def test_each_route_is_described_once():
    described = collections.Counter(routes_of(PAGE))
    known = {(method, path) for path, methods in ROUTES.items() for method in methods}
    assert known - set(described) == set(), "routes without a heading"
    assert set(described) - known == set(), "headings without a route"
    assert max(described.values()) == 1, "described twice"


def test_a_link_within_the_page_leads_to_a_heading():
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", text).lower().replace(" ", "-") for text in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_a_heading_that_is_taken_away_is_missed():
    without = PAGE.replace("### POST /replies\n", "", 1)
    assert set(routes_of(PAGE)) - set(routes_of(without)) == {("POST", "/replies")}

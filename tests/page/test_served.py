"""The page's files over HTTP: the security policy, revalidation, and which origins may post."""

from __future__ import annotations

import pathlib
import re

import pytest
from conformance.shapes import check_problem
from running import ROOT, new_name

from bridge.broker.handlers.web import FILES, PAGE
from bridge.ticket import STATUSES

WEB = ROOT / "bridge" / "broker" / "web"
PATHS = {"/": PAGE, **{f"/web/{name}": name for name in FILES if name != PAGE}}
SOURCES = sorted(path for path in WEB.iterdir() if path.suffix in (".html", ".js", ".css", ".svg"))


def test_every_file_is_served_and_no_other():
    assert sorted(FILES) == [path.name for path in SOURCES]


def test_every_file_comes_whole_with_its_type_and_the_policy(broker):
    for path, name in PATHS.items():
        answer = broker.ask("GET", path)
        assert answer.status == 200 and answer.body == (WEB / name).read_bytes(), path
        kind = {
            "html": "text/html",
            "js": "text/javascript",
            "css": "text/css",
            "svg": "image/svg+xml",
        }[name.rpartition(".")[2]]
        assert answer.field("content-type").split(";")[0] == kind
        assert (
            answer.field("cache-control") == "no-cache"
            and answer.field("x-content-type-options") == "nosniff"
        )
        assert (
            answer.field("referrer-policy") == "no-referrer"
            and answer.field("cross-origin-resource-policy") == "same-origin"
        )
        assert answer.field("cross-origin-opener-policy") == "same-origin"
        policy = dict(
            part.strip().partition(" ")[::2]
            for part in answer.field("content-security-policy").split(";")
        )
        assert (
            policy.pop("require-trusted-types-for") == "'script'"
            and policy.pop("trusted-types") == "'none'"
        )
        nothing = {name for name, value in policy.items() if value == "'none'"}
        assert nothing == {"default-src", "base-uri", "form-action", "frame-ancestors"}
        assert (
            {name for name, value in policy.items() if value == "'self'"}
            == set(policy) - nothing
            == {"script-src", "style-src", "connect-src", "img-src"}
        )


@pytest.mark.parametrize("path", ["/", "/web/main.js"])
def test_a_file_that_a_browser_has_already_is_not_sent_again(broker, path):
    first = broker.ask("GET", path)
    etag = first.field("etag")
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = broker.ask("GET", path, fields=[("If-None-Match", known)])
        assert answer.status == 304 and answer.body == b"" and answer.field("etag") == etag, known
        assert (
            answer.field("content-security-policy") == first.field("content-security-policy")
            and answer.field("cache-control") == "no-cache"
        )
    for other in ('"other"', etag[:-1] + 'x"', "", etag.strip('"')):
        assert broker.ask("GET", path, fields=[("If-None-Match", other)]).body == first.body, other
    with broker.line() as line:
        # On one connection, so a body after the HEAD answer would break the next answer.
        head, again = line.ask("HEAD", path), line.ask("GET", path)
    assert head.status == 200 and head.body == b"" and again.body == first.body
    assert [pair for pair in head.fields if pair[0] != "Date"] == [
        pair for pair in again.fields if pair[0] != "Date"
    ]


def test_each_file_has_its_own_etag(broker):
    assert len({broker.ask("GET", path).field("etag") for path in PATHS}) == len(PATHS)


@pytest.mark.parametrize(
    "name",
    [
        "page.html",
        "__init__.py",
        "nothing.js",
        "..%2Froutes.py",
        "..",
        "theme.css%00",
        "THEME.CSS",
        "%7B%7D",
    ],
)
def test_no_other_path_below_web_exists(broker, name):
    answer = broker.ask("GET", f"/web/{name}")
    check_problem(answer, 400 if "%00" in name else 404)
    assert b"import" not in answer.body


def test_other_methods_get_405_with_allow(broker):
    for path in ("/", "/web/main.js"):
        answer = broker.ask("POST", path, {})
        assert answer.status == 405 and answer.field("allow") == "GET, HEAD, OPTIONS"


def test_the_page_may_post_and_no_other_origin_may(broker):
    """The protection against CSRF: a browser sends Origin, and only the page's own may post."""
    agent, own = new_name(), ("Origin", f"http://127.0.0.1:{broker.port}")
    answer = broker.ask("POST", f"/agents/{agent}/send", {"payload": "from the page"}, fields=[own])
    assert answer.status == 202
    assert (
        broker.ask(
            "POST",
            "/replies",
            {"ticketId": answer.json["ticketId"], "payload": "yes"},
            fields=[own],
        ).status
        == 204
    )
    for origin in (
        "https://evil.example",
        "null",
        f"http://localhost:{broker.port}",
        f"http://127.0.0.1:{broker.port + 1}",
        f"http://127.0.0.1:{broker.port}.evil.example",
    ):
        for path, body in (
            (f"/agents/{agent}/send", {"payload": "forged"}),
            ("/replies", {"ticketId": answer.json["ticketId"], "payload": "forged"}),
        ):
            check_problem(
                broker.ask(
                    "POST", path, body, fields=[("Origin", origin), ("Content-Type", "text/plain")]
                ),
                403,
            )
    # The ticket from the page has a reply, so it is not pending either.
    assert [ticket["payload"] for ticket in broker.pending(agent)] == []


# -- laws of the page's source ------------------------------------------------------

FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|createContextualFragment"
    r"|\beval\b|new Function|srcdoc|javascript:|https?://(?!www\.w3\.org/2000/svg)"
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_file_is_short_begins_with_its_theory_and_has_no_way_for_html(path: pathlib.Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    if path.suffix in (".js", ".css"):
        assert text.startswith("/* ") and text.index("*/") > 100, "no header comment"
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert not FORBIDDEN.search(code), FORBIDDEN.search(code)
    if path.suffix == ".html":
        assert not re.search(r"\s(on[a-z]+|style)=", code) and not re.search(
            r"<style|<script(?! (type=\"module\" )?src=\"web/[a-z]+\.js\"></script>)", code
        )


def test_an_installed_package_contains_every_kind_of_file():
    """Read pyproject.toml by a pattern, because 3.9 has no TOML parser."""
    (patterns,) = re.findall(
        r'"bridge\.broker\.web" = \[(.*)\]', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert {f'"*{path.suffix}"' for path in SOURCES} == set(patterns.split(", "))


def test_the_filter_of_tickets_offers_every_status():
    page = (WEB / PAGE).read_text()
    offered = page.partition('id="tickets-status"')[2].partition("</select>")[0]
    values = re.findall(r'<option value="(\w+)">', offered)
    assert tuple(values) == STATUSES

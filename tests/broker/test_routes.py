"""Each row of the table of requests has its handler. Any other request is 404, 405 or 501."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.routes import KNOWN_METHODS, ROUTES, _remembered, allowed_methods, dispatch
from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser

ROWS = {
    "POST /agents/register": "register",
    "GET /agents": "list_agents",
    "GET /agents/{id}": "show_agent",
    "DELETE /agents/{id}": "remove",
    "POST /agents/{id}/heartbeat": "heartbeat",
    "POST /agents/{id}/send": "send",
    "GET /agents/{id}/tickets/pending": "pending",
    "GET /agents/{id}/tickets/stream": "stream",
    "GET /tickets/stream": "shared_stream",
    "POST /agents/{id}/subscribe": "subscribe",
    "DELETE /agents/{id}/subscribe": "unsubscribe",
    "POST /tickets/{id}/claim": "claim",
    "POST /tickets/{id}/acknowledge": "acknowledge",
    "GET /tickets/{id}": "show",
    "POST /replies": "reply",
    "GET /replies/{id}": "get_reply",
    "GET /replies/{id}/wait": "wait_reply",
    "GET /replies/{id}/stream": "stream_reply",
    "GET /health": "health",
    "GET /metrics": "metrics",
    "GET /debug/connections": "connections",
    "POST /tickets/{id}/shown": "shown",
    "POST /tickets/{id}/aside": "aside",
    "GET /subscribers/{id}": "show_subscriber",
    "GET /subscribers/{id}/tickets/pending": "pending_of_subscriber",
    "GET /overview": "overview",
    "GET /events": "events",
    "GET /backup": "backup",
    "GET /search": "find",
    "GET /debug/agent/{id}/status": "agent_status",
    "DELETE /agents/{id}/tickets/pending": "purge",
    "DELETE /tickets/{id}": "drop",
    "GET /": "page",
    "GET /web/{id}": "part",
}
IDS = {
    "lucy": "lucy",
    "a%2Fb": "a/b",
    "a%252Fb": "a%2Fb",
    "%C3%A9": "é",
    "register": "register",
    "tickets": "tickets",
    "..": "..",
    "%7B%7D": "{}",
    "a+b": "a+b",
    "": "",
}


def request_to(method: str, path: str):
    parser = RequestParser(Limits())
    parser.feed(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return parser.take_request()


@pytest.fixture
def called(monkeypatch):
    """In the real table, replace each handler by one that returns its name and the id."""
    _remembered.cache_clear()
    for methods in ROUTES.values():
        for method, handler in list(methods.items()):
            monkeypatch.setitem(
                methods,
                method,
                lambda call, known=handler.__name__: (known, call.name),
            )
    yield
    _remembered.cache_clear()


def test_the_table_has_exactly_these_rows():
    assert {
        f"{method} {template.replace('{}', '{id}')}": handler.__name__
        for template, methods in ROUTES.items()
        for method, handler in methods.items()
    } == ROWS


@pytest.mark.parametrize("row", ROWS)
def test_each_row_finds_its_handler(called, row):
    method, path = row.split(" ")
    for raw, name in IDS.items() if "{id}" in path else [("", "")]:
        if row == "GET /tickets/{id}" and raw == "stream":
            continue
        assert dispatch(request_to(method, path.replace("{id}", raw)), None) == (ROWS[row], name)
        if method == "GET":
            assert dispatch(request_to("HEAD", path.replace("{id}", raw)), None) == (
                ROWS[row],
                name,
            )


def test_a_word_of_the_table_may_be_an_agents_name(called):
    assert dispatch(request_to("GET", "/agents/register"), None) == ("show_agent", "register")
    assert dispatch(request_to("DELETE", "/agents/register"), None) == ("remove", "register")
    assert dispatch(request_to("GET", "/tickets/stream"), None) == ("shared_stream", "")
    assert dispatch(request_to("POST", "/agents/send/send"), None) == ("send", "send")


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "/web",
        "/page.html",
        "/agent",
        "/Agents",
        "/agents//",
        "/agents/lucy/",
        "/agents/a/b/send",
        "/agents/lucy/tickets",
        "/agents%2Flucy",
        "/replies/",
        "/health/",
        "/debug",
        "/agents/{}/nothing".replace("{}", "%7B%7D"),
    ],
)
def test_any_other_path_is_404(called, path):
    if path == "/replies/":
        assert dispatch(request_to("GET", path), None) == ("get_reply", "")
        return
    for method in ("GET", "POST", "BREW"):
        with pytest.raises(PeerError) as caught:
            dispatch(request_to(method, path), None)
        assert caught.value.status == 404 and not allowed_methods(path)


@pytest.mark.parametrize("template", ROUTES)
@pytest.mark.parametrize("method", sorted(KNOWN_METHODS) + ["BREW", "get"])
def test_another_method_is_405_with_allow_or_501(called, template, method):
    path = template.replace("{}", "lucy")
    allow = allowed_methods(path)
    listed = allow.split(", ")
    assert (
        set(ROUTES[template]) <= set(listed)
        and "OPTIONS" in listed
        and ("HEAD" in listed) == ("GET" in listed)
    )
    if method in listed and method != "OPTIONS":
        dispatch(request_to(method, path), None)
        return
    with pytest.raises(PeerError) as caught:
        dispatch(request_to(method, path), None)
    assert (
        caught.value.status == (405 if method in KNOWN_METHODS else 501)
        and caught.value.headers["Allow"] == allow
    )


@pytest.mark.parametrize("path", ["/agents/%00/send", "/agents/%ff/send", "/agents/%C3/send"])
def test_an_id_that_is_not_text_is_400_each_time(called, path):
    for _ in range(2):
        with pytest.raises(PeerError) as caught:
            dispatch(request_to("POST", path), None)
        assert caught.value.status == 400


def test_long_paths_are_not_cached():
    for number in range(20):
        with pytest.raises(PeerError):
            dispatch(request_to("GET", f"/{number}/" + "x" * 10000), None)
    before = _remembered.cache_info().currsize
    with pytest.raises(PeerError):
        dispatch(request_to("GET", "/once/" + "x" * 10000), None)
    assert _remembered.cache_info().currsize == before


@given(st.text(alphabet="abc/{}%2F.registeragentstickets", max_size=30))
def test_any_path_is_routed_or_refused(text):
    try:
        allowed_methods("/" + text)
    except PeerError as error:
        assert error.status == 400

"""The broker is local by default and safe from web pages (rule 8).

Requests with a foreign Host or Origin are refused. The broker's own and listed ones are allowed.
"""

from __future__ import annotations

import pytest
from running import new_name

from conformance.shapes import check_problem


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:5050",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.1.2.3",
    ],
)
def test_a_foreign_host_is_421(broker, host):
    """DNS rebinding: a page of evil.example, which resolves to 127.0.0.1, must be refused."""
    check_problem(broker.ask("GET", "/agents", fields=[("Host", host)]), 421)
    check_problem(broker.ask("POST", "/agents/a/send", {"payload": 1}, [("Host", host)]), 421)


def test_the_authority_of_an_absolute_form_overrides_the_host(broker):
    check_problem(broker.ask("GET", "http://evil.example/health"), 421)
    with broker.line() as line:
        target = f"http://127.0.0.1:{broker.port}/health"
        line.send(f"GET {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
        assert line.read_answer().status == 200


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST:{port}", "127.0.0.1", "localhost"]
)
def test_the_brokers_own_names_are_allowed(broker, host):
    assert (
        broker.ask("GET", "/health", fields=[("Host", host.format(port=broker.port))]).status == 200
    )


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://evil.example:5050",
        "null",
        "http://127.0.0.1.evil.example",
        "file://",
        "http://localhost.evil.example",
    ],
)
def test_a_foreign_origin_is_403(broker, origin):
    agent = new_name()
    for method, path, body in [
        ("POST", f"/agents/{agent}/send", {"payload": 1}),
        ("GET", "/agents", None),
        ("GET", f"/agents/{agent}/tickets/stream", None),
        ("DELETE", f"/agents/{agent}", None),
    ]:
        answer = broker.ask(method, path, body, [("Origin", origin)])
        check_problem(answer, 403)
        assert answer.field("access-control-allow-origin") is None
    assert broker.pending(agent) == []


def test_the_brokers_own_origin_is_allowed(broker):
    for name in ("127.0.0.1", "localhost"):
        answer = broker.ask(
            "GET",
            "/health",
            fields=[("Host", f"{name}:{broker.port}"), ("Origin", f"http://{name}:{broker.port}")],
        )
        assert answer.status == 200 and answer.field("access-control-allow-origin") != "*"


def test_a_listed_origin_is_allowed(start):
    broker = start(BRIDGE_ALLOWED_ORIGINS="https://ok.example,https://fine.example:8443")
    for origin in ("https://ok.example", "https://fine.example:8443"):
        answer = broker.ask("GET", "/agents", fields=[("Origin", origin)])
        assert answer.status == 200 and answer.field("access-control-allow-origin") in (
            None,
            origin,
        )
    for origin in (
        "https://ok.example.evil",
        "http://ok.example",
        "https://fine.example",
        "https://evil.example",
    ):
        check_problem(broker.ask("GET", "/agents", fields=[("Origin", origin)]), 403)


def test_a_listed_host_is_allowed(start):
    broker = start(BRIDGE_ALLOWED_HOSTS="bridge.example,other.example")
    assert broker.ask("GET", "/health", fields=[("Host", "bridge.example")]).status == 200
    check_problem(broker.ask("GET", "/health", fields=[("Host", "sub.bridge.example")]), 421)


def test_the_broker_listens_on_this_machine_only(broker):
    assert broker.url.startswith("http://127.0.0.1:")

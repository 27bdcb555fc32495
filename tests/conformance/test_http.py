"""HTTP: methods, keep-alive, pipelining, 100-continue, chunked bodies, HTTP/1.0 and errors."""

from __future__ import annotations

import http.client
import json

import pytest
from raw_http import request_bytes
from running import new_name

from conformance.shapes import check_problem

ROUTES = [
    ("/agents/{a}", {"GET", "DELETE"}),
    ("/agents", {"GET"}),
    ("/agents/{a}/heartbeat", {"POST"}),
    ("/agents/{a}/send", {"POST"}),
    ("/agents/{a}/tickets/pending", {"GET", "DELETE"}),
    ("/agents/{a}/tickets/stream", {"GET"}),
    ("/tickets/stream", {"GET"}),
    ("/agents/{a}/subscribe", {"POST", "DELETE"}),
    ("/tickets/{a}/claim", {"POST"}),
    ("/tickets/{a}/acknowledge", {"POST"}),
    ("/tickets/{a}", {"GET", "DELETE"}),
    ("/replies", {"POST"}),
    ("/replies/{a}", {"GET"}),
    ("/replies/{a}/wait", {"GET"}),
    ("/replies/{a}/stream", {"GET"}),
    ("/health", {"GET"}),
    ("/metrics", {"GET"}),
    ("/debug/connections", {"GET"}),
    ("/debug/agent/{a}/status", {"GET"}),
]


@pytest.mark.parametrize("path, methods", ROUTES)
def test_a_405_lists_the_allowed_methods(broker, path, methods):
    path = path.format(a=new_name())
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - methods:
        answer = broker.ask(method, path, b"{}" if method in ("POST", "PUT", "PATCH") else None)
        check_problem(answer, 405)
        allowed = {name.strip() for name in answer.field("allow").split(",")}
        assert (
            methods <= allowed
            and method not in allowed
            and allowed <= methods | {"HEAD", "OPTIONS"}
        ), (method, path, allowed)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/agents/",
        "/agents/a/b",
        "/agents/a/tickets",
        "/tickets/",
        "/tickets",
        "/replies/",
        "/health/",
        "/HEALTH",
        "/agents//send",
        "//health",
        "/debug",
        "/../health",
        "/agents/a/tickets/pending/",
    ],
)
def test_unknown_paths_are_404(broker, path):
    answer = broker.ask("GET", path)
    if path == "/" and answer.status == 200:
        assert answer.field("content-type").startswith("text/html"), (
            "only an HTML page may be there"
        )
        return
    assert answer.status in (404, 400, 405), answer
    check_problem(answer, answer.status)


def test_an_unknown_method_is_refused(broker):
    for method in ("BREW", "get", "PROPFIND", "TRACE"):
        answer = broker.ask(method, "/health")
        assert answer.status in (405, 501), (method, answer)
        check_problem(answer, answer.status)


@pytest.mark.parametrize(
    "path", ["/health", "/agents", "/metrics", "/debug/connections", "/nothing", "/tickets/none"]
)
def test_head_is_get_without_the_body(broker, path):
    with broker.line() as line:
        got = line.ask("GET", path)
        head = line.ask("HEAD", path)
        assert (head.status, head.body) == (got.status, b"") and head.field(
            "content-type"
        ) == got.field("content-type")
        assert line.ask("GET", "/health").status == 200, "the connection is still in step"


def test_a_connection_stays_open_until_close_is_asked_for(broker):
    with broker.line() as line:
        for _ in range(3):
            assert line.ask("GET", "/health").status == 200
        last = line.ask("GET", "/health", fields=[("Connection", "close")])
        assert last.status == 200 and last.field("connection") == "close"
        assert line.is_closed()


@pytest.mark.parametrize("value", ["close", "Close", "keep-alive, close", "foo , CLOSE"])
def test_the_connection_field_is_a_list_of_tokens(broker, value):
    with broker.line() as line:
        assert line.ask("GET", "/health", fields=[("Connection", value)]).status == 200
        assert line.is_closed()


def test_a_refusal_of_a_well_formed_request_keeps_the_connection(broker):
    with broker.line() as line:
        assert line.ask("GET", "/nothing").status == 404
        assert line.ask("POST", "/agents/a/send", b"{").status == 400
        assert line.ask("PUT", "/health", b"{}").status == 405
        assert line.ask("GET", "/health").status == 200


def test_every_response_has_a_framing(broker):
    """Without a length, a response on a connection that stays open would never end."""
    agent = new_name()
    with broker.line() as line:
        broker.register(agent)
        for method, path, body in [
            ("GET", "/health", None),
            ("POST", f"/agents/{agent}/subscribe", {}),
            ("DELETE", f"/agents/{agent}", None),
            ("GET", "/nothing", None),
        ]:
            answer = line.ask(method, path, body)
            framed = (
                answer.status == 204
                or answer.field("content-length") is not None
                or answer.field("transfer-encoding") == "chunked"
            )
            assert framed, answer
            if answer.status == 204:
                assert (
                    answer.field("content-length") is None
                    and answer.field("transfer-encoding") is None
                ), "RFC 9110 8.6"


def test_a_json_response_has_its_content_type(broker):
    answer = broker.ask("GET", "/health")
    assert answer.field("content-type").split(";")[0] == "application/json"


def test_pipelined_requests_are_answered_in_order(broker):
    agent = new_name()
    batch = b"".join(
        request_bytes("POST", f"/agents/{agent}/send", {"payload": number}, port=broker.port)
        for number in range(10)
    )
    batch += request_bytes("GET", f"/agents/{agent}/tickets/pending", port=broker.port)
    batch += request_bytes("GET", "/nothing", port=broker.port)
    batch += request_bytes("HEAD", "/health", port=broker.port)
    batch += request_bytes("GET", "/health", port=broker.port)
    with broker.line() as line:
        line.send(batch)
        assert [line.read_answer().status for _ in range(10)] == [202] * 10
        assert [ticket["payload"] for ticket in line.read_answer().json] == list(range(10))
        assert line.read_answer().status == 404
        assert line.read_answer("HEAD").status == 200
        assert line.read_answer().json["status"] == "ok"


def test_a_waiting_request_delays_those_behind_it(broker):
    """Responses leave in the order of the requests, even if the first waits (RFC 9112 9.3.2)."""
    agent = new_name()
    with broker.line() as line:
        line.request("GET", f"/agents/{agent}/tickets/pending?waitMs=150")
        line.request("POST", f"/agents/{new_name()}/send", {"payload": 1})
        line.request("GET", "/health")
        assert line.read_answer().json == []
        assert line.read_answer().status == 202
        assert line.read_answer().json["status"] == "ok"


def test_a_pipelined_request_after_close_is_not_answered(broker):
    agent = new_name()
    with broker.line() as line:
        line.send(
            request_bytes("GET", "/health", fields=[("Connection", "close")], port=broker.port)
            + request_bytes("POST", f"/agents/{agent}/send", {"payload": 1}, port=broker.port)
        )
        assert line.read_answer().status == 200
        assert line.is_closed()
    assert broker.pending(agent) == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_a_request_may_come_in_any_slices(broker, size):
    agent = new_name()
    data = (
        request_bytes("POST", f"/agents/{agent}/send", {"payload": "sliced é"}, port=broker.port)
        * 2
    )
    with broker.line() as line:
        line.socket.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY
        for start in range(0, len(data), size):
            line.send(data[start : start + size])
        assert line.read_answer().status == line.read_answer().status == 202


def test_100_continue_is_sent_before_the_body(broker):
    body = json.dumps({"payload": "later"}).encode()
    with broker.line() as line:
        line.request(
            "POST",
            f"/agents/{new_name()}/send",
            None,
            [("Expect", "100-continue"), ("Content-Length", str(len(body)))],
        )
        assert line.read_head().status == 100
        line.send(body)
        assert line.read_answer().status == 202
        assert line.ask("GET", "/health").status == 200


def test_expect_with_an_immediate_body_is_accepted(broker):
    with broker.line() as line:
        line.request(
            "POST", f"/agents/{new_name()}/send", {"payload": 1}, [("Expect", "100-continue")]
        )
        assert line.read_answer().status == 202
        assert line.ask("GET", "/health").status == 200


def test_expect_of_a_too_large_body_is_refused_before_the_body(broker):
    with broker.line() as line:
        line.request(
            "POST",
            "/agents/a/send",
            None,
            [("Expect", "100-continue"), ("Content-Length", str(1 << 30))],
        )
        check_problem(line.read_answer(), 413)
        assert line.is_closed()


def test_an_unknown_expectation_is_417(broker):
    with broker.line() as line:
        check_problem(
            line.ask("POST", "/agents/a/send", {"payload": 1}, [("Expect", "a-miracle")]), 417
        )


@pytest.mark.parametrize("cut", [1, 5, 1000])
def test_chunked_request_bodies_are_decoded(broker, cut):
    agent = new_name()
    content = json.dumps({"payload": "é" * 300}, ensure_ascii=False).encode()
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(content[at : at + cut]), content[at : at + cut])
        for at in range(0, len(content), cut)
    )
    with broker.line() as line:
        line.request(
            "POST",
            f"/agents/{agent}/send",
            chunks + b"0\r\n\r\n",
            [("Transfer-Encoding", "chunked")],
        )
        assert line.read_answer().status == 202
        line.request(
            "POST",
            f"/agents/{agent}/send",
            b'E;ext="a;b"\r\n{"payload": 2}\r\n000;x\r\nTrailer: dropped\r\n\r\n',
            [("Transfer-Encoding", "Chunked")],
        )
        assert line.read_answer().status == 202
        assert line.ask("GET", "/health").status == 200
    assert [ticket["payload"] for ticket in broker.pending(agent)] == ["é" * 300, 2]


def test_http_10_closes_unless_keep_alive_is_asked_for(broker):
    with broker.line() as line:
        line.send(b"GET /health HTTP/1.0\r\n\r\n")
        answer = line.read_answer()
        assert (
            answer.status == 200
            and answer.json["status"] == "ok"
            and answer.field("transfer-encoding") is None
        )
        assert line.is_closed()
    with broker.line() as line:
        for _ in range(2):
            answer = line.ask(
                "GET", "/health", fields=[("Connection", "keep-alive")], version="1.0"
            )
            assert answer.status == 200 and answer.field("connection", "").lower() == "keep-alive"


def test_http_10_never_gets_100_continue(broker):
    with broker.line() as line:
        line.request(
            "POST",
            f"/agents/{new_name()}/send",
            {"payload": 1},
            [("Expect", "100-continue")],
            version="1.0",
        )
        assert line.read_head().status == 202


def test_the_absolute_form_is_accepted(broker):
    with broker.line() as line:
        assert line.ask("GET", f"http://127.0.0.1:{broker.port}/health").status == 200
        assert line.ask("GET", f"http://127.0.0.1:{broker.port}/agents?type=none").json == []


def test_the_http_client_of_the_standard_library_can_talk_to_it(broker):
    """It checks the framing independently of our own parser. Many clients use it."""
    connection = http.client.HTTPConnection("127.0.0.1", broker.port, timeout=20)
    try:
        for _ in range(2):
            connection.request(
                "POST",
                f"/agents/{new_name()}/send",
                iter([b'{"payload":', b"1}"]),
                {"Transfer-Encoding": "chunked", "Content-Type": "application/json"},
                encode_chunked=True,
            )
            answer = connection.getresponse()
            assert answer.status == 202 and json.loads(answer.read())["status"] == "pending"
    finally:
        connection.close()


def test_leading_empty_lines_are_tolerated(broker):
    with broker.line() as line:
        line.send(b"\r\n" + request_bytes("GET", "/health", port=broker.port))
        assert line.read_answer().status == 200

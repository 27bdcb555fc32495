"""Well-formed requests, each with the values that the parser must return."""

from __future__ import annotations

import pytest

from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser, RequestStage
from wire.slicing import read_requests, refusal, singly

HOST = b"Host: bridge:5050\r\n"


def only(data: bytes, limits: Limits = Limits()):
    """The single request in these bytes. It must be the same if they arrive byte by byte."""
    parser = RequestParser(limits)
    parser.feed(data)
    request = parser.take_request()
    assert (
        request is not None and parser.take_request() is None and parser.stage is RequestStage.IDLE
    )
    assert read_requests([data], limits) == read_requests(singly(data), limits)
    return request


def test_a_typical_post():
    request = only(
        b"POST /agents/a%20b/send?x=1&y HTTP/1.1\r\n"
        + HOST
        + b"Content-Type:application/json \t\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert (request.method, request.path, request.query, request.version) == (
        "POST",
        "/agents/a%20b/send",
        "x=1&y",
        (1, 1),
    )
    assert request.fields == {
        "host": "bridge:5050",
        "content-type": "application/json",
        "content-length": "5",
    }
    assert (request.authority, request.body, request.keep_alive) == ("bridge:5050", b"hello", True)


@pytest.mark.parametrize(
    "line, path, query, authority",
    [
        (b"GET / HTTP/1.1", "/", "", "bridge:5050"),
        (b"GET /? HTTP/1.1", "/", "", "bridge:5050"),
        (b"GET /a/?b=/c?d HTTP/1.1", "/a/", "b=/c?d", "bridge:5050"),
        (b"GET //twice//slashed HTTP/1.1", "//twice//slashed", "", "bridge:5050"),
        # An absolute target overrides Host (RFC 9112 section 3.2.2).
        (b"GET http://other:80/a?b HTTP/1.1", "/a", "b", "other:80"),
        (b"GET HTTPS://other HTTP/1.1", "/", "", "other"),
        (b"GET http://other?q HTTP/1.1", "/", "q", "other"),
        (b"GET http://[::1]:5050/ HTTP/1.1", "/", "", "[::1]:5050"),
        (b"OPTIONS * HTTP/1.1", "*", "", "bridge:5050"),
        (b"OPTIONS http://other:1 HTTP/1.1", "*", "", "other:1"),  # RFC 9112 3.2.4
        (b"OPTIONS /a HTTP/1.1", "/a", "", "bridge:5050"),
        # An unknown method is well formed; the router decides whether it exists.
        (b"BREW!#$%&'*+-.^_`|~ /pot HTTP/1.1", "/pot", "", "bridge:5050"),
        (b"GET /a%2fb%25 HTTP/1.1", "/a%2fb%25", "", "bridge:5050"),
        (b"GET /-._~!$&'()*+,;=:@ HTTP/1.1", "/-._~!$&'()*+,;=:@", "", "bridge:5050"),
    ],
)
def test_targets(line, path, query, authority):
    request = only(line + b"\r\n" + HOST + b"\r\n")
    assert (request.path, request.query, request.authority) == (path, query, authority)


@pytest.mark.parametrize(
    "host",
    [
        b"a",
        b"a:",
        b"a:1",
        b"127.0.0.1:5050",
        b"[::1]",
        b"[::ffff:1.2.3.4]:99",
        b"xn--a.b_c",
        b"%41",
        b"[v1.a:b]",
    ],
)
def test_hosts(host):
    assert only(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n").authority == host.decode()


def test_http_1_0_needs_neither_host_nor_any_other_field():
    request = only(b"GET / HTTP/1.0\r\n\r\n")
    assert (request.authority, request.fields, request.version, request.keep_alive) == (
        "",
        {},
        (1, 0),
        False,
    )


@pytest.mark.parametrize(
    "version, connection, expected",
    [
        (b"1.1", None, True),
        (b"1.1", b"close", False),
        (b"1.1", b"Upgrade, CLOSE", False),
        (b"1.1", b"closed, not-close", True),  # whole tokens are compared, not substrings
        (b"1.1", b"keep-alive, close", False),
        (b"1.0", None, False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"x,\tkeep-alive", True),
        (b"1.0", b"keep-alive, close", False),
        (b"1.9", None, True),  # a higher minor version is treated as 1.1 (RFC 9110 section 2.5)
    ],
)
def test_keep_alive(version, connection, expected):
    field = b"Connection: " + connection + b"\r\n" if connection is not None else b""
    assert only(b"GET / HTTP/" + version + b"\r\n" + HOST + field + b"\r\n").keep_alive is expected


def test_repeated_fields_become_one_list():
    assert (
        only(
            b"GET / HTTP/1.1\r\n" + HOST + b"Accept: a\r\nX: 1\r\nACCEPT:b\r\nAccept: \r\n\r\n"
        ).fields["accept"]
        == "a, b, "
    )


def test_only_optional_whitespace_is_stripped_from_values():
    fields = only(
        b"GET / HTTP/1.1\r\n" + HOST + b"A: \t in  ner\t \r\nB:\x85\xa0\xff\r\nC:\r\n\r\n"
    ).fields
    assert (fields["a"], fields["b"], fields["c"]) == ("in  ner", "\x85\xa0\xff", "")


@pytest.mark.parametrize("length", [b"0", b"00", b"3", b"0003", b"0" * 40 + b"3"])
def test_lengths(length):
    assert (
        only(
            b"POST / HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: "
            + length
            + b"\r\n\r\n"
            + b"abc"[: int(length)]
        ).body
        == b"abc"[: int(length)]
    )


@pytest.mark.parametrize(
    "coded",
    [
        b"3\r\nabc\r\n0\r\n\r\n",
        b"1\r\na\r\n002\r\nbc\r\n000\r\n\r\n",
        b'3;a;b=c;d="e;\\"f" ; g = h\r\nabc\r\n0;last\r\nTrailer: x\r\nHost: evil\r\n\r\n',
    ],
)
def test_chunked_bodies_are_decoded_and_trailers_never_become_fields(coded):
    request = only(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \tChunked\r\n\r\n" + coded)
    assert request.body == b"abc"
    assert (
        request.fields == {"host": "bridge:5050", "transfer-encoding": "Chunked"}
        and request.authority == "bridge:5050"
    )


def test_pipelined_requests_are_returned_in_order_and_separately():
    stream = b"\r\n".join(
        [
            b"POST /1 HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n\r\nGET ",
            b"GET /2 HTTP/1.1\r\n" + HOST,
            b"\r\nPOST /3 HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HEAD /4 HTTP/1.0\r\n\r\n",
        ]
    )
    for slices in (
        [stream],
        singly(stream),
        *([stream[:place], stream[place:]] for place in range(len(stream))),
    ):
        record = read_requests(slices)
        assert [(entry[1], entry[6]) for entry in record[:-1]] == [
            ("/1", b"GET "),
            ("/2", b""),
            ("/3", b"abc"),
            ("/4", b""),
        ]
        assert record[-1] is RequestStage.IDLE


@pytest.mark.parametrize("count, fine", [(0, True), (1, True), (4, True), (5, False), (500, False)])
def test_at_most_four_empty_lines_before_a_request_are_skipped(count, fine):
    data = b"\r\n" * count + b"GET / HTTP/1.0\r\n\r\n"
    if fine:
        assert only(data).path == "/"
    else:
        assert refusal(data).status == 400


def test_empty_lines_are_counted_separately_for_each_request():
    one = b"\r\n" * 4 + b"GET / HTTP/1.0\r\n\r\n"
    assert len(read_requests([one * 3])) == len(read_requests(singly(one * 3))) == 4


def test_the_stages_of_a_request():
    parser, seen = RequestParser(Limits()), []
    for piece in [
        b"",
        b"\r\n",
        b"G",
        b"ET / HTTP/1.1\r\n" + HOST,
        b"Content-Length: 2\r\n\r\n",
        b"a",
        b"b",
        b"G",
    ]:
        parser.feed(piece)
        taken = parser.take_request()
        seen.append(taken.body if taken is not None else parser.stage)
    assert seen == [
        RequestStage.IDLE,
        RequestStage.IDLE,
        RequestStage.HEAD,
        RequestStage.HEAD,
        RequestStage.BODY,
        RequestStage.BODY,
        b"ab",
        RequestStage.HEAD,
    ]


CONTINUE = b"PUT / HTTP/1.1\r\n" + HOST + b"Expect: 100-Continue\r\n"


def test_100_continue_is_due_once_after_the_head_and_before_the_body():
    parser = RequestParser(Limits())
    parser.feed(CONTINUE)
    assert parser.take_request() is None and not parser.take_continue()
    parser.feed(b"Content-Length: 1\r\n\r\n")
    assert parser.take_request() is None
    assert parser.take_continue() and not parser.take_continue()
    parser.feed(b"a")
    assert parser.take_request().body == b"a" and not parser.take_continue()


@pytest.mark.parametrize(
    "data",
    [
        # Part of the body has already arrived (RFC 9110 section 10.1.1).
        CONTINUE + b"Content-Length: 2\r\n\r\na",
        CONTINUE + b"Content-Length: 0\r\n\r\n",
        CONTINUE + b"\r\n",
        CONTINUE.replace(b"1.1", b"1.0") + b"Content-Length: 2\r\n\r\n",
        CONTINUE + b"Transfer-Encoding: chunked\r\n\r\n1",
    ],
)
def test_100_continue_is_not_due(data):
    parser = RequestParser(Limits())
    parser.feed(data)
    parser.take_request()
    assert not parser.take_continue()


def test_a_body_that_arrives_before_100_continue_is_sent_makes_it_unnecessary():
    parser = RequestParser(Limits())
    parser.feed(CONTINUE + b"Transfer-Encoding: chunked\r\n\r\n")
    assert parser.take_request() is None
    parser.feed(b"1\r\n")
    assert parser.take_request() is None and not parser.take_continue()


@pytest.mark.parametrize("size, status", [(255, None), (256, None), (257, 431)])
def test_a_head_of_exactly_the_limit_is_accepted(size, status):
    limits = Limits(head_max=256, body_max=8)
    head = b"GET / HTTP/1.1\r\n" + HOST + b"X: "
    data = head + b"x" * (size - len(head) - 4) + b"\r\n\r\n"
    assert len(data) == size
    if status is None:
        only(data, limits)
    else:
        assert refusal(data, limits).status == status


def test_the_limits_of_the_contract():
    """Request line and header block 16 KiB, body 1 MiB."""
    assert (Limits().head_max, Limits().body_max) == (16 * 1024, 1024 * 1024)


def test_a_body_of_exactly_the_limit_is_accepted():
    limits = Limits(head_max=256, body_max=8)
    head = b"POST / HTTP/1.1\r\n" + HOST
    assert only(head + b"Content-Length: 8\r\n\r\n12345678", limits).body == b"12345678"
    assert (
        only(
            head + b"Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n4\r\n5678\r\n0\r\n\r\n", limits
        ).body
        == b"12345678"
    )
    # Refused before a byte of the body has arrived.
    assert refusal(head + b"Content-Length: 9\r\n\r\n", limits).status == 413
    assert (
        refusal(head + b"Transfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n5\r\n", limits).status
        == 413
    )


def test_memory_is_bounded_when_no_request_is_taken():
    limits = Limits(head_max=256, body_max=8)
    parser = RequestParser(limits)
    for _ in range(1000):
        parser.feed(b"GET / HTTP/1.0\r\n\r\n")
        assert parser.held_bytes <= 256 + 8 + 18
    with pytest.raises(PeerError, match="ahead") as caught:
        parser.take_request()
    assert caught.value.status == 400

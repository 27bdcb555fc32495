"""Requests that must be refused, each with its status: known smuggling attacks and plain garbage.

A complete second request follows each one. The parser must never return it: the bytes after a
refused request are not a request (RFC 9112 section 11.2, request smuggling).
"""

from __future__ import annotations

import pytest

from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser, RequestStage
from wire.slicing import refusal

SMUGGLED = b"GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"
LIMITS = Limits(head_max=1024, body_max=256)


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *lines, b"", b""])


REQUEST_LINES = [
    (400, b"GET /"),  # HTTP/0.9
    (400, b"GET"),
    (400, b""),
    (400, b" GET / HTTP/1.1"),
    (400, b"GET  / HTTP/1.1"),
    (400, b"GET /  HTTP/1.1"),
    (400, b"GET / HTTP/1.1 "),
    (400, b"GET\t/\tHTTP/1.1"),
    (400, b"GET /a b HTTP/1.1"),
    (400, b"G@T / HTTP/1.1"),
    (400, b"G\xc3\x89T / HTTP/1.1"),
    (400, b"GET / http/1.1"),
    (400, b"GET / HTTP/1"),
    (400, b"GET / HTTP/1.10"),
    (400, b"GET / HTTP/11.1"),
    (400, b"GET / HTTP/+1.1"),
    (400, b"GET / HTTP/1.\xb2"),  # a digit in Unicode, not in ASCII
    (400, b"GET / HTTP/1.1\x00"),
    (400, b"GET / XTTP/1.1"),
    (505, b"GET / HTTP/2.0"),
    (505, b"PRI * HTTP/2.0"),
    (505, b"GET / HTTP/0.9"),
    (505, b"GET / HTTP/3.1"),
    (400, b"GET * HTTP/1.1"),
    (400, b"GET agents HTTP/1.1"),
    (400, b"GET a:80 HTTP/1.1"),
    (400, b"GET ftp://a/ HTTP/1.1"),
    (400, b"GET http:///a HTTP/1.1"),
    (400, b"GET http://u@a/ HTTP/1.1"),  # RFC 9110 4.2.4
    (400, b"GET http://a:b/ HTTP/1.1"),
    (400, b"GET http://a/%zz HTTP/1.1"),
    (400, b"GET /#fragment HTTP/1.1"),
    (400, b"GET /%zz HTTP/1.1"),
    (400, b"GET /%2 HTTP/1.1"),
    (400, b"GET /% HTTP/1.1"),
    (400, b"GET /?%+1 HTTP/1.1"),
    (400, b"GET /\x7f HTTP/1.1"),
    (400, b"GET /\x00 HTTP/1.1"),
    (400, b"GET /\xc3\xa9 HTTP/1.1"),
    (400, b'GET /" HTTP/1.1'),
    (400, b"GET /<> HTTP/1.1"),
    (400, b"GET /[a] HTTP/1.1"),
    (400, b"GET /a\\b HTTP/1.1"),
    (400, b"GET /?{a|b}^` HTTP/1.1"),
    (501, b"CONNECT a:443 HTTP/1.1"),
    (501, b"CONNECT / HTTP/1.1"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),  # a TLS ClientHello
]


@pytest.mark.parametrize("status, line", REQUEST_LINES)
def test_request_lines(status, line):
    error = refusal(line + b"\r\nHost: a\r\n\r\n" + SMUGGLED)
    assert error.status == status, error.detail


FIELDS = [
    (400, b"X: a\nY: b"),
    (400, b"X: a\rY: b"),
    (400, b"X: a\r\r\nY: b"),
    (400, b"X: a\n\r\nY: b"),
    (400, b"X: a\n\nY: b"),
    (400, b"X: a\r\n folded"),
    (400, b"X: a\r\n\tfolded"),
    (400, b" X: a"),
    (400, b"X : a"),
    (400, b"X\t: a"),
    (400, b"Content-Length : 5"),
    (400, b"Transfer-Encoding : chunked"),
    (400, b"Transfer-Encoding\x0b: chunked"),
    (400, b"Transfer-Encoding:\x0bchunked"),
    (400, b"Transfer-Encoding:\x0cchunked"),
    (400, b"Transfer-Encoding\r\n : chunked"),
    (400, b"Transfer-Encoding:\r\n chunked"),
    (400, b"X"),
    (400, b": a"),
    (400, b"X\x00: a"),
    (400, b"X: \x00"),
    (400, b"X: \x01"),
    (400, b"X: \x1b[31m"),
    (400, b"X: \x7f"),
    (400, b"X(y): a"),
    (400, b"\xe9: a"),
    (400, b"Host: b"),  # a second Host
    (400, b"Host: a"),  # a second Host, even with the same value
    (400, b"host:a"),
]


@pytest.mark.parametrize("status, line", FIELDS)
def test_field_lines(status, line):
    error = refusal(head(line) + SMUGGLED)
    assert error.status == status, error.detail


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"a b",
        b"a,b c",
        b"a, a",
        b"a/b",
        b"a@b",
        b"user:pw@a",
        b"a:b",
        b"a:1:2",
        b"[::1",
        b"::1",
        b"[g]",
        b"a?b",
        b"a%zz",
        b"http://a",
        b"\xe9",
    ],
)
@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_invalid_hosts(host, version):
    assert (
        refusal(b"GET / HTTP/" + version + b"\r\nHost: " + host + b"\r\n\r\n" + SMUGGLED).status
        == 400
    )


def test_a_missing_host():
    assert refusal(b"GET / HTTP/1.1\r\n\r\n" + SMUGGLED).status == 400
    # Host is required with an absolute target too (RFC 9112 section 3.2).
    assert refusal(b"GET http://a/ HTTP/1.1\r\n\r\n" + SMUGGLED).status == 400


FRAMINGS = [
    # A Content-Length that is not 1*DIGIT (RFC 9110 section 8.6)
    *[
        (400, [b"Content-Length: " + value])
        for value in [
            b"",
            b"+5",
            b"-5",
            b"0x5",
            b"5,5",
            b"5, 5",
            b"5 5",
            b"5.0",
            b"1e1",
            b"five",
            b"5;",
            b'"5"',
            b"\xb2",
            b"5_0",
        ]
    ],
    (400, [b"Content-Length: 5", b"Content-Length: 5"]),
    (400, [b"Content-Length: 5", b"Content-Length: 6"]),
    (400, [b"Content-Length:", b"Content-Length: 5"]),
    (413, [b"Content-Length: 257"]),
    (413, [b"Content-Length: 18446744073709551621"]),  # 2**64 + 5
    (413, [b"Content-Length: " + b"9" * 900]),
    # CL.TE, TE.CL (RFC 9112 section 6.1)
    (400, [b"Content-Length: 5", b"Transfer-Encoding: chunked"]),
    (400, [b"Transfer-Encoding: chunked", b"Content-Length: 5"]),
    (400, [b"Transfer-Encoding: chunked", b"Content-Length: 0"]),
    (400, [b"Transfer-Encoding: xchunked", b"Content-Length: 5"]),
    (400, [b"transfer-encoding: identity", b"content-length: 5"]),
    # TE.TE
    (400, [b"Transfer-Encoding: chunked, chunked"]),
    (400, [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"]),
    (400, [b"Transfer-Encoding: chunked, identity"]),
    (400, [b"Transfer-Encoding: chunked", b"Transfer-Encoding: cow"]),
    (400, [b"Transfer-Encoding: chunked, gzip"]),
    (400, [b"Transfer-Encoding:"]),
    (400, [b"Transfer-Encoding: ,chunked"]),
    (400, [b"Transfer-Encoding: chunked,"]),
    (400, [b"Transfer-Encoding: chunked;q=1"]),
    (400, [b"Transfer-Encoding: chunked chunked"]),
    (400, [b'Transfer-Encoding: "chunked"']),
    (400, [b"Transfer-Encoding: chunked\xa0"]),
    (400, [b"Transfer-Encoding: [chunked]"]),
    (501, [b"Transfer-Encoding: xchunked"]),
    (501, [b"Transfer-Encoding: identity"]),
    (501, [b"Transfer-Encoding: gzip"]),
    (501, [b"Transfer-Encoding: gzip, chunked"]),
    (501, [b"Transfer-Encoding: cow", b"Transfer-Encoding: chunked"]),
    (501, [b"Transfer-Encoding: chunke"]),
    # Expect (RFC 9110 section 10.1.1)
    (417, [b"Expect: 200-ok"]),
    (417, [b"Expect: 100-continue, x"]),
    (417, [b"Expect:"]),
]


@pytest.mark.parametrize("status, lines", FRAMINGS)
def test_framings(status, lines):
    error = refusal(head(*lines) + b"0\r\n\r\n" + SMUGGLED, LIMITS)
    assert error.status == status, error.detail


def test_transfer_encoding_in_http_1_0():
    assert (
        refusal(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED).status
        == 400
    )


@pytest.mark.parametrize(
    "status, body",
    [
        (400, b"\r\n"),
        (400, b"g\r\n"),
        (400, b"-1\r\n"),
        (400, b"+5\r\nhello\r\n"),
        (400, b"0x5\r\nhello\r\n"),
        (400, b"5 \r\nhello\r\n"),
        (400, b" 5\r\nhello\r\n"),
        (400, b"5_0\r\n"),
        (400, b"5,5\r\n"),
        (400, b"5.\r\n"),
        (400, b"5\nhello\n0\n\n"),
        (400, b"5\rhello"),
        (400, b"5\r\nhello0\r\n\r\n"),  # no CRLF after the data
        (400, b"5\r\nhell\r\n0\r\n\r\n"),  # the size exceeds the data
        (400, b"5\r\nhello\n0\r\n\r\n"),
        (400, b"5\r\nhello\r0\r\n\r\n"),
        (400, b"00000000000000005\r\nhello\r\n"),  # 17 digits
        (400, b"1" + b"0" * 400 + b"\r\n"),
        (413, b"ffffffffffffffff\r\n"),
        (413, b"8000000000000000\r\n"),
        (413, b"101\r\n"),
        (413, b"100\r\n" + b"x" * 256 + b"\r\n1\r\n"),
        (400, b"5;\r\nhello\r\n"),
        (400, b"5;a b\r\nhello\r\n"),
        (400, b"5;a=\r\nhello\r\n"),
        (400, b"5;=b\r\nhello\r\n"),
        (400, b'5;a="b\r\nhello\r\n'),
        (400, b"5;a\nb\r\nhello\r\n"),  # a bare LF in an extension: an attack known since 2025
        (400, b"5;a\rb\r\nhello\r\n"),
        (400, b"5;a\x00\r\nhello\r\n"),
        (400, b"5;" + b"a" * 2000),  # floods: one long extension, and many short ones
        (400, b"1;abcdefg\r\nx\r\n" * 200),
        (400, b"0\r\nX : y\r\n\r\n"),
        (400, b"0\r\n folded\r\n\r\n"),
        (400, b"0\r\nnonsense\r\n\r\n"),
        (400, b"0\r\nX: y\n\r\n"),
        (400, b"0\r\nX: \x00\r\n\r\n"),
        (431, b"0\r\n" + b"X: yyyyyyyy\r\n" * 200),
        (431, b"0\r\nX: " + b"y" * 2000),
    ],
)
def test_chunked_bodies(status, body):
    error = refusal(head(b"Transfer-Encoding: chunked") + body + SMUGGLED, LIMITS)
    assert error.status == status, error.detail


@pytest.mark.parametrize(
    "status, data",
    [
        (414, b"GET /" + b"a" * 2000),
        (414, b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
        (414, b"A" * 1024),
        (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 2000),
        (431, b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 500),
        (431, b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 500 + b"Host: a\r\n\r\n"),
    ],
)
def test_overlong_heads(status, data):
    error = refusal(data, LIMITS)
    assert error.status == status, error.detail


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"G\n",
        b"GET / HTTP/1.1\n",
        b"\rG",
        b"GET / HTTP/1.1\r\nX: a\n",
        b"GET \x00",
        b"GET / HTTP/2.0\r\n",
        b"GET / HTTP/1.1\r\nX\r\n",
    ],
)
def test_an_error_is_raised_before_the_head_is_complete(data):
    """Otherwise a peer that ends lines with a bare LF would get no response until a deadline."""
    assert refusal(data).status in (400, 505)


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"GET / HTTP/2.0\r\n\r\n",
        head(b"Content-Length: 5,5"),
        head(b"Transfer-Encoding: chunked") + b"x\r\n",
    ],
)
def test_the_parser_stays_in_its_error_state(data):
    parser = RequestParser(LIMITS)
    parser.feed(data)
    with pytest.raises(PeerError) as first:
        parser.take_request()
    for _ in range(3):
        parser.feed(SMUGGLED)
        assert (
            parser.held_bytes == 0
            and not parser.take_continue()
            and parser.stage is RequestStage.IDLE
        )
        with pytest.raises(PeerError) as again:
            parser.take_request()
        assert (again.value.status, again.value.detail) == (first.value.status, first.value.detail)
        assert again.value is not first.value

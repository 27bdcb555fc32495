"""`wire` agrees with http.client and http.server of the standard library.

They share no code with `wire`. They accept more than it does, so only well-formed messages are
compared. They must read what `wire` writes, and `wire` must read what they write.
"""

from __future__ import annotations

import http.client
import io
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.wire.request import RequestStage
from bridge.wire.response import LAST_CHUNK, encode_chunk, encode_request, encode_response_head
from wire.slicing import read_requests, read_responses
from wire.test_request_laws import FIELDS


class OneWay:
    """A fake socket: it records what is sent, and its file returns the prepared bytes."""

    def __init__(self, prepared: bytes = b"") -> None:
        self._prepared = prepared
        self.sent = b""

    def sendall(self, data) -> None:
        self.sent += bytes(data)

    def makefile(self, mode: str, buffering: int = -1) -> io.BytesIO:
        return io.BytesIO(self._prepared)


def written_by_http_client(method: str, target: str, body, fields: dict) -> bytes:
    connection = http.client.HTTPConnection("bridge", 5050)
    connection.sock = OneWay()
    chunked = body is not None and not isinstance(body, bytes)
    connection.request(method, target, body, fields, encode_chunked=chunked)
    return connection.sock.sent


class Judge(BaseHTTPRequestHandler):
    """http.server's own parser, without its server."""

    def __init__(self, data: bytes) -> None:
        self.rfile, self.wfile = io.BytesIO(data), io.BytesIO()
        self.raw_requestline = self.rfile.readline()
        self.accepted = self.parse_request()

    def log_message(self, format: str, *args: object) -> None:
        """The inherited method would write to stderr."""


@given(
    st.sampled_from(["GET", "POST", "DELETE", "HEAD"]), FIELDS, st.none() | st.binary(max_size=100)
)
def test_we_read_what_http_client_writes(method, fields, body):
    (request, stage) = read_requests([written_by_http_client(method, "/a%20b?c=d", body, fields)])
    assert (
        request[:4] == (method, "/a%20b", "c=d", (1, 1))
        and request[5:] == ("bridge:5050", body or b"", True)
        and stage is RequestStage.IDLE
    )
    assert {name: request[4][name.lower()] for name in fields} == fields


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=5))
def test_we_read_the_chunks_of_http_client(chunks):
    (request, _) = read_requests(
        [written_by_http_client("POST", "/", iter(chunks), {"Transfer-Encoding": "chunked"})]
    )
    assert request[6] == b"".join(chunks)


@given(st.sampled_from(["GET", "POST", "DELETE"]), FIELDS, st.none() | st.binary(max_size=100))
def test_http_server_reads_what_we_write(method, fields, body):
    judge = Judge(encode_request(method, "/a%20b?c=d", "bridge:5050", fields, body))
    assert judge.accepted and (judge.command, judge.path, judge.request_version) == (
        method,
        "/a%20b?c=d",
        "HTTP/1.1",
    )
    assert judge.headers["host"] == "bridge:5050" and judge.rfile.read() == (body or b"")
    assert judge.headers["content-length"] == (None if body is None else str(len(body)))
    assert len(judge.headers) == len(fields) + 1 + (body is not None)


@given(
    st.sampled_from([200, 202, 404, 503]),
    FIELDS,
    st.lists(st.binary(max_size=60), max_size=4),
    st.sampled_from(["length", "chunked", "close"]),
)
def test_http_client_reads_what_we_write(status, fields, pieces, framing):
    body = b"".join(pieces)
    framing_fields = {
        "length": {"Content-Length": str(len(body))},
        "chunked": {"Transfer-Encoding": "chunked"},
        "close": {},
    }[framing]
    coded = b"".join(map(encode_chunk, pieces)) + LAST_CHUNK if framing == "chunked" else body
    wire = encode_response_head(status, {**fields, **framing_fields}) + coded
    response = http.client.HTTPResponse(OneWay(wire))
    response.begin()
    assert (response.status, response.read(), len(response.getheaders())) == (
        status,
        body,
        len(fields) + len(framing_fields),
    )
    response.close()
    ours = read_responses([wire], eof=True)
    assert (
        ours[0][0] == status
        and b"".join(entry for entry in ours if isinstance(entry, bytes)) == body
        and ours[-1] == "end"
    )


SMUGGLED = [
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
]


@pytest.mark.parametrize("data", SMUGGLED)
def test_messages_that_http_server_accepts_and_wire_refuses(data):
    """Why bridge has its own parser: the one in the standard library accepts each of these."""
    assert Judge(data).accepted
    (outcome,) = read_requests([data])
    assert outcome[0] == 400

"""The laws of a wire module, for requests.

Law 1, slices: any cutting of the same bytes gives the same result.
Law 2, round trip: the parser is the inverse of the encoder.
Law 3, closed errors: arbitrary bytes raise only PeerError, and the memory held is bounded.
Law 4, table: each state accepts or refuses each byte, and an error state is final.
"""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser, RequestStage, decode_query, decode_segments
from bridge.wire.response import encode_chunk, encode_request
from wire.slicing import SMALL, cut, places, read_requests, singly

TOKEN_TEXT = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=12)
VALUE_TEXT = st.text(
    st.characters(max_codepoint=255).filter(lambda c: c == "\t" or c >= " " and c != "\x7f"),
    max_size=30,
).map(lambda v: v.strip(" \t"))
FIELDS = st.dictionaries(TOKEN_TEXT.map(lambda name: "x-" + name), VALUE_TEXT, max_size=5).filter(
    lambda fields: len({name.lower() for name in fields}) == len(fields)
)

# Parts of well-formed and malformed requests, so that random examples reach every branch.
PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a%20b?c=d HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET http://b/ HTTP/1.0\r\n",
        b"GET / HTTP/2.0\r\n",
        b"Host: a\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 70\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"X: " + b"y" * 100 + b"\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\r",
        b"\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"\x00",
        b":",
        b" ",
    ]
)
SOUP = st.lists(PIECES | st.binary(max_size=6), max_size=20).map(b"".join)
GOOD = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x\r\nhello\r\n1\r\n \r\n0\r\nX: y\r\n\r\n",
        b"\r\nHEAD http://a/?q HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ]
)


@st.composite
def nearly_good(draw) -> bytes:
    """Good requests in which a few bytes are changed, inserted or removed."""
    stream = bytearray(b"".join(draw(st.lists(GOOD, min_size=1, max_size=4))))
    for place, removed, put in draw(
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(0, 2), st.binary(max_size=2)), max_size=3
        )
    ):
        begin = place % (len(stream) + 1)
        stream[begin : begin + removed] = put
    return bytes(stream)


STREAMS = SOUP | nearly_good()


@settings(max_examples=300)
@given(STREAMS, places)
@example(b"GET / HTTP/2.0\r\nX: a\nb\r\n\r\n", [])
@example(b"A" * 256 + b"\r\n\r\n", [])
@example(b"\r\n" * 4 + b"\r", [9])
def test_slicing_does_not_change_the_result(stream, at):
    """Law 1. It also shows that the two code paths agree.

    A head that arrives whole takes the fast path, and one in single bytes the careful path.
    """
    whole = read_requests([stream], SMALL)
    assert read_requests(cut(stream, at), SMALL) == whole
    assert read_requests(singly(stream), SMALL) == whole


@given(
    st.sampled_from(["GET", "POST", "M-SEARCH"]),
    FIELDS,
    st.none() | st.binary(max_size=300),
    places,
    st.booleans(),
)
def test_an_encoded_request_is_parsed_unchanged(method, fields, body, at, close):
    """Law 2, for heads and bodies with Content-Length. The inverse is the client's encoder."""
    if close:
        fields = {**fields, "Connection": "close"}
    wire = encode_request(method, "/agents/a%20b?x=%25", "bridge:5050", fields, body)
    record = read_requests(cut(wire * 2, at))
    length = {} if body is None else {"content-length": str(len(body))}
    expected = {
        "host": "bridge:5050",
        **{name.lower(): value for name, value in fields.items()},
        **length,
    }
    one = (
        method,
        "/agents/a%20b",
        "x=%25",
        (1, 1),
        expected,
        "bridge:5050",
        body or b"",
        not close,
    )
    assert record == [one, one, RequestStage.IDLE]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), places)
def test_encoded_chunks_are_parsed_unchanged(chunks, at):
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = head + b"".join(map(encode_chunk, chunks)) + b"0\r\n\r\n"
    record = read_requests(cut(wire, at))
    assert len(record) == 2 and record[0][6] == b"".join(chunks)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=400), max_size=12))
def test_arbitrary_bytes_raise_only_peer_errors_and_memory_is_bounded(slices):
    """Law 3. `read_requests` asserts the bound, and does not catch any other exception."""
    read_requests(slices, SMALL)


def hostile(kind: str):
    """Endless slices, by which a hostile peer could try to exhaust memory."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\n"
    if kind == "chunks of one byte":
        yield head + b"Transfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1\r\nx\r\n" * 500
    elif kind == "trailers":
        yield head + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
        while True:
            yield b"X: y\r\n" * 500
    elif kind == "extensions":
        yield head + b"Transfer-Encoding: chunked\r\n\r\n1"
        while True:
            yield b";a=b" * 500
    elif kind == "fields":
        yield head
        while True:
            yield b"X: y\r\n" * 500
    elif kind == "empty lines":
        while True:
            yield b"\r\n" * 500
    else:
        while True:
            yield b"x" * 4000


@pytest.mark.parametrize(
    "kind", ["chunks of one byte", "trailers", "extensions", "fields", "empty lines", "a line"]
)
def test_allocated_memory_is_bounded(kind):
    """Law 3, measured by the allocator instead of the parser's own `held_bytes`.

    The parser gets up to 4 MB of each kind, and memory stays below a few times the limits.
    """
    limits = Limits(head_max=16384, body_max=65536)
    parser, slices, fed = RequestParser(limits), hostile(kind), 0
    tracemalloc.start()
    try:
        with pytest.raises(PeerError):
            while fed < 4_000_000:
                piece = next(slices)
                fed += len(piece)
                parser.feed(piece)
                assert parser.take_request() is None
        assert tracemalloc.get_traced_memory()[1] < 4 * (limits.head_max + limits.body_max)
    finally:
        tracemalloc.stop()


def test_held_bytes_counts_the_bytes_that_are_held():
    parser, seen = RequestParser(Limits()), []
    for piece in [
        b"POST / HTTP/1.1\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhe",
        b"llo\r\n1",
        b"\r\nx\r\n0\r\n\r\nGET",
    ]:
        parser.feed(piece)
        parser.take_request()
        seen.append(parser.held_bytes)
    assert seen == [17, 0, 2, 5 + 1, 3]


@given(STREAMS, st.lists(STREAMS, max_size=4))
def test_after_an_error_no_request_is_returned(stream, more):
    """Law 4: the error state is final, and it holds no bytes."""
    parser = RequestParser(SMALL)
    parser.feed(stream)
    try:
        while parser.take_request() is not None:
            pass
    except PeerError as error:
        for piece in more:
            parser.feed(piece)
            assert parser.held_bytes == 0
            with pytest.raises(PeerError) as again:
                parser.take_request()
            assert (again.value.status, again.value.detail) == (error.status, error.detail)


HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
STATES = {
    "idle": b"",
    "after a CR": b"\r",
    "method": b"PO",
    "target": b"POST /",
    "version": b"POST / HTTP/1.",
    "line end": b"POST / HTTP/1.1\r",
    "name": HEAD + b"X",
    "value": HEAD + b"X: y",
    "head end": HEAD + b"\r",
    "body": HEAD + b"Content-Length: 5\r\n\r\nhe",
    "chunk size": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5",
    "chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;a",
    "chunk line end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r",
    "chunk data": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
    "chunk data end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello",
    "chunk data line end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r",
    "trailer": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    "trailer end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r",
}
# The bytes that each state must refuse at once. It must accept all others.
CONTROLS = [*range(9), 10, *range(11, 13), *range(14, 32), 127]
NOT_LF = [byte for byte in range(256) if byte != 10]
REFUSED = {
    "idle": CONTROLS,
    "method": CONTROLS,
    "target": CONTROLS,
    "version": CONTROLS,
    "name": CONTROLS,
    "value": CONTROLS,
    "body": [],
    "chunk size": CONTROLS,
    "chunk extension": CONTROLS,
    "chunk data": [],
    "chunk data end": [byte for byte in range(256) if byte != 13],
    "trailer": CONTROLS,
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_accepts_or_refuses_every_byte(state):
    """Law 4. REFUSED lists the refused bytes; any other exception fails the test."""
    refused = []
    for byte in range(256):
        parser = RequestParser(Limits())
        parser.feed(STATES[state])
        assert parser.take_request() is None
        parser.feed(bytes([byte]))
        try:
            parser.take_request()
        except PeerError as error:
            assert error.status == 400
            refused.append(byte)
    assert refused == REFUSED.get(state, NOT_LF)


@given(st.lists(st.text(max_size=12).filter(lambda text: "\0" not in text), min_size=1, max_size=5))
def test_segments_are_decoded_once(segments):
    path = "/" + "/".join(
        "".join(f"%{byte:02X}" for byte in segment.encode("utf-8")) for segment in segments
    )
    assert decode_segments(path) == segments


@given(st.text(st.characters(max_codepoint=127), max_size=30) | st.text("%0f/a2+&=", max_size=30))
def test_any_text_is_decoded_or_refused(text):
    for decode in (decode_segments, decode_query):
        try:
            decode(text)
        except PeerError as error:
            assert error.status == 400

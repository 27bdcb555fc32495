"""Responses: how each kind of body ends, and which responses are refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire.response import (
    LAST_CHUNK,
    BodyData,
    BodyEnd,
    Limits,
    ResponseParser,
    encode_chunk,
    encode_response_head,
)
from wire.slicing import SMALL, cut, places, read_responses, singly
from wire.test_request_laws import FIELDS

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n"
CLOSE = OK + b"\r\nhello"
CUT_SHORT = (502, "the connection closed in the middle of a response")


def read(stream: bytes, *methods: str, eof: bool = True, limits: Limits = Limits()) -> list:
    """The record of these bytes. It must be the same if they arrive byte by byte."""
    record = read_responses([stream], methods or ("GET",), limits, eof)
    assert read_responses(singly(stream), methods or ("GET",), limits, eof) == record
    return record


@pytest.mark.parametrize(
    "stream, method, expected",
    [
        (LENGTH, "GET", [(200, {"content-length": "5"}, True), b"hello", "end"]),
        (LENGTH, "POST", [(200, {"content-length": "5"}, True), b"hello", "end"]),
        (CHUNKED, "GET", [(200, {"transfer-encoding": "chunked"}, True), b"hello!", "end"]),
        (CLOSE, "GET", [(200, {}, False), b"hello", "end"]),
        (OK + b"\r\n", "GET", [(200, {}, False), "end"]),
        (OK + b"Content-Length: 0\r\n\r\n", "GET", [(200, {"content-length": "0"}, True), "end"]),
        (OK + b"Content-Length: 5\r\n\r\n", "HEAD", [(200, {"content-length": "5"}, True), "end"]),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n",
            "HEAD",
            [(200, {"transfer-encoding": "chunked"}, True), "end"],
        ),
        (OK + b"\r\n", "HEAD", [(200, {}, True), "end"]),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", [(204, {}, True), "end"]),
        (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            "GET",
            [(304, {"content-length": "5"}, True), "end"],
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "GET", [(200, {}, False), b"hello", "end"]),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
            "GET",
            [(200, {"connection": "keep-alive", "content-length": "1"}, True), b"x", "end"],
        ),
        (
            OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
            "GET",
            [(200, {"connection": "close", "content-length": "0"}, False), "end"],
        ),
        # Neither a reason phrase nor the space before it.
        (
            b"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n",
            "GET",
            [(404, {"content-length": "0"}, True), "end"],
        ),
        (
            b"HTTP/1.1 599 \xe9\r\nContent-Length: 0\r\n\r\n",
            "GET",
            [(599, {"content-length": "0"}, True), "end"],
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH,
            "GET",
            [(200, {"content-length": "5"}, True), b"hello", "end"],
        ),
    ],
)
def test_bodies_and_their_ends(stream, method, expected):
    assert read(stream, method) == expected


def test_several_responses_on_one_connection():
    stream = (
        LENGTH + CHUNKED + OK + b"Content-Length: 5\r\n\r\n" + b"HTTP/1.1 204 None\r\n\r\n" + CLOSE
    )
    methods = ("GET", "GET", "HEAD", "POST", "GET")
    record = read(stream, *methods)
    for place in range(len(stream)):
        assert read_responses([stream[:place], stream[place:]], methods, eof=True) == record, place
    assert [entry for entry in record if not isinstance(entry, tuple)] == [
        b"hello",
        "end",
        b"hello!",
        "end",
        "end",
        "end",
        b"hello",
        "end",
    ]


@pytest.mark.parametrize(
    "stream",
    [
        b"HTTP/1.1 2",
        OK,
        OK + b"Content-Length: 5\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        *[CHUNKED[:end] for end in range(len(OK), len(CHUNKED))],
    ],
)
def test_a_truncated_response_is_an_error(stream):
    assert read(stream)[-1] == CUT_SHORT


def test_a_close_before_a_response_is_an_error():
    assert read(b"") == [(502, "the connection closed before a response")]
    assert read(LENGTH, "GET", "GET")[-1] == (502, "the connection closed before a response")


@pytest.mark.parametrize(
    "stream",
    [
        b"\r\n" + LENGTH,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + LENGTH,
        OK + b"X : y\r\n\r\n",
        OK + b"X: y\r\n z\r\n\r\n",
        OK + b"X: \x00\r\n\r\n",
        OK + b"X: y\nZ: z\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        OK + b"X: " + b"y" * 20000,
        b"HTTP/1.1 200 " + b"y" * 20000,
    ],
)
def test_malformed_responses_are_refused(stream):
    record = read(stream)
    assert record[-1][0] == 502 and record[-1] != CUT_SHORT


def test_at_most_eight_interim_responses_are_skipped():
    assert read(b"HTTP/1.1 102 Processing\r\n\r\n" * 8 + LENGTH)[0][0] == 200
    assert read(b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + LENGTH)[0][0] == 502


def test_body_data_is_returned_at_once_and_not_held():
    parser = ResponseParser(SMALL)
    parser.feed(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    parser.next_event()
    for _ in range(200):
        for piece in (b"3e", b"8\r", b"\n" + b"x" * 1000, b"\r\n"):
            parser.feed(piece)
            event = parser.next_event()
            assert event == (BodyData(b"x" * 1000) if b"x" in piece else None)
            assert parser.next_event() is None and parser.held_bytes == {b"3e": 2, b"8\r": 4}.get(
                piece, 0
            )


def test_unsolicited_bytes_after_a_response_are_held_and_counted():
    parser = ResponseParser(Limits())
    parser.feed(LENGTH + b"HTTP/1.1 ")
    events = [parser.next_event() for _ in range(4)]
    assert events[1:] == [BodyData(b"hello"), BodyEnd(), None] and parser.held_bytes == 9


def test_memory_is_bounded_when_no_event_is_taken():
    parser = ResponseParser(SMALL)
    for _ in range(1000):
        parser.feed(LENGTH)
        assert parser.held_bytes <= 256 + 64 + len(LENGTH)


@pytest.mark.parametrize(
    "begun", [LENGTH[:1], LENGTH[:-1], b"HTTP/1.1 100 Continue\r\n\r\n", LENGTH]
)
def test_expect_is_refused_while_a_response_is_incomplete(begun):
    parser = ResponseParser(Limits())
    parser.feed(begun)
    parser.next_event()
    with pytest.raises(ValueError):
        parser.expect("GET")


def test_expect_may_also_name_the_method_of_the_first_response():
    parser = ResponseParser(Limits())
    parser.expect("HEAD")
    parser.feed(OK + b"Content-Length: 5\r\n\r\n")
    assert parser.next_event().status == 200 and parser.next_event() == BodyEnd()


@pytest.mark.parametrize(
    "stream, eof",
    [
        (b"SSH-2.0\r\n", False),
        (OK + b"X : y\r\n", False),
        (CHUNKED[:-4] + b"\n", False),
        (LENGTH[:-1], True),
        (b"", True),
    ],
)
def test_the_parser_stays_in_its_error_state(stream, eof):
    parser = ResponseParser(Limits())
    parser.feed(stream)
    if eof:
        parser.feed_eof()
    with pytest.raises(PeerError) as first:
        while parser.next_event() is not None:
            pass
        parser.feed(b"x")
        parser.next_event()
    for _ in range(3):
        parser.feed(LENGTH)
        parser.expect("GET")
        with pytest.raises(PeerError) as again:
            parser.next_event()
        assert (again.value.status, again.value.detail) == (
            502,
            first.value.detail,
        ) and parser.held_bytes == 0


GOOD = st.sampled_from(
    [LENGTH, CHUNKED, CLOSE, b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"]
)
SOUP = st.lists(GOOD | st.binary(max_size=8), max_size=4).map(b"".join)


@st.composite
def nearly_good(draw) -> bytes:
    stream = bytearray(b"".join(draw(st.lists(GOOD, min_size=1, max_size=3))))
    for place, removed, put in draw(
        st.lists(
            st.tuples(st.integers(0, 200), st.integers(0, 2), st.binary(max_size=2)), max_size=3
        )
    ):
        begin = place % (len(stream) + 1)
        stream[begin : begin + removed] = put
    return bytes(stream)


@settings(max_examples=300)
@given(SOUP | nearly_good(), places, st.booleans())
def test_slicing_does_not_change_the_result_and_all_errors_are_peer_errors(stream, at, eof):
    """Laws 1, 3 and 4. The record holds all events before an error."""
    methods = ("GET", "GET", "HEAD", "GET")
    whole = read_responses([stream], methods, SMALL, eof)
    assert read_responses(cut(stream, at), methods, SMALL, eof) == whole
    assert read_responses(singly(stream), methods, SMALL, eof) == whole


@given(
    st.sampled_from([200, 202, 400, 404, 413, 431, 503]),
    FIELDS,
    st.binary(max_size=300),
    places,
    st.booleans(),
)
def test_an_encoded_response_is_parsed_unchanged(status, fields, body, at, chunked):
    """Law 2, round trip."""
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    coded = encode_chunk(body[:100]) + encode_chunk(body[100:]) + LAST_CHUNK if chunked else body
    wire = encode_response_head(status, {**fields, **framing}) + coded
    expected = {name.lower(): value for name, value in {**fields, **framing}.items()}
    one = [(status, expected, True), *([body] if body else []), "end"]
    assert read_responses(cut(wire * 2, at), ("GET", "GET"), eof=True) == [*one, *one]

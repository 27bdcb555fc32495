"""Feed the parsers of `wire` in slices, and record all that they return, errors included.

Two runs over the same bytes must give the same record, however the bytes are cut.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire.request import Limits, RequestParser
from bridge.wire.response import BodyData, BodyEnd, ResponseHead, ResponseParser

SMALL = Limits(head_max=256, body_max=64)  # bytes; small, so that examples exceed them


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The bytes, cut at `places`, which may be any number of integers in any order."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in zip(edges, edges[1:])]


def singly(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


places = st.lists(st.integers(0, 4000), max_size=12)


def request_record(request) -> tuple:
    return (
        request.method,
        request.path,
        request.query,
        request.version,
        request.fields,
        request.authority,
        request.body,
        request.keep_alive,
    )


def read_requests(slices, limits: Limits = Limits()) -> list:
    """All requests, and then either the error or the stage in which the parser waits.

    Asserts the bound on memory after each slice.
    """
    parser, record = RequestParser(limits), []
    for piece in slices:
        parser.feed(piece)
        try:
            request = parser.take_request()
            while request is not None:
                record.append(request_record(request))
                request = parser.take_request()
        except PeerError as error:
            assert 400 <= error.status <= 505
            return [*record, (error.status, error.detail)]
        assert parser.held_bytes <= limits.head_max + limits.body_max + len(piece)
    return [*record, parser.stage]


def refusal(data: bytes, limits: Limits = Limits()) -> PeerError:
    """The error for these bytes. It must be the same if they arrive byte by byte."""
    parser = RequestParser(limits)
    parser.feed(data)
    with pytest.raises(PeerError) as caught:
        while parser.take_request() is not None:
            pass
    assert read_requests(singly(data), limits)[-1] == (caught.value.status, caught.value.detail)
    return caught.value


def read_responses(slices, methods=("GET",), limits: Limits = Limits(), eof: bool = False) -> list:
    """All events, and then the error, if any.

    The pieces of a body are joined, also those before an error. Asserts the bound on memory.
    """
    parser, record, waiting = ResponseParser(limits, methods[0]), [], list(methods[1:])
    try:
        for piece in slices:
            parser.feed(piece)
            _drain(parser, record, waiting)
            assert parser.held_bytes <= limits.head_max + limits.body_max + len(piece)
        if eof:
            parser.feed_eof()
            _drain(parser, record, waiting)
    except PeerError as error:
        assert error.status == 502
        record.append((error.status, error.detail))
    return record


def _drain(parser: ResponseParser, record: list, waiting: list) -> None:
    event = parser.next_event()
    while event is not None:
        if isinstance(event, BodyData) and isinstance(record[-1], bytes):
            record[-1] += event.data
        elif isinstance(event, BodyData):
            record.append(event.data)
        elif isinstance(event, ResponseHead):
            record.append((event.status, event.fields, event.keep_alive))
        else:
            assert isinstance(event, BodyEnd)
            record.append("end")
            if waiting:
                parser.expect(waiting.pop(0))
        event = parser.next_event()

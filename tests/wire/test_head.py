"""The cache of parsed heads: it changes no value and no error, and its memory is bounded."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire import head
from bridge.wire.head import REMEMBERED_BYTES, REMEMBERED_HEADS, read_head

LINES = st.sampled_from(
    [
        b"Host: a\r\n",
        b"Host: b:1\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: +5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"bad \r\n",
    ]
)
STARTS = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /a?b=%20 HTTP/1.1\r\n",
        b"GET /%zz HTTP/1.1\r\n",
        b"GET http://c/ HTTP/1.0\r\n",
        b"CONNECT a:1 HTTP/1.1\r\n",
        b"G(T / HTTP/1.1\r\n",
    ]
)
HEADS = st.builds(lambda start, lines: start + b"".join(lines), STARTS, st.lists(LINES, max_size=4))


def outcome(read, data: bytes):
    try:
        return read(data)
    except PeerError as error:
        return error.status, error.detail


@given(HEADS)
def test_a_cached_head_gives_the_same_result_as_a_parsed_one(data):
    first = outcome(read_head, data)
    assert outcome(read_head, data) == first == outcome(head._read, data)


def test_heads_that_differ_in_one_byte_are_not_confused():
    read = [
        read_head(
            b"POST /agents/a%d/send HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n"
            % (number % 7, number % 5)
        )
        for number in range(70)
    ]
    assert [(one.path, one.length) for one in read] == [
        (f"/agents/a{number % 7}/send", number % 5) for number in range(70)
    ]


@pytest.mark.parametrize(
    "size", [REMEMBERED_BYTES // 2, REMEMBERED_BYTES, REMEMBERED_BYTES + 1, 16000]
)
def test_the_memory_of_the_cache_is_bounded(size):
    def make(number: int) -> bytes:
        start = b"GET /%d HTTP/1.1\r\nHost: a\r\nX: " % number
        return start + b"x" * (size - len(start) - 2) + b"\r\n"

    head._remembered.cache_clear()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(2 * REMEMBERED_HEADS):
        assert read_head(make(number)).path == f"/{number}"
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert held < REMEMBERED_HEADS * (3 * REMEMBERED_BYTES + 1500)
    head._remembered.cache_clear()

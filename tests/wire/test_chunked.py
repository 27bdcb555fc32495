"""The chunked coding alone: its result, its round trip, and the memory that it holds."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire.chunked import LAST_CHUNK, ChunkedDecoder, encode_chunk
from wire.slicing import cut, places, singly

OVERHEAD = 64  # bytes of extensions, and of trailers
BODY = 40  # bytes of data


def decode(slices, body_max=BODY) -> tuple:
    """(data, the bytes after the body or None, the error or None). Asserts the bound on memory."""
    decoder, data = ChunkedDecoder(OVERHEAD, body_max), b""
    try:
        rest = b""
        for piece in slices:
            if decoder.is_done:
                rest += piece
                continue
            data += decoder.feed(piece)
            if decoder.is_done:
                rest = decoder.take_rest()
            assert decoder.held_bytes <= OVERHEAD + 16 + 2
        if not decoder.is_done:
            data += decoder.feed(b"")  # raises an error that lies behind the last slice's data
    except PeerError as error:
        with pytest.raises(PeerError) as again:
            decoder.feed(LAST_CHUNK)
        assert (again.value.status, again.value.detail) == (error.status, error.detail)
        return data, None, (error.status, error.detail)
    return data, rest if decoder.is_done else None, None


PIECES = st.sampled_from(
    [
        b"5\r\nhello\r\n",
        b"5;a=b\r\nhello\r\n",
        b'1;a="\\";b"\r\nx\r\n',
        b"0\r\n",
        b"0;z\r\n",
        b"\r\n",
        b"X: y\r\n",
        b"a",
        b"\r",
        b"\n",
        b";",
        b" ",
        b"\t",
        b"00",
        b'"',
        b"=",
        b"\x00",
    ]
)
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=14).map(b"".join)


@settings(max_examples=300)
@given(STREAMS, places, st.sampled_from([None, BODY]))
@example(b"5\r\nhello\r\n0\r\n\r\nrest", [], BODY)
@example(b"5;" + b"a" * 64 + b"\r\n", [], BODY)
@example(b"0\r\nX: " + b"a" * 61 + b"\r\n", [], BODY)
def test_slicing_does_not_change_the_result(stream, at, body_max):
    whole = decode([stream], body_max)
    assert decode(cut(stream, at), body_max) == whole
    assert decode(singly(stream), body_max) == whole


@given(st.lists(st.binary(max_size=10), max_size=4), st.binary(max_size=10), places)
def test_encoded_chunks_are_decoded_and_the_bytes_after_them_are_kept(chunks, rest, at):
    wire = b"".join(map(encode_chunk, chunks)) + LAST_CHUNK + rest
    assert decode(cut(wire, at)) == (b"".join(chunks), rest, None)


@pytest.mark.parametrize(
    "body_max, sizes, fine",
    [
        (40, [40], True),
        (40, [41], False),
        (40, [20, 20], True),
        (40, [20, 21], False),
        (None, [400, 400], True),
    ],
)
def test_a_chunk_size_over_the_body_limit_is_refused_before_its_data_arrives(body_max, sizes, fine):
    wire = b"".join(encode_chunk(b"x" * size) for size in sizes[:-1]) + b"%x\r\n" % sizes[-1]
    _, _, error = decode([wire], body_max)
    assert (error is None) is fine and (fine or error[0] == 413)


def chunk(extension: int) -> bytes:
    return b"1;" + b"a" * (extension - 1) + b"\r\nx\r\n"


def trailer(length: int) -> bytes:
    return b"X:" + b"a" * (length - 4) + b"\r\n"


@pytest.mark.parametrize(
    "wire, status",
    [
        (chunk(64), None),
        (chunk(65), 400),
        (chunk(32) * 2, None),
        (chunk(32) + chunk(33), 400),
        (chunk(2) * 32, None),
        (chunk(2) * 33, 400),
        (chunk(64) + b"1\r\nx\r\n" * 30, None),  # only extensions count, not chunks
        (b"0\r\n" + trailer(66), None),  # 64 bytes and CRLF
        (b"0\r\n" + trailer(67), 431),
        (b"0\r\n" + trailer(32) * 2, None),
        (b"0\r\n" + trailer(32) * 2 + b"\r\n", None),  # the empty line always fits
        (b"0\r\n" + trailer(32) * 2 + trailer(8), 431),
        (b"0\r\n" + trailer(8) * 8, None),
        (b"0\r\n" + trailer(8) * 9, 431),
    ],
)
def test_the_bound_on_overhead_holds_for_the_whole_body(wire, status):
    for slices in ([wire], singly(wire)):
        _, _, error = decode(slices)
        assert (error and error[0]) == status

"""Functions that requests and responses share, in cases that the tests of heads do not cover."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import PeerError
from bridge.wire.fields import (
    HeadWalker,
    encode_fields,
    find_line_end,
    parse_fields,
    parse_length,
    split_list,
)

CONTROLS = [*range(9), *range(10, 32), 127]


@pytest.mark.parametrize(
    "held, scan, stop, expected",
    [
        (b"ab\r\n", 0, 4, 2),
        (b"ab\r\n", 2, 4, 2),
        (b"ab\r", 0, 3, -1),
        (b"ab\r\n", 0, 3, -1),
        (b"ab", 0, 2, -1),
        (b"", 0, 0, -1),
        (b"\n\r\n", 1, 3, 1),
    ],
)
def test_line_ends(held, scan, stop, expected):
    assert find_line_end(held, scan, stop) == find_line_end(bytearray(held), scan, stop) == expected


@pytest.mark.parametrize("byte", CONTROLS)
def test_a_control_character_in_a_line_is_refused(byte):
    for held in (bytes([byte]) + b"x\r\n", b"x" + bytes([byte]) + b"x\r\n"):
        with pytest.raises(PeerError) as caught:
            find_line_end(held, 0, len(held))
        assert caught.value.status == 400


@given(st.integers(0, 10**18 - 1), st.integers(0, 30))
def test_lengths(number, zeros):
    assert parse_length("0" * zeros + str(number)) == number


@given(st.text(max_size=5) | st.text("0123456789 +-_.", max_size=25))
def test_any_text_is_parsed_as_a_length_or_refused(text):
    try:
        assert parse_length(text) == int(text) and text.isascii() and text.isdigit()
    except PeerError as error:
        assert error.status == (413 if text.isdigit() and text.isascii() else 400)


def test_lists():
    assert split_list("Close ,\tKeep-Alive,") == ["close", "keep-alive", ""]


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9!#-]{1,9}", fullmatch=True),
        st.from_regex("([!-~]([ -~]*[!-~])?)?", fullmatch=True),
        max_size=6,
    )
)
def test_encoded_fields_are_parsed_unchanged(fields):
    assert parse_fields(encode_fields(fields)) == fields


def test_an_error_quotes_only_the_beginning_of_a_long_value():
    with pytest.raises(ValueError) as caught:
        encode_fields({"X": "\n" * 100_000})
    assert len(str(caught.value)) < 300


class CountingBytes(bytes):
    """Bytes that count how often they are sliced."""

    cuts = 0

    def __getitem__(self, key):
        if isinstance(key, slice):
            CountingBytes.cuts += 1
        return super().__getitem__(key)


def test_the_head_walker_reads_each_line_once_however_small_the_slices():
    """Counts slices instead of time: a head of n lines, fed in single bytes, costs n, not n * n."""
    head = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100 + b"\r\n"
    walker, CountingBytes.cuts = HeadWalker(4096, lambda line: None), 0
    ends = [walker.walk(CountingBytes(head[:length]), 0) for length in range(1, len(head) + 1)]
    assert ends[-1] == len(head) - 2 and set(ends[:-1]) == {-1}
    assert CountingBytes.cuts == 101

"""Percent-encoding: it is decoded once, after the target is split, or refused."""

from __future__ import annotations

import pytest

from bridge.errors import PeerError
from bridge.wire.request import decode_query, decode_segments


@pytest.mark.parametrize(
    "path, segments",
    [
        ("/", [""]),
        ("/a/b", ["a", "b"]),
        ("/a/", ["a", ""]),
        ("//a", ["", "a"]),
        ("*", ["*"]),
        ("/a%2Fb/c", ["a/b", "c"]),  # an encoded slash is no separator
        ("/%252F", ["%2F"]),  # decoded once, not twice
        ("/%2e%2E/a", ["..", "a"]),
        ("/a+b", ["a+b"]),  # a plus is a space in queries only
        ("/%C3%A9%f0%9f%98%80", ["é😀"]),
        ("/%0d%0a", ["\r\n"]),  # allowed in a value; each encoder must refuse or escape it
    ],
)
def test_segments(path, segments):
    assert decode_segments(path) == segments


BAD = [
    "%",
    "%2",
    "%zz",
    "%2x",
    "%-1",
    "%+1",
    "% 1",
    "%%20",
    "%u0041",
    "%00",
    "%ff",
    "%C3",
    "%c0%af",
    "%ed%a0%80",
    "%f4%90%80%80",
]


@pytest.mark.parametrize("text", BAD)
def test_invalid_percent_encoding_is_refused(text):
    for decode in (decode_segments, decode_query):
        for around in ("{}", "/{}", "/a/{}/b", "a={}", "{}=a", "x=1&a{}z=c"):
            with pytest.raises(PeerError) as caught:
                decode(around.format(text))
            assert caught.value.status == 400


@pytest.mark.parametrize(
    "query, values",
    [
        ("", {}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("=a", {"": "a"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("&a=1&&b=2&", {"a": "1", "b": "2"}),
        ("a=b=c", {"a": "b=c"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a%2Bb=c%26d%3D", {"a+b": "c&d="}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=/?:@", {"a": "/?:@"}),
        ("a=%2541", {"a": "%41"}),
    ],
)
def test_queries(query, values):
    assert decode_query(query) == values


@pytest.mark.parametrize("query", ["a=1&a=1", "a=1&a=2", "a&a", "a=1&%61=2", "a+b=1&a%20b=2"])
def test_a_repeated_key_is_refused(query):
    with pytest.raises(PeerError) as caught:
        decode_query(query)
    assert caught.value.status == 400

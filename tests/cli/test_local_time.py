"""Times for display."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.local_time import clock, local, read_at, short_span, since, span
from bridge.timestamp import rfc3339

DAY = 86400


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_of_the_wire_is_parsed(wall_ms):
    assert abs(read_at(rfc3339(wall_ms)) * 1000 - wall_ms) < 0.5


@given(st.text(max_size=30) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"))
def test_a_text_that_is_not_an_instant_is_shown_as_it_is(text):
    assert local(text, 1e9) == text or read_at(text) is not None
    assert (since(text, 1e9) == "") is (read_at(text) is None)


def test_zones():
    assert (
        read_at("2026-11-22T12:04:11.500+01:30")
        == read_at("2026-11-22T10:34:11.500Z")
        == read_at("2026-11-22T05:34:11.500-05:00")
    )
    assert read_at("2026-13-22T10:34:11Z") is None


def test_the_date_is_shown_unless_it_is_today():
    now = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
    assert (
        clock(now - 60, now) == "11:59:00"
        and clock(now + 0.25, now, milliseconds=True) == "12:00:00.250"
    )
    assert (
        clock(now - DAY, now) == "2026-11-21 12:00:00"
        and clock(now - 0.0001, now, milliseconds=True) == "11:59:59.999"
    )
    assert (
        local(rfc3339(int(now * 1000)), now) == "12:00:00"
        and since(rfc3339(int(now * 1000) - 200_000), now) == "since 11:56:40 (3 m 20 s)"
    )


@pytest.mark.parametrize(
    "seconds, words, short",
    [
        (-1, "0 ms", "0s"),
        (0.02, "20 ms", "0s"),
        (1.25, "1.2 s", "1s"),
        (59, "59 s", "59s"),
        (200, "3 m 20 s", "3m"),
        (3600, "1 h", "1h"),
        (3605, "1 h", "1h"),
        (90061, "1 d 1 h", "1d"),
    ],
)
def test_spans(seconds, words, short):
    assert (span(seconds), short_span(seconds)) == (words, short)

"""RFC 3339 timestamps, checked against the datetime module."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.timestamp import parse_rfc3339, rfc3339

SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@given(st.integers(0, 253_402_300_799_999))
@example(0)
@example(999)
@example(951_868_799_999)  # 2000-02-29, its last millisecond
def test_a_timestamp_reads_back_to_the_millisecond(wall_ms):
    text = rfc3339(wall_ms)
    assert SHAPE.fullmatch(text)
    read = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert (read - EPOCH) // timedelta(milliseconds=1) == wall_ms


@given(st.lists(st.integers(0, 4_000_000_000_000), max_size=20))
def test_timestamps_sort_as_their_times(times):
    """This holds across entries of the cache of seconds too."""
    assert [rfc3339(each) for each in sorted(times)] == sorted(map(rfc3339, times))


@given(st.integers(0, 253_402_300_799_999))
def test_parse_is_the_inverse_of_format(wall_ms):
    assert parse_rfc3339(rfc3339(wall_ms)) == wall_ms


@given(st.text() | st.text(st.sampled_from("0123456789-:.TZ+ "), max_size=40))
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
@example("2023-11-14T22:13:20")  # without a time zone it is no instant
def test_any_text_parses_to_an_instant_or_none(text):
    found = parse_rfc3339(text)
    assert found is None or isinstance(found, int)

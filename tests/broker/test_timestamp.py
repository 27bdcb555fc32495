"""RFC 3339, against datetime's own reading of it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from bridge.timestamp import rfc3339

SHAPE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@given(st.integers(0, 253_402_300_799_999))
@example(0)
@example(999)
@example(951_868_799_999)  # 2000-02-29, its last millisecond
def test_it_reads_back_to_the_millisecond(wall_ms):
    text = rfc3339(wall_ms)
    assert SHAPE.fullmatch(text)
    read = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    assert (read - EPOCH) // timedelta(milliseconds=1) == wall_ms


@given(st.lists(st.integers(0, 4_000_000_000_000), max_size=20))
def test_order_of_text_is_order_of_time(times):
    """Also across the cache of seconds."""
    assert [rfc3339(each) for each in sorted(times)] == sorted(map(rfc3339, times))

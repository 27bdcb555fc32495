"""Full jitter: bounded, spread, and never ending."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bridge.backoff import full_jitter

seconds = st.floats(0.001, 1000, allow_nan=False)


@given(seconds, seconds, st.integers(1, 60))
def test_a_delay_is_never_above_its_ceiling_nor_the_cap(base, cap, count):
    ceilings = []

    def uniform(low, high):
        assert low == 0.0
        ceilings.append(high)
        return high

    delays = list(itertools.islice(full_jitter(base, cap, uniform), count))
    assert delays == ceilings == [min(cap, base * 2**number) for number in range(count)]


def test_the_draw_goes_on_after_the_cap():
    """A herd that all waits exactly the cap would come back together."""
    late = list(itertools.islice(full_jitter(0.1, 1.0), 10, 60))
    assert len(set(late)) == len(late) and max(late) <= 1.0

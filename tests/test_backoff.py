"""Full jitter: the delays are bounded, they are spread, and the iterator never ends."""

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


def test_delays_are_still_drawn_at_random_after_the_cap():
    """Clients that all waited exactly the cap would reconnect at the same moment."""
    late = list(itertools.islice(full_jitter(0.1, 1.0), 10, 60))
    assert len(set(late)) == len(late) and max(late) <= 1.0

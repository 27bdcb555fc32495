"""Small bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.commands.top.chart import ASCII_BARS, BARS, bars


@pytest.mark.parametrize(
    "values, width, drawn",
    [
        ([], 5, ""),
        ([1.0], 0, ""),
        ([0, 0, 0], 5, "▁▁▁"),
        ([0, 1, 8], 5, "▁▂█"),
        ([None, 4, 8], 5, " ▅█"),
        ([1, 9, 2, 3], 2, "█▄"),  # the greatest of two
        ([9, 1, 1], 2, "█▂"),  # three numbers in two cells
        ([0.001, 100], 5, "▂█"),  # a small number is not zero
    ],
)
def test_bars(values, width, drawn):
    assert bars(values, width) == drawn


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=200), st.integers(0, 150), st.booleans())
def test_they_fit_and_the_greatest_is_the_highest(values, width, is_unicode):
    drawn, ramp = bars(values, width, is_unicode), BARS if is_unicode else ASCII_BARS
    assert len(drawn) <= width and set(drawn) <= set(ramp + " ")
    if width and max((value or 0 for value in values), default=0) > 0:
        assert ramp[-1] in drawn

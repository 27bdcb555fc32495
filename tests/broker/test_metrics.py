"""The Prometheus text, read back by the format's own rules, and the window of the failures."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.metrics import FAILURE_WINDOW, FAILURES_MAX, HELP, Metrics, exposition, label

SAMPLE = re.compile(r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<key>[a-z]+)="(?P<value>(?:[^"\\\n]|\\[\\n"])*)"\})? (?P<number>\S+)')
ESCAPES = {"\\\\": "\\", "\\n": "\n", '\\"': '"'}


def read_back(text: str) -> list:
    """Samples of an exposition; HELP and TYPE must come once, before the first sample of their name."""
    assert text.endswith("\n")
    found, described, typed = [], [], []
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            described.append(line.split(" ")[2])
        elif line.startswith("# TYPE "):
            typed.append(line.split(" ")[2])
            assert line.split(" ")[3] in ("counter", "gauge") and typed == described
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match["name"] == described[-1], line
            value = match["value"] and re.sub(r'\\[\\n"]', lambda found: ESCAPES[found[0]], match["value"])
            found.append((match["name"], value, float(match["number"])))
    assert len(set(described)) == len(described)
    return found


names = st.sampled_from(sorted(HELP))
numbers = st.integers(0, 2**60) | st.floats(0, 1e18)


@given(st.dictionaries(names, st.lists(st.tuples(st.text(), numbers), min_size=1, max_size=3), max_size=6))
def test_it_reads_back(groups):
    samples = [(name, f'agent="{label(text)}"', number) for name, its in groups.items() for text, number in its]
    wanted = [(name, text, float(number)) for name, its in groups.items() for text, number in its]
    if samples:
        assert read_back(exposition(samples)) == wanted


@given(names, numbers)
def test_without_labels(name, number):
    assert read_back(exposition([(name, "", number)])) == [(name, None, float(number))]


def test_every_name_is_well_made():
    for name, (kind, text) in HELP.items():
        assert name.startswith("bridge_") and text.endswith(".") and "\n" not in text and "\\" not in text
        assert (kind == "counter") == name.endswith("_total"), name


@given(st.lists(st.floats(0, 50), max_size=30), st.floats(0, 200))
def test_failures_of_the_last_minute(gaps, wait):
    metrics, now, times = Metrics(), 0.0, []
    for gap in gaps:
        now += gap
        metrics.stream_failed(now)
        times.append(now)
    now += wait
    assert metrics.failed_lately(now) == sum(now - each <= FAILURE_WINDOW for each in times)
    assert metrics.stream_failures == len(times)


def test_failures_are_remembered_within_a_bound():
    metrics = Metrics()
    for _ in range(FAILURES_MAX + 100):
        metrics.stream_failed(1.0)
    assert metrics.failed_lately(1.0) == FAILURES_MAX and metrics.stream_failures == FAILURES_MAX + 100

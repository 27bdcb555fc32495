"""The Prometheus exposition, read back by a strict parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus import read

from bridge.broker.metrics import definitions
from bridge.broker.metrics.exposition import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    Family,
    exposition,
    histogram,
    plain,
)
from bridge.broker.metrics.histogram import LATENCY_BOUNDS, Histogram

ALL = [each for each in vars(definitions).values() if isinstance(each, Family)]
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**60) | st.floats(0, 1e18)
plain_families = st.sampled_from([each for each in ALL if each.kind in (COUNTER, GAUGE)])
bounds = st.lists(st.sampled_from(LATENCY_BOUNDS), min_size=1, max_size=6, unique=True).map(sorted)


@given(
    groups=st.dictionaries(
        plain_families,
        st.dictionaries(texts, numbers, min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_an_exposition_reads_back(groups):
    shown = "".join(
        exposition(family, [plain(value, ("a", name), ("x", "y")) for name, value in its.items()])
        for family, its in groups.items()
    )
    found = read(shown)
    assert len(found) == len(groups)
    for family, its in groups.items():
        assert (found[family.name].kind, found[family.name].help) == (family.kind, family.help)
        assert found[family.name].samples == {
            (family.name, (("a", name), ("x", "y"))): float(value) for name, value in its.items()
        }


@given(
    values=st.lists(st.floats(0, 1e6) | st.sampled_from(LATENCY_BOUNDS), max_size=40), shown=bounds
)
def test_a_histogram_bucket_counts_values_up_to_its_bound(values, shown):
    family, counted = Family("some_seconds", HISTOGRAM, "Help."), Histogram()
    for value in values:
        counted.observe(value)
    exposed = exposition(family, histogram(counted, shown, ("hop", "a")))
    samples = read(exposed)["some_seconds"].samples
    found = {
        float(dict(labels)["le"].replace("Inf", "inf")): count
        for (name, labels), count in samples.items()
        if name.endswith("_bucket")
    }
    assert found == {
        bound: sum(value <= bound for value in values) for bound in [*shown, float("inf")]
    }
    assert samples["some_seconds_count", (("hop", "a"),)] == len(values)


def test_help_is_escaped():
    family = Family("some", GAUGE, 'a "quote", a \\ and\na line.')
    exposed = exposition(family, [plain(1)])
    assert '# HELP some a "quote", a \\\\ and\\na line.\n' in exposed
    assert read(exposed)["some"].help == family.help


def test_a_family_without_samples_is_not_written():
    assert exposition(definitions.SENT, []) == ""


def test_every_family_is_well_named():
    assert len({each.name for each in ALL}) == len(ALL) > 30
    for each in ALL:
        assert each.name.startswith(("bridge_", "process_")) and each.help.endswith("."), each
        assert (each.kind == COUNTER) == each.name.endswith("_total"), each
        if each.kind == HISTOGRAM:
            assert not each.name.endswith(("_bucket", "_count", "_sum")), each
        assert "milli" not in each.name and not each.name.endswith("_ms")


def test_the_shown_buckets_are_among_the_bounds():
    assert set(definitions.LATENCY_BUCKETS) <= set(LATENCY_BOUNDS) and list(
        definitions.LATENCY_BUCKETS
    ) == sorted(definitions.LATENCY_BUCKETS)
    assert definitions.COMMIT_BUCKETS[-1] == 10.0 and definitions.LATENCY_BUCKETS[-1] == 2500.0

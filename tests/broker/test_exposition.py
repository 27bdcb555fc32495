"""The Prometheus exposition, read back by a strict parser, and the choice of its format."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus import RESERVED, read

from bridge.broker.metrics import definitions
from bridge.broker.metrics.exposition import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    INFO,
    OPENMETRICS,
    TEXT,
    Family,
    choose,
    ending,
    exposition,
    histogram,
    plain,
)
from bridge.broker.metrics.histogram import LATENCY_BOUNDS, Distribution

ALL = [each for each in vars(definitions).values() if isinstance(each, Family)]
texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**60) | st.floats(0, 1e18)
plain_families = st.sampled_from([each for each in ALL if each.kind in (COUNTER, GAUGE)])
bounds = st.lists(st.sampled_from(LATENCY_BOUNDS), min_size=1, max_size=6, unique=True).map(sorted)


def exposed(filled, content_type):
    return "".join(exposition(*each, content_type) for each in filled) + ending(content_type)


@pytest.mark.parametrize("content_type", [TEXT, OPENMETRICS])
@given(
    groups=st.dictionaries(
        plain_families, st.dictionaries(texts, numbers, min_size=1, max_size=4), max_size=5
    )
)
def test_an_exposition_reads_back(content_type, groups):
    filled = [
        (
            family,
            [plain(family, value, ("agent", name), ("tier", "x")) for name, value in its.items()],
        )
        for family, its in groups.items()
    ]
    found = (
        read(exposed(filled, content_type) or "\n", content_type == OPENMETRICS) if groups else {}
    )
    assert len(found) == len(groups)
    for family, its in groups.items():
        suffix = "_total" if family.kind == COUNTER else ""
        read_family = found[family.name + ("" if content_type == OPENMETRICS else suffix)]
        assert (read_family.kind, read_family.help) == (family.kind, family.help)
        assert read_family.unit == (family.unit if content_type == OPENMETRICS else "")
        assert read_family.samples == {
            (family.name + suffix, (("agent", name), ("tier", "x"))): float(value)
            for name, value in its.items()
        }


@pytest.mark.parametrize("content_type", [TEXT, OPENMETRICS])
@given(
    values=st.lists(st.floats(0, 1e6) | st.sampled_from(LATENCY_BOUNDS), max_size=40), shown=bounds
)
def test_a_histogram_bucket_counts_values_up_to_its_bound(content_type, values, shown):
    family, counted = Family("some_seconds", HISTOGRAM, "Help.", "seconds"), Distribution()
    for value in values:
        counted.observe(value)
    samples = read(
        exposed([(family, histogram(counted, shown, ("hop", "a")))], content_type),
        content_type == OPENMETRICS,
    )["some_seconds"].samples
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
    assert '# HELP some a "quote", a \\\\ and\\na line.\n' in exposed(
        [(family, [plain(family, 1)])], TEXT
    )
    for content_type in (TEXT, OPENMETRICS):
        assert (
            read(
                exposed([(family, [plain(family, 1)])], content_type), content_type == OPENMETRICS
            )["some"].help
            == family.help
        )


def test_build_info_is_an_info_in_openmetrics_and_a_gauge_in_text():
    filled = [(definitions.BUILD, [plain(definitions.BUILD, 1, ("version", "1"))])]
    assert read(exposed(filled, TEXT))["bridge_build_info"].kind == GAUGE
    assert read(exposed(filled, OPENMETRICS), True)["bridge_build"].kind == INFO
    assert "bridge_build_info{" in exposed(filled, OPENMETRICS)


def test_a_family_without_samples_is_not_written():
    assert (
        exposed([(definitions.SENT, [])], TEXT) == ""
        and exposed([(definitions.SENT, [])], OPENMETRICS) == "# EOF\n"
    )


def test_every_family_is_well_named():
    assert len({each.name for each in ALL}) == len(ALL) > 30
    for each in ALL:
        assert (
            each.name.startswith(("bridge_", "process_"))
            and each.help.endswith(".")
            and not each.name.endswith(RESERVED)
        ), each
        assert each.name.endswith(each.unit) and each.unit in ("", "seconds", "bytes")
        assert ("second" in each.name) == (each.unit == "seconds") and each.name.endswith(
            "_bytes"
        ) == (each.unit == "bytes")
        assert "milli" not in each.name and not each.name.endswith("_ms")


def test_the_shown_buckets_are_among_the_bounds():
    assert set(definitions.LATENCY_BUCKETS) <= set(LATENCY_BOUNDS) and list(
        definitions.LATENCY_BUCKETS
    ) == sorted(definitions.LATENCY_BUCKETS)
    assert definitions.COMMIT_BUCKETS[-1] == 10.0 and definitions.LATENCY_BUCKETS[-1] == 2500.0


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    "accept, wanted",
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),  # a browser
        (PROMETHEUS, OPENMETRICS),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
            "encoding=delimited;q=0.6," + PROMETHEUS,
            OPENMETRICS,
        ),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),  # a version that we do not write
        ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.4", TEXT),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.3", OPENMETRICS),
        ("application/openmetrics-text,*/*", TEXT),  # equal quality: the older format
        ("application/openmetrics-text;q=0.8,*/*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=x,text/plain;q=0.1", TEXT),
        ("application/openmetrics-text;q=7", TEXT),
        # The exact range counts, not the wide one.
        ("text/plain;q=0,application/openmetrics-text;q=0.1,*/*", OPENMETRICS),
        ("application/json", TEXT),
        (";;,;=,q=", TEXT),
    ],
)
def test_the_accept_field_chooses_the_format(accept, wanted):
    assert choose(accept) == wanted


@given(st.text(st.sampled_from('ab/*;,=q01." \t')) | st.text(max_size=60))
def test_any_accept_field_gets_a_format(accept):
    assert choose(accept) in (TEXT, OPENMETRICS)

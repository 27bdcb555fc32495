"""The text format of Prometheus, version 0.0.4.

    Family (name, kind, help) ── samples ──► lines

Rule 1: a family's samples are together, below its HELP and TYPE. No label set
appears twice. A family without samples is not written.
Rule 2: a counter's name ends in `_total`.
Rule 3: a label's value may hold any Unicode. Characters that would end it are
escaped.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Union

from bridge.broker.metrics.histogram import Histogram

TEXT = "text/plain; version=0.0.4; charset=utf-8"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
Number = Union[int, float]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """One metric. A counter's `name` ends in `_total`; a unit is part of the name."""

    name: str
    kind: str
    help: str


class Sample(NamedTuple):
    suffix: str  # of a histogram's samples
    labels: Labels
    value: Number


def plain(value: Number, *labels: tuple[str, str]) -> Sample:
    """The sample of a counter or gauge."""
    return Sample("", labels, value)


def histogram(
    found: Histogram, shown: Sequence[float], *labels: tuple[str, str]
) -> Iterator[Sample]:
    """The samples of a histogram. `shown` must be some of its own bounds."""
    for bound, count in found.counts_up_to(shown):
        yield Sample("_bucket", (*labels, ("le", _number(bound))), count)
    count = found.count
    yield Sample("_bucket", (*labels, ("le", "+Inf")), count)
    yield Sample("_sum", labels, found.total)
    yield Sample("_count", labels, count)


def exposition(family: Family, samples: Iterable[Sample]) -> str:
    """The lines of one family; none without samples."""
    lines = [
        f"{family.name}{sample.suffix}{_label_set(sample.labels)} {_number(sample.value)}\n"
        for sample in samples
    ]
    if not lines:
        return ""
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {family.name} {text}\n# TYPE {family.name} {family.kind}\n" + "".join(lines)


def _label_set(labels: Labels) -> str:
    if not labels:
        return ""
    return "{{{}}}".format(",".join([f'{name}="{escape(value)}"' for name, value in labels]))


def escape(text: str) -> str:
    """A label's value between its quotes."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: Number) -> str:
    return (
        repr(value)
        if isinstance(value, int) or abs(value) != float("inf")
        else "+Inf"
        if value > 0
        else "-Inf"
    )

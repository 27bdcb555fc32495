"""The formats of Prometheus: the text format 0.0.4, and OpenMetrics 1.0 on request.

    Family (name, kind, help, unit) ── samples ──► lines

Rule 1: a family's samples are together, below its HELP and TYPE. No label set
appears twice. A family without samples is not written.
Rule 2: the two formats differ in few places, and all of them are here. In
OpenMetrics a counter's family has a name without `_total`. It also has the kind
`info`, UNIT lines, escaped quotes in HELP, and `# EOF` at the end.
Rule 3: a label's value may hold any Unicode. Characters that would end it are
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Union

from bridge.broker.metrics.histogram import Distribution

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
COUNTER, GAUGE, HISTOGRAM, INFO = "counter", "gauge", "histogram", "info"
# The suffix of a kind's samples. In the text format it is part of the family's name.
SUFFIX = {COUNTER: "_total", INFO: "_info"}
Number = Union[int, float]
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """One metric. `name` is without the suffix of its kind (SUFFIX); it ends with the unit."""

    name: str
    kind: str
    help: str
    unit: str = ""


class Sample(NamedTuple):
    suffix: str
    labels: Labels
    value: Number


def plain(family: Family, value: Number, *labels: tuple[str, str]) -> Sample:
    """The sample of a counter, gauge or info."""
    return Sample(SUFFIX.get(family.kind, ""), labels, value)


def histogram(
    found: Distribution, shown: Sequence[float], *labels: tuple[str, str]
) -> Iterator[Sample]:
    """The samples of a histogram. `shown` must be some of its own bounds."""
    for bound, count in found.counts_up_to(shown):
        yield Sample("_bucket", (*labels, ("le", _number(bound))), count)
    count = found.count
    yield Sample("_bucket", (*labels, ("le", "+Inf")), count)
    yield Sample("_sum", labels, found.total)
    yield Sample("_count", labels, count)


def exposition(family: Family, samples: Iterable[Sample], content_type: str) -> str:
    """The lines of one family; none without samples."""
    lines = [
        f"{family.name}{sample.suffix}{_label_set(sample.labels)} {_number(sample.value)}\n"
        for sample in samples
    ]
    return "".join([*_described(family, content_type == OPENMETRICS), *lines]) if lines else ""


def ending(content_type: str) -> str:
    """What stands behind the last family."""
    return "# EOF\n" if content_type == OPENMETRICS else ""


def _described(family: Family, is_open: bool) -> Iterator[str]:
    name = family.name if is_open else family.name + SUFFIX.get(family.kind, "")
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {name} {_quoted(text) if is_open else text}\n"
    yield f"# TYPE {name} {GAUGE if family.kind == INFO and not is_open else family.kind}\n"
    if is_open and family.unit:
        yield f"# UNIT {name} {family.unit}\n"


def _quoted(text: str) -> str:
    return text.replace('"', '\\"')


def _label_set(labels: Labels) -> str:
    if not labels:
        return ""
    return "{{{}}}".format(",".join([f'{name}="{escape(value)}"' for name, value in labels]))


def escape(text: str) -> str:
    """A label's value between its quotes."""
    return _quoted(text.replace("\\", "\\\\").replace("\n", "\\n"))


def _number(value: Number) -> str:
    return (
        repr(value)
        if isinstance(value, int) or abs(value) != float("inf")
        else "+Inf"
        if value > 0
        else "-Inf"
    )


def choose(accept: str) -> str:
    """The content type for an Accept header (RFC 9110 section 12.5.1).

    It is OpenMetrics if that has the greater weight; Prometheus lists both with weights. A client
    that accepts neither gets the text format and no 406: that is more useful in a browser.
    """
    liked = {TEXT: 0.0, OPENMETRICS: 0.0}
    exact = {TEXT: -1, OPENMETRICS: -1}  # the most specific range wins, whatever its weight
    for entry in accept.lower().split(","):
        kind, *parameters = [part.strip() for part in entry.split(";")]
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        for content_type, version in ((TEXT, "0.0.4"), (OPENMETRICS, "1.0.0")):
            precision = _precision(kind, given.get("version", "").strip('"'), content_type, version)
            if precision > exact[content_type] or (
                precision == exact[content_type] >= 0 and _weight(given) > liked[content_type]
            ):
                exact[content_type], liked[content_type] = precision, _weight(given)
    return OPENMETRICS if liked[OPENMETRICS] > liked[TEXT] else TEXT


def _precision(kind: str, asked: str, content_type: str, version: str) -> int:
    """How exactly a media range names the content type; -1 if it does not.

    `*/*` names the text format, which every client can read.
    """
    name = content_type.partition(";")[0]
    if kind == name and asked in ("", version):
        return 3 if asked else 2
    if content_type == TEXT:
        return {"text/*": 1, "*/*": 0}.get(kind, -1)
    return -1


def _weight(given: dict[str, str]) -> float:
    try:
        weight = float(given.get("q", "1").strip())
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0

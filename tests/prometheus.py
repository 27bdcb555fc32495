"""A strict reader of the Prometheus text format 0.0.4.

    read(text) -> {family: Family(kind, help, samples)}

It shares no code with bridge, so that one mistake cannot hide in both. It refuses what the
formats forbid: a family in two places, a series twice. It also refuses what the formats allow
but a careful exporter avoids: HELP without TYPE, inconsistent buckets, a counter without `_total`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|NaN|[+-]Inf")
KINDS = ("counter", "gauge", "histogram")


@dataclass
class Family:
    kind: str = ""
    help: str = ""
    samples: dict = field(default_factory=dict)  # (name, labels) -> value


def read(text: str) -> dict[str, Family]:
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    families: dict[str, Family] = {}
    current, seen = "", set()
    for line in lines:
        assert line, "an empty line"
        if line.startswith("#"):
            word, name, rest = re.fullmatch(r"# (HELP|TYPE) (\S+) (.*)", line).groups()
            if name != current:
                assert name not in families and METRIC.fullmatch(name), f"{name} twice, or invalid"
                current, families[name] = name, Family()
            _describe(families[name], name, word, rest)
        else:
            name, labels, value = _sample(line)
            family = families[current]
            _check_name(name, current, family, labels)
            assert (name, labels) not in seen, f"twice: {line}"
            seen.add((name, labels))
            family.samples[name, labels] = value
    for name, family in families.items():
        assert family.kind and family.help and family.samples, name
        _check_values(name, family)
    return families


def _describe(family: Family, name: str, word: str, rest: str) -> None:
    assert not family.samples, f"{word} {name} comes after its samples"
    assert not getattr(family, "kind" if word == "TYPE" else "help"), f"{word} {name} twice"
    if word == "TYPE":
        assert rest in KINDS, rest
        assert (rest == "counter") == name.endswith("_total"), name
        family.kind = rest
    else:
        family.help = _unescape(rest, "\\n")


def _unescape(text: str, allowed: str) -> str:
    parts = re.split(r"\\(.?)", text)
    assert set(parts[1::2]) <= set(allowed), f"an invalid escape: {text}"
    return "".join(
        {"n": "\n"}.get(part, part) if index % 2 else part for index, part in enumerate(parts)
    )


def _sample(line: str) -> tuple[str, tuple, float]:
    name = METRIC.match(line)[0]
    place, labels = len(name), []
    if line[place] == "{":
        place += 1
        while line[place] != "}":
            key = LABEL.match(line, place)[0]
            quoted = re.compile(r'="((?:[^"\\\n]|\\[\\"n])*)"([,}])').match(line, place + len(key))
            assert quoted, line
            assert not key.startswith("__") and key not in dict(labels), line
            labels.append((key, _unescape(quoted[1], '\\n"')))
            place = quoted.end() - (quoted[2] == "}")
        place += 1
    assert line[place] == " " and NUMBER.fullmatch(line[place + 1 :]), line
    return name, tuple(sorted(labels)), float(line[place + 1 :].replace("Inf", "inf"))


def _check_name(name: str, family_name: str, family: Family, labels: tuple) -> None:
    suffix = name[len(family_name) :]
    assert name.startswith(family_name), f"{name} below {family_name}"
    if family.kind == "histogram":
        assert suffix in ("_bucket", "_sum", "_count"), name
        assert ("le" in dict(labels)) == (suffix == "_bucket"), name
    else:
        assert not suffix, name


def _check_values(name: str, family: Family) -> None:
    if family.kind in ("counter", "histogram"):
        assert all(value >= 0 for value in family.samples.values()), (
            f"{name} is negative or no number"
        )
    if family.kind != "histogram":
        return
    rows: dict[tuple, dict] = {}
    for (sample, labels), value in family.samples.items():
        bound = dict(labels).get("le")
        key = tuple(pair for pair in labels if pair[0] != "le")
        rows.setdefault(key, {})[
            float(bound.replace("Inf", "inf")) if bound else sample[len(name) :]
        ] = value
    for key, row in rows.items():
        bounds = [bound for bound in row if isinstance(bound, float)]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf and len(bounds) > 1, (
            f"{name}{key}: {bounds}"
        )
        counts = [row[bound] for bound in bounds]
        assert counts == sorted(counts) and counts[-1] == row["_count"] and "_sum" in row, (
            f"{name}{key}"
        )


def series(families: dict[str, Family]) -> dict[tuple, float]:
    """All samples of all families, by (name, labels)."""
    return {key: value for family in families.values() for key, value in family.samples.items()}


def check_monotone(before: dict[str, Family], after: dict[str, Family]) -> None:
    """Assert that counters, and the counts and sums of histograms, never go down."""
    earlier = series(before)
    for family in after.values():
        if family.kind in ("counter", "histogram"):
            for key, value in family.samples.items():
                assert value >= earlier.get(key, 0.0), f"{key} went from {earlier[key]} to {value}"

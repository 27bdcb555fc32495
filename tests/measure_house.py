"""How bridge's own source reads, as figures: columns, comments, names, words.

    python3 tests/measure_house.py [FOLDER]

It prints the table that stands at the end of bridge/DESIGN.md. Another project's folder gives
the same figures of that project, to compare with.

    columns      characters of a line that is not empty
    comments     lines that hold a comment and no code, of all lines
    identifiers  characters of a name, at each place where it is used
    classes      names that stand for a class in more than one place, of all such names
    people       words of PEOPLE, below, in 1,000 words of docstrings and comments
    sentences    words of a sentence of docstrings and comments

What prose and a sentence are is said in test_english.py, and taken from there. Nothing but the
standard library is needed.
"""

from __future__ import annotations

import ast
import collections
import io
import keyword
import math
import pathlib
import re
import statistics
import sys
import tokenize
import types
from collections.abc import Iterable

try:
    import pytest  # noqa: F401  test_english.py needs its marks
except ImportError:
    mark = types.SimpleNamespace(parametrize=lambda *given: lambda function: function)
    stand_in = types.ModuleType("pytest")
    stand_in.mark = mark  # type: ignore[attr-defined]
    sys.modules["pytest"] = stand_in

from test_english import ROOT, comments, count_words, docstrings, sentences

PEOPLE = re.compile(r"\b(nobody|somebody|everybody)\b", re.IGNORECASE)


def percentile(values: Iterable[int], share: float) -> int:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


class Measured:
    """All files of a folder, read once."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.columns: list[int] = []
        self.lines = self.comment_lines = 0
        self.names: list[int] = []
        self.classes: collections.Counter[str] = collections.Counter()
        self.prose: list[str] = []
        for path in sorted(folder.rglob("*.py")):
            self._read(path.read_text(encoding="utf-8"))

    def _read(self, text: str) -> None:
        lines, tree = text.splitlines(), ast.parse(text)
        self.lines += len(lines)
        self.columns += [len(line) for line in lines if line.strip()]
        self.prose += [each.value for each in docstrings(tree)] + comments(text)
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                self.comment_lines += not token.line[: token.start[1]].strip()
            elif token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                self.names.append(len(token.string))
        found = (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        self.classes.update(found)

    def rows(self) -> list[tuple[str, str]]:
        said = [sentence for text in self.prose for sentence in sentences(text)]
        counts = [count_words(each) for each in said]
        people = sum(len(PEOPLE.findall(each)) for each in said)
        shared = sum(count > 1 for count in self.classes.values())
        columns = [percentile(self.columns, share) for share in (0.9, 0.99)]
        return [
            ("columns, 90th and 99th percentile", "{}, {}".format(*columns)),
            ("comment lines of their own", f"{100 * self.comment_lines / self.lines:.1f} %"),
            ("identifiers, 90th percentile, characters", f"{percentile(self.names, 0.9)}"),
            ("class names used for two things", f"{shared} of {len(self.classes)}"),
            (
                "nobody, somebody, everybody per 1,000 words",
                f"{1000 * people / max(1, sum(counts)):.2f}",
            ),
            (
                "words a sentence, median and 95th percentile",
                f"{statistics.median(counts):g}, {percentile(counts, 0.95)}",
            ),
        ]


def main() -> int:
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "bridge"
    if not any(folder.rglob("*.py")):
        print(f"{folder} holds no Python file", file=sys.stderr)
        return 2
    print(f"| | {folder.name} |\n|---|---|")
    for name, figure in Measured(folder).rows():
        print(f"| {name} | {figure} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

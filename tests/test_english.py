"""The laws of the house's language: plain words, short sentences, docstrings and comments alike.

An engineer whose first language is not English reads a file once. So a sentence is
short, and things are not people: a thread does not "tell", and a request is not "who".

    prose      docstrings and comments, without pictures, tables and examples
    sentence   what ends with . ! or ?, or with its paragraph
"""

from __future__ import annotations

import ast
import io
import pathlib
import re
import statistics
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SENTENCE_MAX = 30  # words
MEDIAN_MAX = 14  # words, of a module's sentences
MEDIAN_OF = 5  # sentences; of fewer a median says little
NEVER = re.compile(r"\b(he|his|him|himself|whoever|everybody)\b", re.IGNORECASE)
PEOPLE = re.compile(r"\b(nobody|somebody)\b", re.IGNORECASE)
# Where a person at a keyboard is meant. Elsewhere a caller, a peer or a process is.
AT_A_KEYBOARD = ("bridge/tmux/", "tests/tmux/", "tests/soak/", "tests/agents/")
FILES = [
    path.relative_to(ROOT).as_posix()
    for folder in ("bridge", "tests", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != pathlib.Path(__file__).resolve()
]


def docstrings(tree: ast.AST) -> list[ast.Constant]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                if isinstance(first.value.value, str):
                    found.append(first.value)
    return found


def comments(text: str) -> list[str]:
    """Comments of their own lines as one text while they follow each other; others alone."""
    found: list[str] = []
    last = -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or token.string.startswith(
            ("# type:", "# noqa", "# fmt:")
        ):
            continue
        words = token.string.lstrip("#").strip()
        is_alone = not token.line[: token.start[1]].strip()
        if is_alone and last == token.start[0] - 1:
            found[-1] += "\n" + words
        else:
            found.append(words)
        last = token.start[0] if is_alone else -1
    return found


def paragraphs(text: str) -> list[str]:
    """Blocks of lines at the outer margin. What is indented is a picture, a table or an example."""
    lines = text.expandtabs().splitlines()
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()), default=0)
    found, block = [], []
    for line in [*lines[:1], *(line[margin:] for line in lines[1:]), ""]:
        is_new = re.match(r"(Rule \d+:|[-*] |\d+\. )", line)
        if (not line.strip() or is_new or line.startswith("  ")) and block:
            found.append(" ".join(block))
            block = []
        if line.strip() and not line.startswith("  "):
            block.append(line.strip())
    return found


def sentences(text: str) -> list[str]:
    return [
        sentence
        for paragraph in paragraphs(text)
        for sentence in re.split(r"(?<=[.!?])[)\"']*\s+", paragraph)
        if re.search(r"[A-Za-z]{2}", sentence)
    ]


def count_words(sentence: str) -> int:
    return len(re.findall(r"[A-Za-z0-9_'’./-]*[A-Za-z0-9]", sentence))


class Prose:
    def __init__(self, name: str) -> None:
        text = (ROOT / name).read_text(encoding="utf-8")
        tree = ast.parse(text)
        docs = docstrings(tree)
        self.texts = [each.value for each in docs] + comments(text)
        self.sentences = [sentence for each in self.texts for sentence in sentences(each)]
        self.names = [
            node.name.replace("_", " ")
            for node in ast.walk(tree)
            if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        ]
        self.said = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs
        ]


WEB = sorted((ROOT / "bridge/broker/web").glob("*.[chj][st]*"))
WEB_COMMENT = re.compile(r"/\*.*?\*/|<!--.*?-->|(?<![:\"])//[^\n]*", re.DOTALL)
PROSE = {name: Prose(name) for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_things_are_not_people(name):
    prose = PROSE[name]
    # What a test's strings say is often a ticket's text, which may be any.
    texts = prose.texts + prose.names + (prose.said if name.startswith("bridge/") else [])
    found = [text for text in texts if NEVER.search(text)]
    if not name.startswith(AT_A_KEYBOARD):
        found += [text for text in texts if PEOPLE.search(text)]
    assert not found, f"{name}: {found}"


@pytest.mark.parametrize("path", WEB, ids=lambda path: path.name)
def test_the_comments_of_the_page_name_no_people(path):
    comments_of_page = WEB_COMMENT.findall(path.read_text(encoding="utf-8"))
    assert not [each for each in comments_of_page if NEVER.search(each) or PEOPLE.search(each)]


@pytest.mark.parametrize("name", FILES)
def test_sentences_are_short(name):
    long = [
        (count_words(each), each)
        for each in PROSE[name].sentences
        if count_words(each) > SENTENCE_MAX
    ]
    assert not long, f"{name}: {long}"


@pytest.mark.parametrize("name", FILES)
def test_a_module_reads_easily(name):
    counts = [count_words(each) for each in PROSE[name].sentences]
    if len(counts) >= MEDIAN_OF:
        assert statistics.median(counts) <= MEDIAN_MAX, f"{name}: {statistics.median(counts)}"


def test_the_laws_can_be_broken():
    assert sentences("One two. Three\nfour!\n\n    a ─► picture\n\nRule 1: five\nRule 2: six") == [
        "One two.", "Three four!", "Rule 1: five", "Rule 2: six",
    ]  # fmt: skip
    assert count_words("It's 3 of `a_b`, half-open - yes.") == 6
    assert NEVER.search("before he tells") and not NEVER.search("the other")
    assert comments("x = 1  # one\n# two\n# three\ny = 2  # four\n") == [
        "one",
        "two\nthree",
        "four",
    ]

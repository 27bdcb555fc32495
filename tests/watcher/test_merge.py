"""The roster: agents from the command line and from files, and which source wins."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import UsageError
from bridge.watcher.discovery.merge import Assignment, merge, read_file, read_words


@pytest.mark.parametrize(
    "word, expected",
    [
        ("lucy=dev-lucy:0", Assignment("lucy", "dev-lucy", "0")),
        ("lucy=dev-lucy:1.2", Assignment("lucy", "dev-lucy", "1.2")),
        ("lucy=dev-lucy:%7", Assignment("lucy", "dev-lucy", "%7")),
        ("bob=%7", Assignment("bob", "", "%7")),
        ("bob=a session = two:0", Assignment("bob", "a session = two", "0")),
    ],
)
def test_an_assignment_from_the_command_line(word, expected):
    assert read_words([word], False) == {expected.agent: expected}


@pytest.mark.parametrize(
    "word",
    [
        "lucy",
        "lucy=",
        "lucy=dev-lucy",
        "lucy=:0",
        "lucy=dev-lucy:",
        "=dev-lucy:0",
        "lucy=7",
        "a\nb=dev:0",
        "x" * 129 + "=dev:0",
    ],
)
def test_an_invalid_word_is_refused(word):
    with pytest.raises(UsageError):
        read_words([word], False)


def test_bare_agent_names_and_a_repeated_one():
    assert read_words(["lucy", "a=b"], True) == {
        "lucy": Assignment("lucy"),
        "a=b": Assignment("a=b"),
    }
    with pytest.raises(UsageError, match="twice"):
        read_words(["lucy", "lucy"], True)


@pytest.mark.parametrize(
    "word", ["lucy=dev-lucy:0", "lucy=dev-lucy:1.0", "lucy=%7", "lucy=a session: with colons:0"]
)
def test_a_pane_is_refused_when_tickets_go_to_no_pane(word):
    with pytest.raises(
        UsageError, match="names a pane, and --print and --exec need none: write lucy$"
    ):
        read_words([word], True)


def test_two_agents_may_name_one_pane_only_with_share_pane():
    words = ["lucy=dev:0", "max=dev:1", "bob=dev:0"]
    with pytest.raises(
        UsageError, match="^'bob=dev:0': agents 'lucy' and 'bob' name one pane; .*--share-pane"
    ):
        read_words(words, False)
    assert set(read_words(words, False, may_share=True)) == {"lucy", "max", "bob"}
    assert set(read_words(["lucy", "bob"], True)) == {"lucy", "bob"}
    text = '{"lucy": "%3",\n "max": "dev:3",\n "bob": {"pane": "%3", "form": "agent"}}'
    with pytest.raises(
        UsageError, match="^agents.json line 3: agents 'lucy' and 'bob' name one pane"
    ):
        read_file(text, "agents.json")
    assert (
        len(read_file(text, "agents.json", may_share=True))
        == len(read_file(text, "agents.json", is_bare=True))
        == 3
    )


def test_a_file():
    text = (
        '\n{"lucy": "dev-lucy:0",\n'
        ' "bob": {"session": "dev-bob", "pane": "0.1", "form": "agent"}, "cy": {"pane": "%3"}\n}\n'
    )
    assert read_file(text, "f") == {
        "lucy": Assignment("lucy", "dev-lucy", "0"),
        "bob": Assignment("bob", "dev-bob", "0.1", "agent"),
        "cy": Assignment("cy", "", "%3"),
    }
    assert read_file(" {} ", "f") == {}
    assert read_file('{"lucy": null, "bob": "dev:0"}', "f", is_bare=True) == {
        "lucy": Assignment("lucy"),
        "bob": Assignment("bob"),
    }


@pytest.mark.parametrize(
    "text, line",
    [
        ("", 1),
        ("[]", 1),
        ('{"a": "s:0"', 1),
        ('{"a": "s:0",\n}', 2),
        ('{"a": "s:0"\n "b": "s:1"}', 2),
        ('{\n"a": "s:0",\n"b" "s:1"}', 3),
        ('{\n"a": "s:0",\n"b": nonsense}', 3),
        ('{\n"a": "s:0",\n"b": "nopane"}', 3),
        ('{\n"a": "s:0",\n"a": "s:1"}', 3),
        ('{\n"a": "s:0",\n\n"b": 5}', 4),
        ('{\n"a": {"session": "s", "pane": "0", "form": "big"}}', 2),
        ('{\n"a": {"session": "s", "pane": 0}}', 2),
        ('{\n"a": {"session": "s", "pane": "0", "colour": "red"}}', 2),
        ('{\n"": "s:0"}', 2),
        ('{"a": "s:0"}\n{}', 2),
        ('{"a": "s:0", "unclosed', 1),
    ],
)
def test_a_mistake_in_a_file_names_its_line(text, line):
    with pytest.raises(UsageError, match=f"^agents.json line {line}: "):
        read_file(text, "agents.json")


def test_a_very_deeply_nested_file_is_refused():
    with pytest.raises(UsageError):
        read_file('{"a": ' + "[" * 100_000, "f")


@given(st.text(alphabet='{}[]":,\\ \nab0%n\u0000', max_size=40))
def test_any_file_is_read_or_raises_a_usage_error(text):
    try:
        assert set(read_file(text, "f")) == set(json.loads(text))
    except UsageError:
        pass


def test_the_first_source_that_names_an_agent_wins():
    one, other = Assignment("a", "one", "0"), Assignment("a", "other", "0")
    assert list(merge({"c": one, "a": one}, {"b": other, "a": other}).items()) == [
        ("c", one),
        ("a", one),
        ("b", other),
    ]

"""The agents to serve and their panes: from words of a command line, a file, or several merged.

    lucy=dev-lucy:0         session, and pane: an index, window.pane or %N
    bob=%7                  a pane by its id alone
    {"lucy": "dev-lucy:0", "bob": {"session": "dev-bob", "pane": "0", "form": "agent"}}

An agent that is named twice is an error here. So are two agents that name one pane in the
same words, unless agents may share a pane. Only tmux can see that two different words
(`dev:0` and `dev:0.0`) are one pane, see tmux/injection/tenancy.py.
Pure. Errors are UsageErrors that name the word, or the file and its line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

# The only function of json that returns where a key ends.
from json.decoder import scanstring  # type: ignore[attr-defined]

from bridge.errors import BadValue, UsageError
from bridge.ticket import check_name

FORMS = ("", "auto", "agent", "shell")
_SPACE = re.compile(r"[ \t\r\n]*")
_PANE_ID = re.compile(r"%\d+")


@dataclass(frozen=True)
class Assignment:
    """One agent and its pane. Both names are empty if its tickets go to no pane."""

    agent: str
    session: str = ""
    pane: str = ""
    form: str = ""  # as --form; "" = the value of --form


Roster = Mapping[str, Assignment]


def read_word(word: str, is_bare: bool) -> Assignment:
    """One argument. `is_bare`: agents have no panes."""
    agent, equals, target = word.partition("=")
    if is_bare and equals and _is_target(target):
        raise UsageError(f"{word!r} names a pane, and --print and --exec need none: write {agent}")
    if is_bare:
        return Assignment(_checked(word, f"{word!r}"))
    if not equals:
        raise UsageError(
            f"{word!r} names no pane; write {word}=SESSION:PANE or {word}=%N, "
            "or use --print or --exec CMD"
        )
    return Assignment(_checked(agent, f"{word!r}"), *read_target(target, f"{word!r}"))


def read_words(words: list[str], is_bare: bool, may_share: bool = False) -> dict[str, Assignment]:
    found: dict[str, Assignment] = {}
    for word in words:
        assignment = read_word(word, is_bare)
        if assignment.agent in found:
            raise UsageError(f"agent {assignment.agent!r} is named twice")
        _check_alone(assignment, found, f"{word!r}", is_bare or may_share)
        found[assignment.agent] = assignment
    return found


def _check_alone(assignment: Assignment, found: Roster, where: str, may_share: bool) -> None:
    """Raises UsageError if another agent names the same pane."""
    for other in found.values():
        if not may_share and (other.session, other.pane) == (assignment.session, assignment.pane):
            way_out = "give each agent a pane of its own, or ask for it (--share-pane)"
            raise UsageError(
                f"{where}: agents {other.agent!r} and {assignment.agent!r} name one pane; {way_out}"
            )


def _is_target(text: str) -> bool:
    try:
        return bool(read_target(text, ""))
    except UsageError:
        return False


def read_target(text: str, where: str) -> tuple[str, str]:
    """(session, pane). A session's name cannot hold a colon."""
    if _PANE_ID.fullmatch(text):
        return "", text
    session, colon, pane = text.rpartition(":")
    if not colon or not session or not pane:
        raise UsageError(
            f"{where}: {text!r} is no pane; write SESSION:PANE (dev-lucy:0, dev-lucy:1.0) "
            "or a pane's id (%7)"
        )
    return session, pane


def read_file(
    text: str, path: str, is_bare: bool = False, may_share: bool = False
) -> dict[str, Assignment]:
    """Read a JSON object of agents. Raises UsageError that names the line.

    `is_bare`: panes in the file are ignored.
    """
    found: dict[str, Assignment] = {}
    try:
        for line, agent, value in _members(text):
            where = f"{path} line {line}"
            if agent in found:
                raise UsageError(f"{where}: agent {agent!r} is named twice")
            assignment = (
                Assignment(_checked(agent, where))
                if is_bare
                else _read_entry(_checked(agent, where), value, where)
            )
            _check_alone(assignment, found, where, is_bare or may_share)
            found[agent] = assignment
    except json.JSONDecodeError as error:
        raise UsageError(f"{path} line {error.lineno}: {error.msg}") from None
    except RecursionError:
        raise UsageError(f"{path} is nested too deeply") from None
    return found


def _read_entry(agent: str, value: object, where: str) -> Assignment:
    if isinstance(value, str):
        return Assignment(agent, *read_target(value, where))
    if not isinstance(value, dict):
        raise UsageError(
            f'{where}: {agent!r} must be "SESSION:PANE" or an object with session, pane '
            "and perhaps form"
        )
    strange = sorted(set(value) - {"session", "pane", "form"})
    texts = {name: value.get(name, "") for name in ("session", "pane", "form")}
    if strange or not all(isinstance(text, str) for text in texts.values()):
        raise UsageError(
            f"{where}: {agent!r} may have session, pane and form, each a text; "
            f"it has {strange or texts}"
        )
    if texts["form"] not in FORMS:
        raise UsageError(
            f"{where}: form is {texts['form']!r}; it must be one of {', '.join(FORMS[1:])}"
        )
    target = f"{texts['session']}:{texts['pane']}" if texts["session"] else texts["pane"]
    return Assignment(agent, *read_target(target, where), texts["form"])


def _members(text: str) -> Iterator[tuple[int, str, object]]:
    """(line, key, value) of a JSON object, repeated keys too. json.loads reports neither."""
    decoder, position = json.JSONDecoder(), _skip(text, 0)
    if text[position : position + 1] != "{":
        raise json.JSONDecodeError(
            'the file must be an object: {"AGENT": "SESSION:PANE"}', text, position
        )
    position = _skip(text, position + 1)
    if text[position : position + 1] == "}":
        return _check_end(text, position + 1)
    while True:
        if text[position : position + 1] != '"':
            raise json.JSONDecodeError(
                "an agent's name in double quotes is missing here", text, position
            )
        line = text.count("\n", 0, position) + 1
        key, position = scanstring(text, position + 1, True)
        position = _skip(text, position)
        if text[position : position + 1] != ":":
            raise json.JSONDecodeError("a colon is missing here", text, position)
        value, position = decoder.raw_decode(text, _skip(text, position + 1))
        yield line, key, value
        position = _skip(text, position)
        if text[position : position + 1] == "}":
            return _check_end(text, position + 1)
        if text[position : position + 1] != ",":
            raise json.JSONDecodeError(
                "a comma, or the closing brace, is missing here", text, position
            )
        position = _skip(text, position + 1)


def _check_end(text: str, position: int) -> None:
    if _skip(text, position) != len(text):
        raise json.JSONDecodeError("something follows the object", text, _skip(text, position))


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _checked(agent: str, where: str) -> str:
    try:
        return check_name(agent, "the agent's name")
    except BadValue as error:
        raise UsageError(f"{where}: {error}") from None


def merge(*rosters: Roster) -> dict[str, Assignment]:
    """All of them. If two name one agent, the earlier one wins.

    Earlier agents also come first. They have precedence if two agents name one pane, or if there
    is no room for all.
    """
    merged: dict[str, Assignment] = {}
    for roster in rosters:
        merged.update({agent: each for agent, each in roster.items() if agent not in merged})
    return merged

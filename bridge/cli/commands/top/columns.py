"""The table of agents: which columns fit into a width, their content, and how they sort.

Rule 1: columns are left out, from the end of PRIORITY, until the others fit. AGENT and
BACKLOG always stay.
Rule 2: the rest of the width goes to WAITS FOR: the reason is what the reader looks for.
Rule 3: a column sorts by its value, not by its text. Unknown values come last in both
directions. Equal values are sorted by name, so that no row jumps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Union

from bridge.cli.cells import text_width
from bridge.cli.local_time import read_at, short_span
from bridge.cli.safe_text import one_line
from bridge.client.observation import AgentView

Value = Union[str, float, None]
TIERS = {"sse": "stream", "longpoll": "lpoll", "poll": "poll", "none": "-"}
GAP = 1  # blank cells between columns
NAME_MIN, NAME_MAX = 8, 28  # cells of an agent's name
# Cells of WAITS FOR. Below the first it is left out; up to the second it comes before all
# columns but the urgent ones.
WAITS_MIN, WAITS_GOOD = 12, 26
SUBJECT = "the pane is "  # the beginning of most reasons; left out in a table of agents
PLACE_MAX = 24  # cells of session:pane


@dataclass(frozen=True)
class Column:
    key: str  # its name for --sort
    title: str
    value: Callable[[AgentView, float], Value]
    text: Callable[[AgentView, float], str]
    width: int = 0  # cells; 0 = as wide as its content
    is_right: bool = False
    is_descending: bool = False  # its own direction


def waits(agent: AgentView) -> str:
    """Why the agent's tickets wait, in a few words."""
    if agent.waiting is not None:
        return agent.waiting.reason
    if agent.health == "lost":
        return "the pane is lost"
    if agent.pending and not agent.is_connected:
        return "no watcher"
    return ""


def place(agent: AgentView) -> str:
    return ":".join(filter(None, (agent.session, agent.pane)))


def _age(at: str, now: float) -> float | None:
    seconds = read_at(at)
    return None if seconds is None else max(0.0, now - seconds)


def _age_text(at: str, now: float) -> str:
    age = _age(at, now)
    return "" if age is None else short_span(age)


def _waits_since(agent: AgentView, now: float) -> Value:
    if not waits(agent):
        return None
    return _age(agent.waiting.since_at if agent.waiting else agent.oldest_at, now) or 0.0


COLUMNS = (
    Column("agent", "AGENT", lambda agent, now: agent.agent_id, lambda agent, now: agent.agent_id),
    Column(
        "backlog",
        "BACKLOG",
        lambda agent, now: agent.pending,
        lambda agent, now: str(agent.pending or "-"),
        8,
        True,
        True,
    ),
    Column(
        "oldest",
        "OLDEST",
        lambda agent, now: _age(agent.oldest_at, now),
        lambda agent, now: _age_text(agent.oldest_at, now),
        7,
        True,
        True,
    ),
    Column(
        "status",
        "STATUS",
        lambda agent, now: agent.status,
        lambda agent, now: agent.status,
        8,
        False,
        True,
    ),
    Column(
        "tier",
        "TIER",
        lambda agent, now: agent.connection,
        lambda agent, now: TIERS.get(agent.connection, agent.connection),
        6,
    ),
    Column(
        "health",
        "HEALTH",
        lambda agent, now: agent.health or None,
        lambda agent, now: agent.health or "-",
        7,
    ),
    Column(
        "queued",
        "QUEUED",
        lambda agent, now: agent.queued,
        lambda agent, now: "" if agent.queued is None else str(agent.queued),
        7,
        True,
        True,
    ),
    Column(
        "heartbeat",
        "SEEN",
        lambda agent, now: _age(agent.last_heartbeat, now),
        lambda agent, now: _age_text(agent.last_heartbeat, now),
        5,
        True,
    ),
    Column(
        "type", "TYPE", lambda agent, now: agent.type or None, lambda agent, now: agent.type, 10
    ),
    Column(
        "place", "PANE", lambda agent, now: place(agent) or None, lambda agent, now: place(agent)
    ),
    Column(
        "waits",
        "WAITS FOR",
        _waits_since,
        lambda agent, now: waits(agent).removeprefix(SUBJECT),
        0,
        False,
        True,
    ),
)
BY_KEY = {column.key: column for column in COLUMNS}
DEFAULT_SORT = "backlog"
PRIORITY = (
    "agent",
    "backlog",
    "waits",
    "tier",
    "oldest",
    "health",
    "status",
    "place",
    "heartbeat",
    "queued",
    "type",
)
URGENT = frozenset({"tier", "oldest"})


@dataclass(frozen=True)
class Placed:
    """A column with its width in cells."""

    column: Column
    width: int


def arrange(
    agents: Sequence[AgentView], width: int, safe: Callable[[str], str] = one_line
) -> tuple[Placed, ...]:
    """The columns for `width` cells, in their order on the screen.

    `safe` makes a text visible, which may widen it.
    """
    wanted = {key: _wanted(BY_KEY[key], agents, safe) for key in PRIORITY}
    # A long name must not push out more important columns.
    kept: dict[str, int] = {
        "agent": min(wanted["agent"], max(NAME_MIN + 4, width // 4)),
        "backlog": wanted["backlog"],
    }
    left = width - sum(kept.values()) - GAP
    left -= GAP
    if left >= WAITS_MIN:
        for key in PRIORITY[3:]:
            if left - wanted[key] - GAP >= (WAITS_MIN if key in URGENT else WAITS_GOOD):
                kept[key] = wanted[key]
                left -= wanted[key] + GAP
        kept["waits"] = left
    return tuple(Placed(column, kept[column.key]) for column in COLUMNS if column.key in kept)


def _wanted(column: Column, agents: Sequence[AgentView], safe: Callable[[str], str]) -> int:
    if column.width:
        return column.width
    longest = max((text_width(safe(column.text(agent, 0.0))) for agent in agents), default=0)
    low, high = (NAME_MIN, NAME_MAX) if column.key == "agent" else (len(column.title), PLACE_MAX)
    return max(low, min(high, longest))


def in_order(
    agents: Iterable[AgentView], key: str, is_reversed: bool, now: float
) -> list[AgentView]:
    """The agents sorted by a column, in its own direction or the opposite one."""
    column = BY_KEY[key]
    known: list[tuple[Any, AgentView]] = []
    unknown: list[AgentView] = []
    for agent in sorted(agents, key=lambda each: each.agent_id):
        value = column.value(agent, now)
        if value is None:
            unknown.append(agent)
        else:
            known.append((value, agent))
    is_down = column.is_descending is not is_reversed
    known.sort(key=lambda pair: pair[0], reverse=is_down)
    return [agent for _, agent in known] + unknown


def agent_matches(agent: AgentView, text: str) -> bool:
    return matches(
        text,
        agent.agent_id,
        agent.type,
        agent.session,
        agent.status,
        agent.connection,
        agent.health,
        waits(agent),
    )


def matches(text: str, *fields: str) -> bool:
    """Whether one of the fields contains the text, without regard to case."""
    return any(text.casefold() in field.casefold() for field in fields)

"""The table of agents: the columns that fit, and the order of the rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli.commands.top.columns import (
    BY_KEY,
    COLUMNS,
    GAP,
    PRIORITY,
    WAITS_GOOD,
    arrange,
    in_order,
    waits,
)
from bridge.client.observation import AgentView, WaitingReason

AGENTS = [
    AgentView(
        "lucy",
        pending=3,
        oldest_at="2026-11-22T12:00:00.000Z",
        connection="sse",
        status="online",
        session="dev-lucy",
        pane="0",
    ),
    AgentView(
        "max",
        pending=10,
        oldest_at="2026-11-22T11:00:00.000Z",
        waiting=WaitingReason("the pane is at a password prompt", "2026-11-22T11:30:00.000Z"),
        connection="poll",
    ),
    AgentView("ann", health="lost", connection="sse"),
    AgentView("bob"),
]
NOW = 1795350000.0  # later than all of them


def keys(width: int) -> list:
    return [placed.column.key for placed in arrange(AGENTS, width)]


def test_every_column_has_its_place():
    assert {column.key for column in COLUMNS} == set(PRIORITY)


@pytest.mark.parametrize(
    "width, shown",
    [
        (20, "agent backlog"),
        (38, "agent backlog tier waits"),
        (78, "agent backlog oldest status tier health waits"),
        (108, "agent backlog oldest status tier health queued heartbeat place waits"),
        (200, "agent backlog oldest status tier health queued heartbeat type place waits"),
    ],
)
def test_columns_for_a_width(width, shown):
    assert " ".join(keys(width)) == shown


@given(
    st.integers(21, 300),
    st.lists(st.sampled_from(AGENTS + [AgentView("漢" * 40, session="s" * 300)]), max_size=4),
)
def test_columns_fill_the_width_and_never_more(width, agents):
    placed = arrange(agents, width)
    total = sum(each.width for each in placed) + GAP * (len(placed) - 1)
    assert total <= width and all(each.width > 0 for each in placed)
    if placed[-1].column.key == "waits":
        assert total == width and (len(placed) <= 5 or placed[-1].width >= WAITS_GOOD)


@pytest.mark.parametrize(
    "key, is_reversed, names",
    [
        ("agent", False, "ann bob lucy max"),
        ("agent", True, "max lucy bob ann"),
        ("backlog", False, "max lucy ann bob"),
        ("backlog", True, "ann bob lucy max"),
        ("oldest", False, "max lucy ann bob"),  # agents without tickets come last,
        ("oldest", True, "lucy max ann bob"),  # in both directions
        ("tier", False, "bob max ann lucy"),
        ("waits", False, "max ann bob lucy"),
    ],
)
def test_order(key, is_reversed, names):
    assert " ".join(agent.agent_id for agent in in_order(AGENTS, key, is_reversed, NOW)) == names


@given(st.permutations(AGENTS), st.sampled_from(list(BY_KEY)), st.booleans())
def test_the_order_does_not_depend_on_the_order_before(agents, key, is_reversed):
    assert in_order(agents, key, is_reversed, NOW) == in_order(AGENTS, key, is_reversed, NOW)


@pytest.mark.parametrize(
    "agent, text",
    [
        (AGENTS[1], "the pane is at a password prompt"),
        (AGENTS[2], "the pane is lost"),
        (AgentView("a", pending=1), "no watcher"),
        (AgentView("a", pending=1, connection="sse"), ""),
        (AgentView("a"), ""),
    ],
)
def test_why_it_waits(agent, text):
    assert waits(agent) == text

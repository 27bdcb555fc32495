"""Overviews, events and searches, parsed from any JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.client.observation import (
    AgentView,
    Missed,
    Overview,
    SearchPage,
    StageEvent,
    WaitingReason,
    decode_event,
)
from bridge.errors import PeerError

NAMES = [
    "agentId",
    "status",
    "pending",
    "waiting",
    "reason",
    "sinceAt",
    "totals",
    "timeline",
    "accepted",
    "p50Ms",
    "latency",
    "delivered",
    "agents",
    "evidence",
    "tickets",
    "ticketId",
    "nextBefore",
    "events",
    "stepMs",
    "queued",
]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=20,
)


@given(values)
def test_any_json_is_a_value_or_a_peer_error(content):
    for read in (
        Overview.from_json,
        AgentView.from_json,
        StageEvent.from_json,
        SearchPage.from_json,
    ):
        try:
            read(content)
        except PeerError as error:
            assert error.status == 502


@given(
    st.sampled_from(["stage", "agent", "missed", "heartbeat", "later"]),
    values.map(json.dumps) | st.text(max_size=20),
)
def test_any_event_is_a_value_or_none_or_a_peer_error(name, data):
    try:
        told = decode_event(name, data)
    except PeerError:
        return
    assert isinstance(
        told, {"stage": StageEvent, "agent": AgentView, "missed": Missed}.get(name, type(None))
    )


def test_an_agent_with_all_its_fields():
    fields = {
        "agentId": "lucy",
        "type": "claude",
        "registered": False,
        "status": "online",
        "connection": "sse",
        "health": "busy",
        "session": "dev",
        "pane": "0",
        "pending": 2,
        "oldestPendingAt": "A",
        "waiting": {"ticketId": None, "reason": "why", "sinceAt": "S"},
        "queued": 1,
        "lastHeartbeat": None,
    }
    assert AgentView.from_json(fields) == AgentView(
        "lucy",
        "claude",
        "online",
        "sse",
        "busy",
        "dev",
        "0",
        2,
        "A",
        WaitingReason("why", "S"),
        1,
        "",
        False,
    )


@pytest.mark.parametrize(
    "fields, is_gone",
    [
        ({"registered": False}, True),
        ({"registered": True}, False),
        ({}, False),
        ({"registered": False, "pending": 1}, False),
        ({"registered": False, "connection": "sse"}, False),
    ],
)
def test_an_agent_that_has_left_the_overview(fields, is_gone):
    assert AgentView.from_json({"agentId": "a", **fields}).is_gone is is_gone


def test_a_number_of_any_length_is_read():
    """A broker before 1.0 forwarded any number of a watcher, and Python's json parses it."""
    fields = json.loads(f'{{"agentId": "a", "queued": {"9" * 400}, "pending": -{"9" * 400}}}')
    assert AgentView.from_json(fields) == AgentView("a")
    assert Overview.from_json({"agents": [fields], "totals": fields}).agents == (AgentView("a"),)
    assert decode_event("agent", json.dumps(fields)) == AgentView("a")


def test_values_that_are_not_numbers_are_ignored():
    found = Overview.from_json(
        {
            "totals": {"pending": 1e400, "accepted": 2.0, "agents": True},
            "timeline": {"accepted": [1, None, "x"], "p50Ms": [0.5, None]},
        }
    )
    assert (
        found.totals == {"accepted": 2}
        and found.timeline.accepted == (1, 0, 0)
        and found.timeline.p50_ms == (0.5, None)
    )

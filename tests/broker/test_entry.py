"""Entry: its bytes never change, its state is a value, and its memo restores that state."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.entry import NEW, Entry
from bridge.broker.transitions import acknowledged, claimed, expired, replied
from bridge.timestamp import rfc3339
from broker.seams import WALL_MS, make_entry

NOW = 1000.0
evidence = st.dictionaries(
    st.text(max_size=5),
    st.none()
    | st.integers()
    | st.text(alphabet=st.characters(blacklist_categories=()), max_size=5),
    max_size=3,
)


@st.composite
def states(draw):
    state = NEW
    for verb in draw(
        st.lists(st.sampled_from(["claim", "acknowledge", "reply", "expire"]), max_size=4)
    ):
        at = WALL_MS + draw(st.integers(0, 10**6))
        if verb == "reply" and state.response is None and state.status != "expired":
            state = replied(state, draw(evidence), draw(evidence), at)
        elif state.is_final:
            continue
        elif verb == "claim":
            state = (
                claimed(state, draw(st.sampled_from(["w", "é"])), 5000, NOW, WALL_MS)
                if state.claim is None
                else state
            )
        elif verb == "acknowledge":
            state = acknowledged(state, draw(st.sampled_from(["", "w"])), draw(evidence), at)
        elif verb == "expire":
            state = expired(state, at)
    return state


@given(states(), st.booleans())
def test_a_memo_restores_the_state(state, was_streamed):
    entry = make_entry(3, data=b'{"a":1}')
    if was_streamed:
        entry.mark_streamed(WALL_MS + 7, "poll")
    memo = entry.memo(state)
    memo.encode("utf-8")
    again = make_entry(3, data=b'{"a":1}')
    again.restore(state.status, state.updated_ms, memo, WALL_MS, NOW)
    assert (
        again.is_born
        and again.state == state
        and (again.streamed_ms, again.streamed_by) == (entry.streamed_ms, entry.streamed_by)
    )
    assert again.head is again.state


def test_without_a_memo_the_ticket_is_new():
    entry = make_entry(1)
    entry.restore("pending", 0, None, WALL_MS, NOW)
    assert entry.state == NEW and entry.history() == [{"stage": "accepted", "at": rfc3339(WALL_MS)}]


@given(states())
def test_the_json_form_shows_the_state(state):
    entry = Entry(
        9,
        "t9",
        "lucy",
        json.dumps(
            {"ticketId": "t9", "status": "pending", "response": None, "updatedAt": "then"}
        ).encode(),
        WALL_MS,
        5,
    )
    entry.state, data = state, entry.data
    shown = entry.to_json()
    assert shown["status"] == state.status and shown["response"] == state.response
    assert shown["updatedAt"] == (rfc3339(state.updated_ms) if state.updated_ms else "then")
    assert ("latencyMs" in shown) == (state.response is not None)
    if state.response is not None:
        assert shown["latencyMs"] == max(0, state.responded_ms - WALL_MS)
    assert entry.data == data
    assert [each["stage"] for each in entry.history()][:1] == ["accepted"] and entry.history()[
        1:
    ] == list(state.stages)


def test_a_proposed_change_is_the_head_and_not_yet_the_state():
    entry = make_entry(1)
    entry.next = expired(NEW, WALL_MS)
    assert (
        entry.head.status == "expired"
        and entry.state is NEW
        and entry.to_json()["status"] == "pending"
    )


@given(st.integers(1, 10**6), st.integers(-(10**9), 10**9))
def test_a_restart_never_extends_a_lease_or_a_time_to_live(lease_ms, set_by_ms):
    """This holds for any change of the wall clock between the two runs."""
    entry = make_entry(1, ttl_ms=5000)
    memo = entry.memo(claimed(NEW, "w", lease_ms, NOW, WALL_MS))
    entry.restore("pending", 0, memo, WALL_MS + set_by_ms, NOW)
    claim, left = entry.state.claim, entry.state.claim.until - NOW
    assert 0 <= left < lease_ms / 1000 + 1e-6
    assert left == 0 or claim.until_ms == WALL_MS + set_by_ms + round(left * 1000)
    assert entry.expires_at - NOW <= 5.000001 and entry.accepted_at <= NOW


def test_a_longer_lease_of_an_older_version_is_cut_to_one_hour():
    memo = json.dumps({"claim": ["w", WALL_MS + 86_400_000]})
    entry = make_entry(1)
    entry.restore("pending", 0, memo, WALL_MS, NOW)
    claim = entry.state.claim
    assert (claim.until, claim.until_ms) == (NOW + 3600, WALL_MS + 3_600_000)

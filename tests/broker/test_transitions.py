"""Every cell of the table in the docstring of transitions.py. The test reads that docstring."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.broker import transitions
from bridge.broker.entry import NEW, STAGES_MAX, TicketState, with_stage
from bridge.broker.transitions import (
    SHOWN_MAX,
    acknowledged,
    aside,
    claimed,
    dropped,
    expired,
    replied,
    shown,
)
from bridge.errors import Reason, RequestError
from broker.seams import WALL_MS

NOW = 1000.0
START = {"pending": NEW}
START["delivered"] = acknowledged(NEW, "w", {}, WALL_MS)
START["responded"] = replied(NEW, "yes", {}, WALL_MS)
START["expired"] = expired(NEW, WALL_MS)
START["dropped"] = dropped(NEW, WALL_MS)
VERBS = {
    "claim": lambda state: claimed(state, "w", 1000, NOW, WALL_MS + 1),
    # The callers of `acknowledged` check `is_acknowledgeable` first.
    "acknowledge": lambda state: (
        acknowledged(state, "w", {}, WALL_MS + 1) if state.is_acknowledgeable else state
    ),
    "reply": lambda state: replied(state, {"a": 1}, {}, WALL_MS + 1),
    "expire": lambda state: state if state.is_final else expired(state, WALL_MS + 1),
    "drop": lambda state: state if state.is_final else dropped(state, WALL_MS + 1),
    "show": lambda state: shown(state, {"pane": "%1"}, WALL_MS + 1),
    "aside": lambda state: aside(state, "w", "it fails", WALL_MS + 1),
}


def table() -> dict:
    lines = [
        line.replace("(as it is)", "same").split() for line in transitions.__doc__.splitlines()
    ]
    head, *rows = [words for words in lines if words and words[0] in ("status", *START)]
    assert head == ["status", *VERBS] and [row[0] for row in rows] == list(START)
    return {(row[0], verb): cell for row in rows for verb, cell in zip(VERBS, row[1:])}


def test_the_table_is_total():
    assert set(table()) == set(itertools.product(START, VERBS))


@pytest.mark.parametrize("status, verb", list(itertools.product(START, VERBS)))
def test_each_cell(status, verb):
    wanted, before = table()[status, verb], START[status]
    if wanted == "409":
        with pytest.raises(RequestError) as caught:
            VERBS[verb](before)
        assert caught.value.reason is Reason.CONFLICT
    elif wanted == "same":
        assert VERBS[verb](before) is before
    else:
        after = VERBS[verb](before)
        assert after.status == wanted and len(after.stages) == len(before.stages) + 1
        assert after.claim is None or wanted == "pending"
        assert before == START[status], "a state is a value"
        assert verb != "acknowledge" or not after.is_acknowledgeable, "once"


def test_only_the_watcher_with_the_lease_sets_a_ticket_aside_and_only_once():
    held = claimed(NEW, "w", 1000, NOW, WALL_MS)
    with pytest.raises(RequestError) as caught:
        aside(held, "another", "it fails", WALL_MS)
    assert caught.value.extra["status"] == "pending"
    free = aside(held, "w", "it fails", WALL_MS)
    assert free.claim is None and free.stages[-1]["evidence"] == {"reason": "it fails"}
    assert aside(free, "w", "it fails", WALL_MS + 1) is free
    assert (
        len(aside(claimed(free, "x", 1000, NOW, WALL_MS), "x", "", WALL_MS).stages)
        == len(free.stages) + 2
    )


PLACES = st.fixed_dictionaries(
    {},
    optional={
        "pane": st.sampled_from(["%1", "%2"]),
        "tty": st.sampled_from([f"/dev/pts/{number}" for number in range(9)]),
    },
)


@given(st.sampled_from(sorted(START)), st.lists(PLACES, max_size=40))
def test_each_place_is_kept_once_and_many_places_evict_no_other_stage(status, places):
    before = state = START[status]
    for place in places:
        kept = [stage["evidence"] for stage in state.stages if stage["stage"] == "shown"]
        after = shown(state, place, WALL_MS)
        assert (after is state) == (place in kept)
        state = after
    kept = [stage["evidence"] for stage in state.stages if stage["stage"] == "shown"]
    assert len(kept) <= SHOWN_MAX and (not places or places[-1] in kept), "the newest is kept"
    assert [stage for stage in state.stages if stage["stage"] != "shown"] == list(before.stages)
    assert (state.status, state.updated_ms, state.claim, state.response) == (
        before.status,
        before.updated_ms,
        before.claim,
        before.response,
    )


@given(
    st.sampled_from(["w1", "w2"]),
    st.sampled_from(["w1", "w2"]),
    st.integers(1, 10**6),
    st.floats(0, 2000),
    st.integers(1, 10**6),
)
def test_a_lease_excludes_other_watchers_until_it_ends(first, second, lease_ms, gap, renewal_ms):
    held = claimed(NEW, first, lease_ms, NOW, WALL_MS)
    now, wall_ms = NOW + gap, WALL_MS + int(gap * 1000)
    is_running = held.claim.until > now
    if is_running and first != second:
        with pytest.raises(RequestError) as caught:
            claimed(held, second, renewal_ms, now, wall_ms)
        assert caught.value.extra == {
            "status": "pending",
            "leaseUntilAt": transitions.rfc3339(WALL_MS + lease_ms),
        }
        return
    again = claimed(held, second, renewal_ms, now, wall_ms)
    assert (again.claim.watcher, again.claim.until_ms) == (second, wall_ms + renewal_ms)
    assert again.claim.until == now + renewal_ms / 1000
    assert len(again.stages) == (1 if first == second else 2), "a renewal is no new stage"


@pytest.mark.parametrize("status", ["delivered", "responded", "expired"])
def test_a_late_claim_is_refused_with_the_status(status):
    with pytest.raises(RequestError) as caught:
        VERBS["claim"](START[status])
    assert caught.value.extra == {"status": status}


def test_the_evidence_gives_the_time_of_the_injection():
    state = acknowledged(NEW, "w", {"submittedAt": "2023-01-01T00:00:00.000Z", "x": 1}, WALL_MS)
    injected, acked = state.stages
    assert (injected["stage"], injected["at"], injected["by"]) == (
        "injected",
        "2023-01-01T00:00:00.000Z",
        "w",
    )
    assert acked["stage"] == "acknowledged" and acked["evidence"] == injected["evidence"]
    for nothing in ({}, None):
        assert [each["stage"] for each in acknowledged(NEW, "", nothing, WALL_MS).stages] == [
            "acknowledged"
        ]


@pytest.mark.parametrize(
    "evidence",
    [
        "seen on the screen",
        ["%1", 3],
        0,
        False,
        {"submittedAt": "yesterday"},
        {"submittedAt": 5},
        {"submittedAt": "2026-01-01T00:00:00"},
        {"submittedAt": "0001-01-01T00:00:00Z"},
        {"submittedAt": "9999-12-31T23:59:59.999Z"},
        {"submittedAt": "1969-12-31T23:59:59.000Z"},
    ],
    ids=repr,
)
def test_any_evidence_is_kept_and_at_is_always_a_valid_instant(evidence):
    """`at` is an instant of the past for any evidence. The evidence itself is not changed."""
    injected, acked = acknowledged(NEW, "w", evidence, WALL_MS).stages
    assert injected == {
        "stage": "injected",
        "at": transitions.rfc3339(WALL_MS),
        "by": "w",
        "evidence": evidence,
    }
    assert acked == {**injected, "stage": "acknowledged"}


def test_a_time_of_another_time_zone_is_converted_to_utc():
    assert (
        acknowledged(NEW, "w", {"submittedAt": "2020-01-01T02:00:00.500+02:00"}, WALL_MS).stages[0][
            "at"
        ]
        == "2020-01-01T00:00:00.500Z"
    )


@given(st.integers(0, 3 * STAGES_MAX))
def test_a_history_is_bounded_and_keeps_its_first_and_latest_stages(count):
    state = TicketState()
    for number in range(count):
        state = with_stage(state, {"stage": "claimed", "n": number})
    kept = [each["n"] for each in state.stages]
    assert len(kept) == min(count, STAGES_MAX)
    assert (
        kept[:1] == [0][:count] and kept[1:] == list(range(count))[max(1, count - STAGES_MAX + 1) :]
    )

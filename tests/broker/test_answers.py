"""How HTTP shows a refusal: status, label, Retry-After and the problem document."""

from __future__ import annotations

import json

import pytest

from bridge.broker.answers import LABELS, REFUSALS, STATUSES, TITLES, problem
from bridge.errors import BadValue, PeerError, Reason, RequestError


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_has_a_status_a_title_and_a_label(reason):
    answer = problem(RequestError(reason, "no"))
    assert answer.status == STATUSES[reason] and answer.reason == reason.value
    assert answer.reason in REFUSALS and answer.headers == ()
    document = json.loads(answer.body)
    assert document["title"] == TITLES[answer.status] and document["status"] == answer.status
    assert document["detail"] == document["error"] == "no"


def test_the_time_to_wait_and_the_state_are_in_the_answer():
    error = RequestError(Reason.CONFLICT, "no", retry_after=7, extra={"status": "pending"})
    answer = problem(error)
    assert answer.headers == (("Retry-After", "7"),)
    # The status of the ticket is that of the document, as HTTP_API.md has it.
    assert answer.status == 409 and json.loads(answer.body)["status"] == "pending"


def test_a_bad_value_and_a_broken_protocol_have_the_same_label():
    assert problem(BadValue("no")).reason == problem(PeerError(400, "no")).reason == "malformed"


@pytest.mark.parametrize("status, label", [*LABELS.items(), (418, "other")])
def test_a_broken_protocol_is_labelled_by_its_status(status, label):
    answer = problem(PeerError(status, "no", {"Allow": "GET"}))
    assert (answer.status, answer.reason) == (status, label) and label in REFUSALS
    assert answer.headers == (("Allow", "GET"),)

"""Which changes of a ticket are allowed: pure functions from its state to the next, or to an error.

    status     claim        acknowledge  reply        expire       drop         show         aside
    pending    pending      delivered    responded    expired      dropped      pending      pending
    delivered  409          (as it is)   responded    (as it is)   (as it is)   delivered    409
    responded  409          responded    409          (as it is)   (as it is)   responded    409
    expired    409          (as it is)   409          (as it is)   (as it is)   expired      409
    dropped    409          dropped      409          (as it is)   (as it is)   dropped      409

A quick agent may reply before its watcher acknowledges. Then the acknowledgement adds its stages,
once. It also does so if the ticket was dropped while it was being typed: the history has both.
`show` reports that a terminal shows the ticket's text. It adds a stage, once per terminal, and
changes nothing else. A watcher that has tried for long enough sets a ticket aside, with a reason:
other tickets may pass it, and its claim ends.

Times are arguments: `now` is monotonic seconds, `wall_ms` the same instant on the wall clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bridge.broker.entry import Claim, TicketState, with_stage
from bridge.errors import Reason, RequestError
from bridge.ticket import DELIVERED, DROPPED, EXPIRED, PENDING, RESPONDED
from bridge.timestamp import parse_rfc3339, rfc3339

SHOWN_MAX = 8  # terminals of one history, so that they do not push out the other stages


def claimed(
    state: TicketState, watcher: str, lease_ms: int, now: float, wall_ms: int
) -> TicketState:
    """`watcher` holds the ticket for the lease. A second claim of the same watcher renews it.

    Raises RequestError CONFLICT.
    """
    if state.is_final:
        raise RequestError(
            Reason.CONFLICT,
            f"the ticket is {state.status} already; forget it",
            extra={"status": state.status},
        )
    held = state.claim
    if held and held.until > now and held.watcher != watcher:
        until = rfc3339(held.until_ms)
        raise RequestError(
            Reason.CONFLICT,
            f"another watcher holds the ticket until {until}; try again then",
            extra={"status": PENDING, "leaseUntilAt": until},
        )
    claim = Claim(watcher, now + lease_ms / 1000, wall_ms + lease_ms, lease_ms)
    if held and held.watcher == watcher:
        return replace(state, claim=claim)
    return with_stage(
        replace(state, claim=claim), {"stage": "claimed", "at": rfc3339(wall_ms), "by": watcher}
    )


def acknowledged(state: TicketState, watcher: str, evidence: object, wall_ms: int) -> TicketState:
    """The ticket was injected. `evidence` is any JSON value; it may hold the time and the way.

    `state.is_acknowledgeable` must be true.
    """
    details: dict[str, Any] = {"by": watcher} if watcher else {}
    if evidence not in (None, {}):
        details["evidence"] = evidence
        submitted = submitted_ms(evidence)
        # A watcher's clock may be ahead of ours. No time in a history may be in the future.
        state = with_stage(
            state,
            {
                "stage": "injected",
                "at": rfc3339(wall_ms if submitted is None else min(submitted, wall_ms)),
                **details,
            },
        )
    state = with_stage(state, {"stage": "acknowledged", "at": rfc3339(wall_ms), **details})
    return replace(
        state,
        status=DELIVERED if state.status == PENDING else state.status,
        updated_ms=wall_ms,
        claim=None,
    )


def shown(state: TicketState, evidence: Mapping[str, str], wall_ms: int) -> TicketState:
    """A terminal shows the whole ticket, and `evidence` names it. A known one changes nothing."""
    known = [stage for stage in state.stages if stage["stage"] == "shown"]
    if any(_place(stage["evidence"]) == _place(evidence) for stage in known):
        return state
    if len(known) >= SHOWN_MAX:
        kept = tuple(stage for stage in state.stages if stage is not known[0])
        state = replace(state, stages=kept)
    stage = {"stage": "shown", "at": rfc3339(wall_ms), "evidence": dict(evidence)}
    return with_stage(state, stage)


def aside(state: TicketState, watcher: str, reason: str, wall_ms: int) -> TicketState:
    """`watcher` lets other tickets pass this one.

    Raises RequestError CONFLICT if it does not hold it.
    """
    if state.is_final:
        raise RequestError(
            Reason.CONFLICT,
            f"the ticket is {state.status} already; forget it",
            extra={"status": state.status},
        )
    if state.claim is not None and state.claim.watcher != watcher:
        raise RequestError(
            Reason.CONFLICT,
            "another watcher holds the ticket",
            extra={"status": PENDING, "leaseUntilAt": rfc3339(state.claim.until_ms)},
        )
    last = state.stages[-1] if state.stages else {}
    if (last.get("stage"), last.get("by")) == ("aside", watcher):
        return state  # a repeated request, after a lost answer
    stage = {
        "stage": "aside",
        "at": rfc3339(wall_ms),
        "by": watcher,
        "evidence": {"reason": reason},
    }
    return with_stage(replace(state, claim=None), stage)


def _place(evidence: Mapping[str, str]) -> tuple[str | None, str | None]:
    return evidence.get("pane"), evidence.get("tty")


def submitted_ms(evidence: object) -> int | None:
    """The time of submission in the watcher's evidence; None if it holds no valid time."""
    submitted_at = evidence.get("submittedAt") if isinstance(evidence, dict) else None
    moment = parse_rfc3339(submitted_at) if isinstance(submitted_at, str) else None
    return moment if moment is not None and moment >= 0 else None


def replied(
    state: TicketState, payload: Any, metadata: Mapping[str, Any], wall_ms: int
) -> TicketState:
    """Set the ticket's response. Raises RequestError CONFLICT: a second reply replaces nothing."""
    if state.status == RESPONDED:
        raise RequestError(Reason.CONFLICT, "the ticket has a reply already, which stays")
    if state.has_ended:
        raise RequestError(
            Reason.CONFLICT, f"the ticket is {state.status}; no reply to it is awaited"
        )
    at = rfc3339(wall_ms)
    response = {"payload": payload, "metadata": metadata, "at": at}
    state = replace(
        state,
        status=RESPONDED,
        updated_ms=wall_ms,
        claim=None,
        response=response,
        responded_ms=wall_ms,
    )
    return with_stage(state, {"stage": "replied", "at": at})


def expired(state: TicketState, wall_ms: int, reason: str = "") -> TicketState:
    """The time to live ran out. `state` must be pending, without a running lease."""
    state = replace(state, status=EXPIRED, updated_ms=wall_ms, claim=None)
    details = {"evidence": {"reason": reason}} if reason else {}
    return with_stage(state, {"stage": "expired", "at": rfc3339(wall_ms), **details})


def dropped(state: TicketState, wall_ms: int, reason: str = "") -> TicketState:
    """An operator ends the ticket, even under a running lease. `state` must be pending."""
    state = replace(state, status=DROPPED, updated_ms=wall_ms, claim=None)
    details = {"evidence": {"reason": reason}} if reason else {}
    return with_stage(state, {"stage": "dropped", "at": rfc3339(wall_ms), **details})

"""A ticket with its history, waiting for a stage, and the stages that change no status.

    POST /tickets/{id}/shown                 a terminal shows the whole ticket
    POST /tickets/{id}/aside                 its watcher lets other tickets pass it, with a reason
    GET  /tickets/{id}?stage=shown&waitMs=N  the ticket, when it has that stage or the time is up

Rule 1: stage_operations.py decides what `shown` and `aside` change.
Rule 2: a wait answers 200 with the present ticket, and the client looks in its history. The member
`awaited` shows that the broker supports the wait: an older one ignores the query and answers at
once.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bridge.broker import body, stage_operations
from bridge.broker.answers import Answer, OnDisk, Response, Wait, json_reply, refused
from bridge.broker.call import Call
from bridge.broker.entry import Entry
from bridge.broker.handlers.tickets import WAIT_MAX
from bridge.broker.operations import Refusal
from bridge.broker.services import Services, query_int
from bridge.errors import BadValue
from bridge.ticket import check_id
from bridge.timestamp import rfc3339
from bridge.wire.target import decode_query

PLACE = ("pane", "tty", "terminal")  # members by which `show` describes its terminal
PLACE_MAX = 256  # characters of each: a tty is a path, and the history stays in memory
REASON_MAX = 512  # characters of the reason why a ticket was set aside
# The stages that a request can wait for.
STAGES = (
    "claimed",
    "injected",
    "shown",
    "aside",
    "acknowledged",
    "replied",
    "expired",
    "dropped",
)


def shown(call: Call) -> Answer:
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    fields_of_place = {field: body.take_text(fields, field, "", PLACE_MAX) for field in PLACE}
    place = {field: text for field, text in fields_of_place.items() if text}
    return _noted(stage_operations.shown(call.services, call.name, place))


def aside(call: Call) -> Answer:
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    watcher = check_id(fields.get("watcher"), "watcher")
    reason = body.take_text(fields, "reason", "", REASON_MAX)
    outcome = stage_operations.aside(call.services, call.name, watcher, reason)
    if isinstance(outcome, Refusal):
        return refused(outcome.error, outcome.commit)
    return _noted(outcome)


def _noted(outcome: stage_operations.Noted) -> Answer:
    content = {"ticketId": outcome.ticket_id, "status": outcome.status}
    return OnDisk(json_reply(200, content), outcome.commit)


def show(call: Call) -> Answer:
    services, name = call.services, call.name
    query = decode_query(call.request.query)
    services.ledger.get(name)  # 404 comes before any other error
    stage = query.get("stage")
    if stage is None:
        if "waitMs" in query:
            raise BadValue("waitMs waits for a stage of the history; name it: stage=shown")
        return _ticket(services, name, {})
    if stage not in STAGES:
        raise BadValue(f"stage must be one of {', '.join(STAGES)}, not {stage[:40]!r}")
    wait_ms = query_int(query, "waitMs", 0, 0, WAIT_MAX)
    answer = partial(_ticket, services, name, {"awaited": stage})
    has_come = partial(_has_stage, services, name, stage)
    if not wait_ms or has_come():
        return answer()
    return Wait(partial(services.hub.stages.wait_until, name, has_come), wait_ms / 1000, answer)


def _ticket(services: Services, name: str, more: dict[str, Any]) -> Response:
    entry = services.ledger.get(name)
    return json_reply(200, {**entry.to_json(), **more, "history": _with_lease(entry)})


def _has_stage(services: Services, name: str, stage: str) -> bool:
    """Return whether it has the stage. Also True if the ticket is gone: the answer is then 404."""
    entry = services.ledger.find(name)
    return entry is None or any(known["stage"] == stage for known in entry.state.stages)


def _with_lease(entry: Entry) -> list[dict[str, object]]:
    """The history, in which the last claim has the end of the lease as its evidence.

    A renewal is no stage of its own.
    """
    stages, claim = entry.history(), entry.state.claim
    last = max(
        (index for index, stage in enumerate(stages) if stage["stage"] == "claimed"), default=None
    )
    if claim is not None and last is not None:
        stages[last] = {**stages[last], "evidence": {"leaseUntilAt": rfc3339(claim.until_ms)}}
    return stages

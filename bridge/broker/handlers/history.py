"""A ticket with its history: what it says, waiting for a stage of it, and the stages that change no status.

    POST /tickets/{id}/shown                 a terminal has the whole ticket
    POST /tickets/{id}/aside                 its watcher lets others pass it, and says why
    GET  /tickets/{id}?stage=shown&waitMs=N  the ticket once it has that stage, or when the time is up

Rule 1: `shown` and `aside` add a stage and change no status. Each is durable before it is answered, like an acknowledgement.
Rule 2: a wait answers 200 with the ticket as it stands; the reader looks in its history. `awaited` in the answer
says that the broker knows the question: an older one ignores the query, and answers at once.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bridge.broker import body
from bridge.broker.entry import Entry, State
from bridge.broker.handlers.tickets import WAIT_MAX
from bridge.broker.reply import Answer, OnDisk, Reply, Wait, json_reply, refused
from bridge.broker.services import Services, query_int
from bridge.broker.transitions import aside as aside_by
from bridge.broker.transitions import shown as shown_at
from bridge.errors import PeerError
from bridge.ticket import check_id
from bridge.timestamp import rfc3339
from bridge.wire.request import Request
from bridge.wire.target import decode_query

PLACE = ("pane", "tty", "terminal")  # what `show` may say of where the ticket can be read
PLACE_MAX = 256  # characters of each: a tty is a path, and the history stays in memory
REASON_MAX = 512  # characters, of why a ticket was set aside
STAGES = (
    "claimed",
    "injected",
    "shown",
    "aside",
    "acknowledged",
    "replied",
    "expired",
    "dropped",
)  # that can be waited for


def shown(request: Request, services: Services, name: str) -> Answer:
    fields = body.decode_object(request.body, services.settings.json_depth)
    said = {field: body.take_text(fields, field, "", PLACE_MAX) for field in PLACE}
    evidence = {field: text for field, text in said.items() if text}
    entry = services.ledger.get(name)
    return _kept(services, entry, shown_at(entry.head, evidence, services.clock.wall_ms()))


def aside(request: Request, services: Services, name: str) -> Answer:
    fields = body.decode_object(request.body, services.settings.json_depth)
    watcher = check_id(fields.get("watcher"), "watcher")
    reason = body.take_text(fields, "reason", "", REASON_MAX)
    entry = services.ledger.get(name)
    try:
        state = aside_by(entry.head, watcher, reason, services.clock.wall_ms())
    except PeerError as error:
        return refused(error, entry)
    return _kept(services, entry, state)


def _kept(services: Services, entry: Entry, state: State) -> Answer:
    commit = entry.commit if state is entry.head else services.ledger.propose(entry, state)
    return OnDisk(json_reply(200, {"ticketId": entry.ticket_id, "status": state.status}), commit)


def show(request: Request, services: Services, name: str) -> Answer:
    query = decode_query(request.query)
    services.ledger.get(name)  # 404 comes first
    stage = query.get("stage")
    if stage is None:
        if "waitMs" in query:
            raise PeerError(400, "waitMs waits for a stage of the history; name it: stage=shown")
        return _ticket(services, name, {})
    if stage not in STAGES:
        raise PeerError(400, f"stage must be one of {', '.join(STAGES)}, not {stage[:40]!r}")
    wait_ms = query_int(query, "waitMs", 0, 0, WAIT_MAX)
    answer = partial(_ticket, services, name, {"awaited": stage})
    has_come = partial(_has_stage, services, name, stage)
    if not wait_ms or has_come():
        return answer()
    return Wait(partial(services.hub.stages.wait_until, name, has_come), wait_ms / 1000, answer)


def _ticket(services: Services, name: str, more: dict[str, Any]) -> Reply:
    entry = services.ledger.get(name)
    return json_reply(200, {**entry.to_json(), **more, "history": _with_lease(entry)})


def _has_stage(services: Services, name: str, stage: str) -> bool:
    """True, too, where the ticket is gone: the answer is its 404 then."""
    entry = services.ledger.find(name)
    return entry is None or any(known["stage"] == stage for known in entry.state.stages)


def _with_lease(entry: Entry) -> list[dict[str, object]]:
    """The history, with the end of its lease as evidence of the last claim: renewals are no stages of their own."""
    stages, claim = entry.history(), entry.state.claim
    last = max(
        (index for index, stage in enumerate(stages) if stage["stage"] == "claimed"), default=None
    )
    if claim is not None and last is not None:
        stages[last] = {**stages[last], "evidence": {"leaseUntilAt": rfc3339(claim.until_ms)}}
    return stages

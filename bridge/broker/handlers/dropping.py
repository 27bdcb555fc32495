"""An operator ends pending tickets: one, or all of an agent.

    DELETE /tickets/{id}?reason=               200 {dropped: 0 or 1, status}
    DELETE /agents/{id}/tickets/pending?reason=  200 {dropped, left}

Rule 1: a dropped ticket is kept, with the stage `dropped` and the reason in its history. Its
waiters are woken, as when it expires.
Rule 2: a running claim does not prevent it. If the ticket is typed nevertheless, its
acknowledgement adds its stages.
Rule 3: a finished ticket does not change. The answer has its status, and `dropped` is 0.
Rule 4: one request ends at most PURGE_MAX tickets, the oldest. `left` is the number of tickets
that are still pending.
"""

from __future__ import annotations

from bridge.broker.answers import Answer, OnDisk, json_reply
from bridge.broker.call import Call
from bridge.broker.handlers.history import REASON_MAX
from bridge.broker.transitions import dropped
from bridge.errors import BadValue
from bridge.wire.request import Request
from bridge.wire.target import decode_query

PURGE_MAX = 1000  # BRIDGE_QUEUE_MAX's default, so one request is enough; 20 ms of the loop


def _reason(request: Request) -> str:
    reason = decode_query(request.query).get("reason", "")
    if len(reason) > REASON_MAX:
        detail = f"reason is {len(reason)} characters long; at most {REASON_MAX} are kept"
        raise BadValue(detail)
    return reason


def drop(call: Call) -> Answer:
    services = call.services
    reason, entry = _reason(call.request), services.ledger.get(call.name)
    if entry.head.is_final:
        content: dict[str, object] = {"dropped": 0, "status": entry.head.status}
        return OnDisk(json_reply(200, content), entry.commit)
    state = dropped(entry.head, services.clock.wall_ms(), reason)
    commit = services.ledger.propose(entry, state)
    return OnDisk(json_reply(200, {"dropped": 1, "status": state.status}), commit)


def purge(call: Call) -> Answer:
    # The name is not checked: a store may hold one that an older broker accepted.
    services = call.services
    reason, wall_ms = _reason(call.request), services.clock.wall_ms()
    found = services.hub.read(call.name, 0, PURGE_MAX + 1)
    pending = [entry for entry in found[:PURGE_MAX] if not entry.head.is_final]
    commit = found[-1].commit if found else None
    for entry in pending:
        commit = services.ledger.propose(entry, dropped(entry.head, wall_ms, reason))
    backlog = services.hub.backlogs.get(call.name)
    left = (len(backlog) if backlog else 0) - len(found[:PURGE_MAX])
    return OnDisk(json_reply(200, {"dropped": len(pending), "left": left}), commit)

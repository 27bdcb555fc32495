"""An operator ends pending tickets: one, or all of an agent.

    DELETE /tickets/{id}?reason=               200 {dropped: 0 or 1, status}
    DELETE /agents/{id}/tickets/pending?reason=  200 {dropped, left}

stage_operations.py decides. `left` is the number of tickets that are still pending.
"""

from __future__ import annotations

from bridge.broker import stage_operations
from bridge.broker.answers import Answer, OnDisk, json_reply
from bridge.broker.call import Call
from bridge.broker.handlers.history import REASON_MAX
from bridge.errors import BadValue
from bridge.wire.request import Request
from bridge.wire.target import decode_query


def _reason(request: Request) -> str:
    reason = decode_query(request.query).get("reason", "")
    if len(reason) > REASON_MAX:
        raise BadValue(f"reason is {len(reason)} characters long; at most {REASON_MAX} are kept")
    return reason


def drop(call: Call) -> Answer:
    outcome = stage_operations.drop(call.services, call.name, _reason(call.request))
    content = {"dropped": outcome.dropped, "status": outcome.status}
    return OnDisk(json_reply(200, content), outcome.commit)


def purge(call: Call) -> Answer:
    # The name is not checked: a store may hold one that an older broker accepted.
    outcome = stage_operations.purge(call.services, call.name, _reason(call.request))
    content = {"dropped": outcome.dropped, "left": outcome.left}
    return OnDisk(json_reply(200, content), outcome.commit)

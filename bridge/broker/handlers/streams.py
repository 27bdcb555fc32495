"""Event streams: the tickets of one agent, or of many agents on one connection."""

from __future__ import annotations

from functools import partial

from bridge.broker import body, operations
from bridge.broker.answers import Answer, EventStream
from bridge.broker.call import Call
from bridge.broker.handlers.agents import watcher_in
from bridge.broker.services import Services, only_looks, query_int
from bridge.errors import BadValue, Reason, RequestError
from bridge.ticket import check_id
from bridge.wire.request import Request
from bridge.wire.target import decode_query

# Streams of one agent, and under one name: each ticket is written once more for each of them.
STREAMS_MAX = 64


def check_streams(services: Services) -> None:
    """Raises RequestError STREAMS_OFF if streams are switched off."""
    if services.settings.disable_sse:
        raise RequestError(
            Reason.STREAMS_OFF,
            "event streams are switched off (DISABLE_SSE); "
            "use GET /agents/{id}/tickets/pending?waitMs=",
            retry_after=60,
        )


def _check_room(count: int, whose: str, otherwise: str) -> None:
    """Raises RequestError STREAMS_MAX if there is no room. A watcher then uses long-polls."""
    if count >= STREAMS_MAX:
        detail = f"{whose} has {count} event streams already; close one, or GET {otherwise}?waitMs="
        raise RequestError(Reason.STREAMS_MAX, detail, retry_after=60)


def heartbeat_as_event(query: dict[str, str]) -> bool:
    asked = query.get("heartbeat")
    if asked not in (None, "event"):
        raise BadValue(f"heartbeat may only be 'event', not {asked[:40]!r}")
    return asked == "event"


def _cursor(request: Request, query: dict[str, str], services: Services) -> int:
    """The cursor: Last-Event-ID, else ?after=. One that is not of this store counts as 0."""
    after = query_int(query, "after", 0, 0, body.INT_MAX)
    last = request.fields.get("last-event-id", "").strip()
    if last:
        after = int(last) if last.isascii() and last.isdigit() and len(last) <= 16 else 0
    return after if after <= services.ledger.seq else 0


def stream(call: Call) -> Answer:
    services, name = call.services, call.name
    check_id(name, "agentId")
    check_streams(services)
    query = decode_query(call.request.query)
    after = _cursor(call.request, query, services)
    watcher = watcher_in(query)
    _check_room(services.hub.streams(name), f"agent {name!r}", "/agents/{id}/tickets/pending")
    services.registry.presence(name)
    return EventStream(
        partial(operations.stream_agent, services, name, after, watcher),
        heartbeat_as_event(query),
    )


def shared_stream(call: Call) -> Answer:
    services = call.services
    check_streams(services)
    query = decode_query(call.request.query)
    after = _cursor(call.request, query, services)
    attach = partial(operations.stream_everything, services, after, only_looks(query))
    if "subscriber" in query:
        subscriber = check_id(query["subscriber"], "subscriber")
        count = len(services.subscriptions.streams(subscriber))
        _check_room(count, f"subscriber {subscriber!r}", "/subscribers/{name}/tickets/pending")
        attach = partial(
            operations.stream_subscriber, services, subscriber, after, watcher_in(query)
        )
    return EventStream(attach, heartbeat_as_event(query))

"""Event streams: the tickets of one agent, or of many agents on one connection."""

from __future__ import annotations

from functools import partial

from bridge.broker import body
from bridge.broker.answers import Answer, EventStream
from bridge.broker.handlers.agents import watcher_in
from bridge.broker.services import Services, only_looks, query_int
from bridge.broker.subscriber import Outbox, StreamSubscriber
from bridge.errors import PeerError
from bridge.ticket import check_id
from bridge.wire.request import Request
from bridge.wire.target import decode_query

# Streams of one agent, and under one name: each ticket is written once more for each of them.
STREAMS_MAX = 64


def check_streams(services: Services) -> None:
    """Raises PeerError 503 when streams are switched off."""
    if services.settings.disable_sse:
        raise PeerError(
            503,
            "event streams are switched off (DISABLE_SSE); "
            "use GET /agents/{id}/tickets/pending?waitMs=",
            {"Retry-After": "60"},
            reason="streams_off",
        )


def _check_room(count: int, whose: str, otherwise: str) -> None:
    """Raises PeerError 503 if there is no room. A watcher then uses long-polls."""
    if count >= STREAMS_MAX:
        detail = f"{whose} has {count} event streams already; close one, or GET {otherwise}?waitMs="
        raise PeerError(503, detail, {"Retry-After": "60"}, reason="streams_max")


def heartbeat_as_event(query: dict[str, str]) -> bool:
    asked = query.get("heartbeat")
    if asked not in (None, "event"):
        raise PeerError(400, f"heartbeat may only be 'event', not {asked[:40]!r}")
    return asked == "event"


def _cursor(request: Request, query: dict[str, str], services: Services) -> int:
    """The cursor: Last-Event-ID, else ?after=. One that is not of this store counts as 0."""
    after = query_int(query, "after", 0, 0, body.INT_MAX)
    last = request.fields.get("last-event-id", "").strip()
    if last:
        after = int(last) if last.isascii() and last.isdigit() and len(last) <= 16 else 0
    return after if after <= services.ledger.seq else 0


def stream(request: Request, services: Services, name: str) -> Answer:
    check_id(name, "agentId")
    check_streams(services)
    query = decode_query(request.query)
    after = _cursor(request, query, services)
    watcher = watcher_in(query)
    _check_room(services.hub.streams(name), f"agent {name!r}", "/agents/{id}/tickets/pending")
    services.registry.presence(name)
    return EventStream(
        partial(_attach_agent, services, name, after, watcher), heartbeat_as_event(query)
    )


def _attach_agent(
    services: Services, agent_id: str, after: int, watcher: str, outbox: Outbox
) -> StreamSubscriber:
    subscriber = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, is_shared=False, after=after
    )
    subscriber.add(agent_id, 0)
    services.watchers.opened(watcher)
    subscriber.on_close = partial(services.watchers.closed, watcher)
    return subscriber


def shared_stream(request: Request, services: Services, name: str) -> Answer:
    check_streams(services)
    query = decode_query(request.query)
    after = _cursor(request, query, services)
    attach = partial(_attach_everything, services, after, only_looks(query))
    if "subscriber" in query:
        subscriber = check_id(query["subscriber"], "subscriber")
        count = len(services.subscriptions.streams(subscriber))
        _check_room(count, f"subscriber {subscriber!r}", "/subscribers/{name}/tickets/pending")
        attach = partial(_attach_named, services, subscriber, after, watcher_in(query))
    return EventStream(attach, heartbeat_as_event(query))


def _attach_everything(
    services: Services, after: int, looks: bool, outbox: Outbox
) -> StreamSubscriber:
    subscriber = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, True, after, looks
    )
    subscriber.add_everything(after)
    return subscriber


def _attach_named(
    services: Services, name: str, after: int, watcher: str, outbox: Outbox
) -> StreamSubscriber:
    subscriber = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, is_shared=True, after=after
    )
    for agent_id, owed in services.subscriptions.agents(name).items():
        subscriber.add(agent_id, owed)
    services.subscriptions.opened(name, subscriber, watcher)
    services.watchers.opened(watcher)

    def close() -> None:
        services.subscriptions.closed(name, subscriber)
        services.watchers.closed(watcher)

    subscriber.on_close = close
    return subscriber

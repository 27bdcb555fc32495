"""Overview, live events, search: for people and their programs.

Rule 1: a long answer is made in parts, and other requests come between them.
Rule 2: a reader of events never holds up a ticket (events.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bridge import __version__
from bridge.broker import body
from bridge.broker.answers import ORDINARY, PART_ROWS, Answer, EventStream, Response, Steps
from bridge.broker.call import Call
from bridge.broker.events import HOLD, EventReader
from bridge.broker.handlers.streams import check_streams, heartbeat_as_event
from bridge.broker.metrics.histogram import Histogram
from bridge.broker.metrics.timeline import DELIVERY_TIME, HOPS, STEP_SECONDS
from bridge.broker.search import Search, SearchBounds, Wanted
from bridge.broker.services import Services, query_int
from bridge.broker.subscriber import Outbox
from bridge.errors import BadValue, Reason, RequestError
from bridge.ticket import STATUSES, check_id
from bridge.timestamp import rfc3339
from bridge.wire.target import decode_query

ROWS, ROWS_MAX = 1000, 10000  # agents of one overview
FOUND, FOUND_MAX = 50, 200  # tickets of one search
TEXT_MAX = 1000  # characters of a search text


def overview(call: Call) -> Answer:
    query = decode_query(call.request.query)
    limit = query_int(query, "limit", ROWS, 1, ROWS_MAX)
    return Steps(_overview(call.services, _names(query.get("agent"), call.services), limit))


def _overview(services: Services, names: list[str], limit: int) -> Iterator[Response | None]:
    """Make the rows in parts, because 10,000 agents take 400 ms. Take the totals at the end."""
    rows: list[bytes] = []
    for number, agent_id in enumerate(names[:limit], 1):
        if number % PART_ROWS == 0:
            yield None
        rows.append(body.encode(services.overview.row(agent_id).to_json()))
    content = {
        "at": rfc3339(services.clock.wall_ms()),
        "version": __version__,
        "uptimeMs": int((services.clock.monotonic() - services.started_at) * 1000),
        "totals": _totals(services),
        "timeline": _timeline(services),
        "latency": _latency(services),
        "truncated": len(names) > limit,
    }
    text = b'%b,"agents":[%b]}' % (body.encode(content)[:-1], b",".join(rows))
    yield Response(200, text)


def _names(agent_id: str | None, services: Services) -> list[str]:
    if agent_id is None:
        return sorted(services.overview.names())
    if not services.registry.is_known(agent_id):
        raise RequestError(Reason.NOT_FOUND, f"no request here ever named an agent {agent_id!r}")
    return [agent_id]


def _totals(services: Services) -> dict[str, object]:
    counted, hub = services.metrics, services.hub
    oldest = hub.oldest()
    return {
        "accepted": counted.sent,
        "acknowledged": counted.acknowledged,
        "replied": counted.replies,
        "expired": counted.expired,
        "dropped": counted.dropped,
        "refused": sum(
            count for reason, count in counted.refusals.items() if reason not in ORDINARY
        ),
        "pending": hub.pending,
        "pendingBytes": hub.pending_bytes,
        "oldestPendingAt": rfc3339(oldest.created_ms) if oldest else None,
        "streams": counted.streams_open,
        "longpolls": services.longpolls,
        "connections": counted.connections_open,
        "agents": len(services.registry.agents),
    }


def _timeline(services: Services) -> dict[str, object]:
    now = services.clock.monotonic()
    wall_ms = services.clock.wall_ms()
    line = services.metrics.timeline
    steps = line.steps(now)
    delivered = [step.hops.get(DELIVERY_TIME) for step in steps]
    return {
        "stepMs": int(STEP_SECONDS * 1000),
        "fromAt": rfc3339(wall_ms - int(line.began_ago(now) * 1000)),
        "accepted": [step.accepted for step in steps],
        "acknowledged": [step.acknowledged for step in steps],
        "p50Ms": [_ms(found, 0.5) for found in delivered],
        "p99Ms": [_ms(found, 0.99) for found in delivered],
    }


def _latency(services: Services) -> dict[str, object]:
    now, line = services.clock.monotonic(), services.metrics.timeline
    found = {hop: line.lately(hop, now) for hop in HOPS}
    return {
        hop: {"count": each.count, "p50Ms": _ms(each, 0.5), "p99Ms": _ms(each, 0.99)}
        for hop, each in found.items()
    }


def _ms(found: Histogram | None, share: float) -> float | None:
    seconds = found.quantile(share) if found is not None else None
    return None if seconds is None else round(seconds * 1000, 3)


def events(call: Call) -> Answer:
    services = call.services
    check_streams(services)
    query = decode_query(call.request.query)
    agent, thread = query.get("agent"), query.get("thread")
    if agent is not None:
        check_id(agent, "agent")
    if _is_full(services) and services.events.giving_way() is None:
        count = len(services.events)
        detail = f"{count} readers follow the events (BRIDGE_EVENTS_MAX), all since just now"
        raise RequestError(Reason.EVENTS_MAX, detail, retry_after=int(HOLD))
    return EventStream(partial(_follow, services, agent, thread), heartbeat_as_event(query))


def _is_full(services: Services) -> bool:
    return len(services.events) >= services.settings.events_max


def _follow(
    services: Services, agent: str | None, thread: str | None, outbox: Outbox
) -> EventReader:
    former = services.events.giving_way() if _is_full(services) else None
    reader = EventReader(services.events, outbox, agent, thread)
    if former is not None:
        former.end()
    return reader


def find(call: Call) -> Answer:
    services = call.services
    query, settings = decode_query(call.request.query), services.settings
    limit = query_int(query, "limit", FOUND, 1, FOUND_MAX)
    before = query_int(query, "before", body.INT_MAX, 0, body.INT_MAX)
    bounds = SearchBounds(limit, settings.search_rows, settings.search_bytes)
    search = Search(services.ledger, services.clock, _wanted(query), before, bounds)
    return Steps(_parts(search))


def _parts(search: Search) -> Iterator[Response | None]:
    while not search.step():
        yield None
    yield Response(200, search.answer())


def _wanted(query: dict[str, str]) -> Wanted:
    text, status = query.get("q", ""), query.get("status")
    if len(text) > TEXT_MAX:
        raise BadValue(f"q is {len(text)} characters long; at most {TEXT_MAX} are searched for")
    if status is not None and status not in STATUSES:
        raise BadValue(f"status must be one of {', '.join(STATUSES)}, not {status[:40]!r}")
    return Wanted(text, query.get("agent"), query.get("origin"), query.get("thread"), status)

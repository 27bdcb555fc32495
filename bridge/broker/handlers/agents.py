"""Registration, heartbeats, subscriptions.

Rule 1: a registration is answered when it is on disk. A heartbeat is in memory only.
Rule 2: what peers send stays in memory, so each text, registration and list has a bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from bridge.broker import body, operations
from bridge.broker.answers import PART_ROWS, Answer, OnDisk, Response, Steps, json_reply
from bridge.broker.call import Call
from bridge.broker.registry import POLL_WINDOW, encode_registration
from bridge.broker.services import Services, query_int
from bridge.broker.watcher_report import WatcherReport
from bridge.errors import Reason, RequestError
from bridge.ticket import Agent, check_id, check_name
from bridge.timestamp import rfc3339
from bridge.wire.target import decode_query

INTERVAL_MAX = 86_400_000  # ms; an interval of more than a day shows no presence
REGISTRATION_MAX = 16384  # bytes of one as JSON
REGISTRATIONS_MAX = 64 << 20  # bytes of memory of all of them: 10,000 of the usual ones take 15 MiB
# Bytes of one answer of GET /agents. Clients that do not follow Link still see 10,000 usual agents.
AGENTS_BYTES = 4 << 20
DEFAULT_SUBSCRIBER = "default"  # the name of a subscriber that sends none


def register(call: Call) -> Answer:
    services = call.services
    fields = body.decode_object(call.request.body, services.settings.json_depth)
    agent_id = check_name(fields.get("agentId"), "agentId")
    known = services.registry.head(agent_id)
    if known is None and not services.registry.has_room(services.settings.agents_max):
        raise RequestError(
            Reason.AGENTS_MAX,
            f"there are {services.settings.agents_max} registered agents (BRIDGE_AGENTS_MAX); "
            "remove one first",
            retry_after=60,
        )
    base = known or Agent(agent_id)
    agent = Agent(
        agent_id=agent_id,
        type=body.take_text(fields, "type", base.type),
        metadata={**base.metadata, **body.take_object(fields, "metadata")},
        heartbeat_interval_ms=body.take_int(
            fields, "heartbeatIntervalMs", base.heartbeat_interval_ms, 1, INTERVAL_MAX
        ),
        last_heartbeat=rfc3339(services.clock.wall_ms()),
    )
    registration = encode_registration(agent)
    if known is None or agent.metadata != known.metadata:
        _check_size(services, agent, registration)
    commit = services.registry.propose(agent_id, agent, registration, body.weight(registration))
    services.registry.presence(agent_id).heartbeat_at = services.clock.monotonic()
    return OnDisk(json_reply(200, _shown(agent, services)), commit)


def _check_size(services: Services, agent: Agent, registration: str) -> None:
    """All registrations are in memory, and one answer lists them.

    Raises RequestError TOO_LARGE or AGENTS_MAX.
    """
    size = len(registration.encode())
    if size > REGISTRATION_MAX:
        raise RequestError(
            Reason.TOO_LARGE,
            f"the registration of {agent.agent_id!r} is {size} bytes with its merged metadata; "
            f"at most {REGISTRATION_MAX} are kept: leave some out, or unregister it first",
        )
    if services.registry.weight_with(agent.agent_id, body.weight(registration)) > REGISTRATIONS_MAX:
        raise RequestError(
            # Room for agents in bytes has the label of room by count: alerts know only that one.
            Reason.AGENTS_MAX,
            f"all registrations together take {REGISTRATIONS_MAX} bytes of memory; "
            "unregister some first",
            retry_after=60,
        )


def _shown(agent: Agent, services: Services) -> dict[str, object]:
    return agent.to_json(services.registry.status(agent, services.clock.monotonic()))


def list_agents(call: Call) -> Answer:
    """List agents in order of registration, as many as fit one answer.

    A Link (RFC 8288) leads to the next answer.
    """
    query = decode_query(call.request.query)
    limit = query_int(query, "limit", body.INT_MAX, 1, body.INT_MAX)
    last = query_int(query, "after", 0, 0, body.INT_MAX)
    return Steps(_listed(call.services, query, limit, last))


def _listed(
    services: Services, query: dict[str, str], limit: int, last: int
) -> Iterator[Response | None]:
    """Make the list in parts, because 10,000 agents take 200 ms.

    The agents are those that were registered at the first part.
    """
    parts: list[bytes] = []
    size = 0
    for looked, (place, agent) in enumerate(list(services.registry.listed(last)), 1):
        if looked % PART_ROWS == 0:
            yield None
        if query.get("type") not in (None, agent.type):
            continue
        shown = _shown(agent, services)
        if query.get("status") not in (None, shown["status"]):
            continue
        part = body.encode(shown)
        size += len(part)
        if parts and (size > AGENTS_BYTES or len(parts) >= limit):
            following = urlencode({**query, "after": str(last)})
            link = f'</agents?{following}>; rel="next"'
            yield Response(200, b"[%b]" % b",".join(parts), headers=(("Link", link),))
            return
        parts.append(part)
        last = place
    yield Response(200, b"[%b]" % b",".join(parts))


def _registered(services: Services, agent_id: str) -> Agent:
    agent = services.registry.agents.get(agent_id)
    if agent is None:
        raise RequestError(
            Reason.NOT_FOUND,
            f"no agent {agent_id!r} is registered; POST /agents/register makes it known",
        )
    return agent


def show_agent(call: Call) -> Answer:
    return json_reply(200, _shown(_registered(call.services, call.name), call.services))


def remove(call: Call) -> Answer:
    services, name = call.services, call.name
    _registered(services, name)
    return OnDisk(Response(204), services.registry.propose(name, None))


def heartbeat(call: Call) -> Answer:
    services, name = call.services, call.name
    fields = body.decode_object(call.request.body, services.settings.json_depth)
    watcher = watcher_in(fields)
    agent = _registered(services, name)
    at = rfc3339(services.clock.wall_ms())
    # Not written to disk: after a restart an old heartbeat means nothing.
    services.registry.agents[name] = replace(agent, last_heartbeat=at)
    presence = services.registry.presence(name)
    presence.heartbeat_at = services.clock.monotonic()
    services.watchers.note(watcher, POLL_WINDOW)
    if fields:
        report = WatcherReport.from_json(fields)
        services.registry.take_report(name, watcher, report)
        services.metrics.watcher_series.take(name, report.numbers, watcher)
    return json_reply(200, {"status": "ok", "lastHeartbeat": at})


def watcher_in(fields: Mapping[str, Any]) -> str:
    """The watcher's name in a body or a query, or "". Raises BadValue."""
    watcher = fields.get("watcher")
    return "" if watcher is None else check_id(watcher, "watcher")


def subscribe(call: Call) -> Answer:
    check_name(call.name, "agentId")
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    subscriber, watcher = _subscriber_in(fields), watcher_in(fields)
    commit = operations.subscribe(call.services, call.name, subscriber, watcher)
    return OnDisk(Response(204), commit)


def unsubscribe(call: Call) -> Answer:
    query = decode_query(call.request.query)
    subscriber, watcher = _subscriber_in(query), watcher_in(query)
    commit = operations.unsubscribe(call.services, call.name, subscriber, watcher)
    return OnDisk(Response(204), commit)


def _subscriber_in(fields: Mapping[str, Any]) -> str:
    return check_id(fields.get("subscriber", DEFAULT_SUBSCRIBER), "subscriber")

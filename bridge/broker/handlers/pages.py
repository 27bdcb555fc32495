"""Health, and the debug pages of the push design."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.broker.answers import Answer, Response, Steps, json_reply
from bridge.broker.call import Call
from bridge.broker.services import Services
from bridge.broker.survey import count_tiers
from bridge.errors import Reason, RequestError


def health(call: Call) -> Answer:
    services = call.services
    lost = services.journal.lost()
    if lost is not None:
        raise RequestError(Reason.STORE, f"{lost}", retry_after=5)
    uptime = round(services.clock.monotonic() - services.started_at, 3)
    return json_reply(
        200,
        {
            "status": "ok",
            "agents": len(services.registry.agents),
            "tickets": services.hub.pending,
            "uptime": uptime,
        },
    )


def connections(call: Call) -> Answer:
    return Steps(_connections(call.services))


def _connections(services: Services) -> Iterator[Response | None]:
    counted, now = services.metrics, services.clock.monotonic()
    tiers = yield from count_tiers(services)
    content = {
        # A request becomes a stream in one step of the loop, so none is ever pending.
        "sse": {"active": counted.streams_open, "pending": 0, "failed": counted.failed_lately(now)},
        "longpoll": {"active": tiers.agents["longpoll"], "waiting": services.longpolls},
        "polling": {"active": tiers.polled},
    }
    yield json_reply(200, content)


def agent_status(call: Call) -> Answer:
    services, name = call.services, call.name
    registry, now = services.registry, services.clock.monotonic()
    if not registry.is_known(name):
        raise RequestError(Reason.NOT_FOUND, f"no request here ever named an agent {name!r}")
    agent = registry.agents.get(name)
    report = registry.report(name)
    backlog = services.hub.backlogs.get(name)
    content = {
        "connection": registry.connection(name, now),
        "lastHeartbeat": agent.last_heartbeat if agent else None,
        "pendingMessages": len(backlog) if backlog else 0,
        "tmuxSession": report.session or (agent.metadata.get("session") if agent else None),
        "sessionHealth": report.health,
    }
    return json_reply(200, content)

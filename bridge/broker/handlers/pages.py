"""Health, metrics, and the debug pages of the push design."""

from __future__ import annotations

from typing import Iterator, Union

from bridge import __version__
from bridge.broker.metrics import exposition, label
from bridge.broker.reply import TEXT, Answer, Reply, json_reply
from bridge.broker.services import Services
from bridge.errors import PeerError
from bridge.wire.request import Request


def health(request: Request, services: Services, name: str) -> Answer:
    uptime = round(services.clock.monotonic() - services.started_at, 3)
    return json_reply(200, {"status": "ok", "agents": len(services.registry.agents), "tickets": services.hub.pending, "uptime": uptime})


def metrics(request: Request, services: Services, name: str) -> Answer:
    return Reply(200, exposition(_samples(services)).encode(), TEXT)


def _samples(services: Services) -> Iterator[tuple[str, str, Union[int, float]]]:
    counted, hub = services.metrics, services.hub
    yield "bridge_messages_sent_total", "", counted.sent
    yield "bridge_messages_acknowledged_total", "", counted.acknowledged
    yield "bridge_messages_expired_total", "", counted.expired
    yield "bridge_replies_total", "", counted.replies
    yield "bridge_messages_queued_current", "", hub.pending
    yield "bridge_sse_connections_active", "", counted.streams_open
    yield "bridge_sse_connections_total", "", counted.streams_opened
    yield "bridge_sse_catchups_total", "", counted.catchups
    yield "bridge_sse_failures_total", "", counted.stream_failures
    yield "bridge_longpoll_waiting", "", hub.polls.total
    yield "bridge_connections_open", "", counted.connections_open
    for status, count in sorted(counted.responses.items()):
        yield "bridge_http_responses_total", f'code="{status}"', count
    commits = services.journal.commits()
    yield "bridge_commits_total", "", commits.groups
    yield "bridge_commit_rows_total", "", commits.rows
    yield "bridge_commit_seconds_total", "", round(commits.seconds, 6)
    yield "bridge_agents_registered", "", len(services.registry.agents)
    yield from _reported(services)
    yield "bridge_uptime_seconds", "", round(services.clock.monotonic() - services.started_at, 3)
    yield "bridge_build_info", f'version="{__version__}"', 1


# What the watchers said last; only registered agents report, and those are bounded.
REPORTED = {
    "bridge_watcher_queued": "queued",
    "bridge_watcher_cpu_percent": "cpuPercent",
    "bridge_watcher_memory_bytes": "memoryBytes",
    "bridge_sse_reconnects_total": "reconnects",
    "bridge_tmux_session_failures_total": "sessionFailures",
    "bridge_tmux_injection_errors_total": "injectionErrors",
}


def _reported(services: Services) -> Iterator[tuple[str, str, Union[int, float]]]:
    known = [(agent_id, services.registry.report(agent_id)) for agent_id in services.registry.agents]
    for name, field in REPORTED.items():
        for agent_id, report in known:
            value = report.get(field)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield name, f'agent="{label(agent_id)}"', value


def connections(request: Request, services: Services, name: str) -> Answer:
    counted, hub, now = services.metrics, services.hub, services.clock.monotonic()
    content = {
        "sse": {"active": counted.streams_open - counted.streams_starting, "pending": counted.streams_starting, "failed": counted.failed_lately(now)},
        "longpoll": {"active": services.registry.count("longpoll", now), "waiting": hub.polls.total},
        "polling": {"active": services.registry.count("poll", now)},
    }
    return json_reply(200, content)


def agent_status(request: Request, services: Services, name: str) -> Answer:
    registry, now = services.registry, services.clock.monotonic()
    if not registry.is_known(name):
        raise PeerError(404, f"nobody ever named an agent {name!r} here")
    agent, report, backlog = registry.agents.get(name), registry.report(name), services.hub.backlogs.get(name)
    content = {
        "connection": registry.connection(name, now),
        "lastHeartbeat": agent.last_heartbeat if agent else None,
        "pendingMessages": len(backlog) if backlog else 0,
        "tmuxSession": report.get("session") or (agent.metadata.get("session") if agent else None),
        "sessionHealth": report.get("health"),
    }
    return json_reply(200, content)

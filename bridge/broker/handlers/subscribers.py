"""The agents that are subscribed under a name, and one poll for all of them.

These are the tiers below the shared stream. A cursor covers the tickets of the agents that the
subscriber had so far. A stream also sends what each agent is owed beyond the cursor
(subscriptions.py). A poll does not: owed tickets that are not acknowledged yet would be in each
answer at once, for ever. So a client that polls and adds an agent reads the backlog of that agent
by a request of its own.
"""

from __future__ import annotations

from functools import partial

from bridge.broker.answers import Answer, Response, json_reply
from bridge.broker.call import Call
from bridge.broker.due import OfAgents
from bridge.broker.entry import Entry
from bridge.broker.handlers.agents import watcher_in
from bridge.broker.handlers.tickets import (
    PollQuery,
    list_tickets,
    note_poll,
    read_poll,
    wait_for_poll,
)
from bridge.broker.registry import POLL_WINDOW
from bridge.broker.services import Services
from bridge.broker.subscriptions import LINGER
from bridge.ticket import check_id
from bridge.wire.target import decode_query

MERGED_MAX = 256  # tickets of one answer


def show_subscriber(call: Call) -> Answer:
    services, name = call.services, call.name
    check_id(name, "subscriber")
    subscriptions, watcher = services.subscriptions, watcher_in(decode_query(call.request.query))
    now = services.clock.monotonic()
    content = {
        "subscriber": name,
        "agents": sorted(subscriptions.agents(name)),
        "receivers": subscriptions.receivers(name, now),
    }
    if watcher:
        content["own"] = sorted(
            agent for subscriber, agent in subscriptions.owned(watcher) if subscriber == name
        )
        content["others"] = subscriptions.others(name, watcher, now)
    return json_reply(200, content)


def pending_of_subscriber(call: Call) -> Answer:
    services, name = call.services, call.name
    check_id(name, "subscriber")
    poll = read_poll(call.request, services)
    for agent_id in services.subscriptions.agents(name):
        note_poll(services, agent_id, poll)
    services.watchers.note(poll.watcher, LINGER if poll.wait_ms else POLL_WINDOW)
    answer = partial(_backlogs, services, name, poll)
    if poll.wait_ms:
        services.subscriptions.polled(name, poll.watcher, services.clock.monotonic())
    if not poll.wait_ms or _has_any(services, name, poll.after):
        return answer()
    has_any = partial(_has_any, services, name, poll.after)  # the name's agents may change
    subscriptions, monotonic = services.subscriptions, services.clock.monotonic
    join = partial(subscriptions.wait, name, poll.watcher, monotonic, has_any)
    return wait_for_poll(services, poll, join, answer)


def _backlogs(services: Services, name: str, poll: PollQuery) -> Response:
    """The oldest tickets after the cursor, of all agents."""
    due = OfAgents(services.hub, poll.after)
    found: list[Entry] = []
    for agent_id in services.subscriptions.agents(name):
        due.add(agent_id, owed=0)
    entry = due.first()
    while entry is not None and len(found) < min(poll.limit, MERGED_MAX):
        found.append(entry)
        due.note_sent(entry)
        entry = due.first()
    return list_tickets(services, found, poll.tier)


def _has_any(services: Services, name: str, after: int) -> bool:
    return any(
        services.hub.read(agent_id, after, 1) for agent_id in services.subscriptions.agents(name)
    )

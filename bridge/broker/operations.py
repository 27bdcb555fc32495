"""What a client can do, the same for every front: values in, an outcome and its commit out.

    front: bytes ─► checked values ─► send, claim, acknowledge, reply, subscribe, stream_…
           bytes ◄─ its answer, when `commit` is on disk ◄─ the outcome and `commit`, or a Refusal

stage_operations.py has those that only add a stage to a ticket.

Rule 1: no request, no response and no status line is known here. A front checks ids and texts
while it reads them. The bounds of what is kept are checked here, so each front has them.
Rule 2: each operation decides at once, without an await, on the newest state. Its outcome is true
when `commit` is on disk, and a front answers no sooner. None = it is on disk already.
Rule 3: a Refusal rests on a change that may not be on disk yet. So it has a commit too: if that
write fails, the reason for the refusal does not exist.
Rule 4: an error that rests on no change is raised: there is no such ticket, or no room. Each
RequestError has a Reason, for which each front has its own code.
Rule 5: a request takes one token of its rate, however many races its change loses. The front says
with `is_counted` that an earlier decision on the request was no refusal, so it took the token.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from bridge.broker import body
from bridge.broker.entry import Entry
from bridge.broker.journal.base import Commit
from bridge.broker.ledger import NewTicket, Stored
from bridge.broker.limits import REPLIES
from bridge.broker.registry import POLL_WINDOW
from bridge.broker.services import Services
from bridge.broker.subscriber import Outbox, StreamSubscriber
from bridge.broker.transitions import acknowledged, claimed, replied
from bridge.errors import RequestError

log = logging.getLogger("bridge.broker")
EVIDENCE_MAX = 16384  # bytes of JSON; two stages of a history hold it, and stay in memory
EVIDENCE_TEXT = 2048  # characters of each text, if the evidence is too long


class Refusal(NamedTuple):
    """The operation is refused, if `commit` succeeds."""

    error: RequestError
    commit: Stored


class Claimed(NamedTuple):
    ticket_id: str
    until_ms: int  # wall clock
    commit: Stored


class Acknowledged(NamedTuple):
    ticket_id: str
    status: str  # as it will be on disk
    commit: Stored


# Hot: once per ticket.
def send(
    services: Services, agent_id: str, draft: NewTicket, is_counted: bool = False
) -> tuple[str, bool, Stored]:
    """Accept a ticket. Return its id, whether its agent is served, and the commit.

    An agent is served if it is registered or received for. All bounds are checked before the
    ticket is made. A repeated send of the same ticket is answered as the first one was. Raises
    RequestError.
    """
    # A plain tuple: a NamedTuple costs 1 % of a ticket's way.
    ledger = services.ledger
    if draft.ticket_id is not None:
        known = ledger.repeated(agent_id, draft)
        if known is not None:
            entry, commit = known
            return entry.ticket_id, services.registry.is_served(agent_id), commit
    is_served = services.registry.is_served(agent_id)
    # Before the rate: a send that is refused for lack of room takes no token.
    ledger.check_room(agent_id, not is_served)
    if not is_counted:
        services.limits.check(agent_id, services.clock.monotonic())
    services.registry.note_named(agent_id)
    entry, commit = ledger.accept(agent_id, draft, not is_served)
    return entry.ticket_id, is_served, commit


def claim(services: Services, ticket_id: str, watcher: str, lease_ms: int) -> Claimed | Refusal:
    """`watcher` is about to inject the ticket. Raises RequestError if there is no such ticket."""
    entry = services.ledger.get(ticket_id)
    now, wall_ms = services.clock.monotonic(), services.clock.wall_ms()
    try:
        state = claimed(entry.head, watcher, lease_ms, now, wall_ms)
    except RequestError as error:
        return Refusal(error, entry.commit)
    assert state.claim is not None
    return Claimed(ticket_id, state.claim.until_ms, services.ledger.propose(entry, state))


def acknowledge(
    services: Services, ticket_id: str, watcher: str, evidence: object, size_bytes: int
) -> Acknowledged:
    """The ticket was injected. Raises RequestError if there is no such ticket.

    `evidence` is a JSON value of at most `size_bytes`; one that is too long is cut. A repeated
    acknowledgement changes nothing.
    """
    if size_bytes > EVIDENCE_MAX:  # only then can the evidence be too long
        evidence = _bounded(evidence)
    entry = services.ledger.get(ticket_id)
    commit = entry.commit
    if entry.head.is_acknowledgeable:
        state = acknowledged(entry.head, watcher, evidence, services.clock.wall_ms())
        commit = services.ledger.propose(entry, state)
    return Acknowledged(ticket_id, entry.head.status, commit)


def _bounded(evidence: object) -> object:
    """The evidence, or the part of it that fits.

    A ticket that was typed must not stay pending because its evidence is too long. Long texts are
    cut, and members that still do not fit are left out. `cutFrom` is the original size in bytes.
    """
    size = len(body.encode(evidence))
    if size <= EVIDENCE_MAX:
        return evidence
    kept: dict[str, object] = {"cutFrom": size}
    left = EVIDENCE_MAX
    for key, value in (evidence if isinstance(evidence, dict) else {"text": evidence}).items():
        value = value[:EVIDENCE_TEXT] if isinstance(value, str) else value
        took = len(body.encode({key: value}))
        if took <= left:
            left -= took
            kept[key] = value
    return kept


def reply(
    services: Services,
    ticket_id: str,
    payload: object,
    metadata: dict[str, object],
    is_counted: bool = False,
) -> Stored | Refusal:
    """Set the ticket's reply. If a registered agent sent the ticket, it gets one back.

    Raises RequestError if there is no such ticket, or no room for the new one. The same reply again
    changes nothing.
    """
    entry = services.ledger.get(ticket_id)
    if _is_repeated(entry, payload):
        known: Stored = entry.commit
        return known
    try:
        state = replied(entry.head, payload, metadata, services.clock.wall_ms())
    except RequestError as error:
        return Refusal(error, entry.commit)
    original = entry.decoded()
    origin = original["originAgent"]
    if origin not in services.registry.agents:
        return services.ledger.propose(entry, state)
    _check_bounds(services, origin, entry.agent_id, is_counted)
    ticket = _ticket_to_origin(entry, original["metadata"], payload, metadata)
    return services.ledger.propose(entry, state, (origin, ticket))


def _is_repeated(entry: Entry, payload: object) -> bool:
    """Is it the same reply again? The answer to the first request may have been lost."""
    response = entry.head.response
    return response is not None and body.canonical(response["payload"]) == body.canonical(payload)


def _check_bounds(services: Services, origin: str, replier: str, is_counted: bool) -> None:
    """A reply that becomes a ticket has the bounds of a send. Its rate is that of the replier.

    Raises RequestError. Nothing is lost: the ticket is unchanged, and the replier can try again.
    """
    try:
        services.ledger.check_room(origin)
        if not is_counted:
            services.limits.check(replier, services.clock.monotonic(), REPLIES)
    except RequestError as error:
        error.detail = f"the reply was not kept; send it again. {error.detail}"
        raise


def _ticket_to_origin(
    entry: Entry, original: Mapping[str, object], payload: object, metadata: dict[str, object]
) -> NewTicket:
    added: dict[str, object] = {"replyTo": entry.ticket_id, "isReply": True}
    if "threadId" in original:
        added["threadId"] = original["threadId"]
    origin = metadata.get("origin")
    return NewTicket(
        payload,
        {**metadata, **added},
        origin if isinstance(origin, str) and origin else entry.agent_id,
        expect_reply=False,
    )


def subscribe(services: Services, agent_id: str, subscriber: str, watcher: str) -> Stored:
    """The streams and polls of `subscriber` carry the agent.

    `watcher` owns the subscription, if it has a name. Raises RequestError if there is no room.
    """
    subscriptions = services.subscriptions
    services.registry.presence(agent_id)
    services.watchers.note(watcher, POLL_WINDOW)  # it is about to connect
    if (
        watcher
        and agent_id in subscriptions.agents(subscriber)
        and (subscriber, agent_id) not in subscriptions.owned(watcher)
    ):
        # The subscription exists already. Now this watcher owns it too.
        subscriptions.own(watcher, subscriber, agent_id)
        return None
    subscriptions.check_room(subscriber, agent_id)
    return subscriptions.subscribe(subscriber, agent_id, watcher)


def unsubscribe(services: Services, agent_id: str, subscriber: str, watcher: str) -> Commit:
    if watcher:
        services.registry.drop_report(agent_id, watcher)
    return services.subscriptions.unsubscribe(subscriber, agent_id)


def abandon(services: Services, watcher: str) -> None:
    """Remove what a gone watcher left.

    If another watcher receives under the same name, the subscriptions that only the gone one
    owned are removed: the other's stream would carry agents that it does not serve. Otherwise
    they stay, for a restart of the watcher.
    """
    services.registry.drop_reports(watcher)
    now = services.clock.monotonic()
    for subscriber, agent_id in services.subscriptions.leave(watcher):
        if services.subscriptions.receivers(subscriber, now):
            log.info(
                "subscription removed, its watcher is gone agent=%s subscriber=%s watcher=%s",
                agent_id,
                subscriber,
                watcher,
            )
            services.subscriptions.unsubscribe(subscriber, agent_id)


def stream_agent(
    services: Services, agent_id: str, after: int, watcher: str, outbox: Outbox
) -> StreamSubscriber:
    """Connect a stream of one agent's tickets after the cursor."""
    stream = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, is_shared=False, after=after
    )
    stream.add(agent_id, 0)
    services.watchers.opened(watcher)
    stream.on_close = partial(services.watchers.closed, watcher)
    return stream


def stream_subscriber(
    services: Services, name: str, after: int, watcher: str, outbox: Outbox
) -> StreamSubscriber:
    """Connect a stream of all agents that are subscribed under the name."""
    stream = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, is_shared=True, after=after
    )
    for agent_id, owed in services.subscriptions.agents(name).items():
        stream.add(agent_id, owed)
    services.subscriptions.opened(name, stream, watcher)
    services.watchers.opened(watcher)

    def close() -> None:
        services.subscriptions.closed(name, stream)
        services.watchers.closed(watcher)

    stream.on_close = close
    return stream


def stream_everything(
    services: Services, after: int, looks: bool, outbox: Outbox
) -> StreamSubscriber:
    """Connect a stream of every agent. With `looks` the client is an observer."""
    stream = StreamSubscriber(
        services.hub, services.clock, services.metrics, outbox, True, after, looks
    )
    stream.add_everything(after)
    return stream

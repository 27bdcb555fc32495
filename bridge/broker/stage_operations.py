"""Operations that add one stage to a ticket: shown, aside, and an operator's drop and purge.

The rules of operations.py hold here too: values in, an outcome and its commit out.

Rule 1: `shown` and `aside` change no status. Like an acknowledgement, each is on disk before it is
answered.
Rule 2: a dropped ticket is kept, with the stage `dropped` and the reason in its history. Its
waiters are woken, as when it expires.
Rule 3: a running claim does not prevent a drop. If the ticket is typed nevertheless, its
acknowledgement adds its stages.
Rule 4: a finished ticket is not dropped; its status stays.
Rule 5: one purge ends at most PURGE_MAX tickets, the oldest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bridge.broker import transitions
from bridge.broker.entry import Entry, TicketState
from bridge.broker.ledger import Stored
from bridge.broker.operations import Refusal
from bridge.broker.services import Services
from bridge.errors import RequestError

PURGE_MAX = 1000  # BRIDGE_QUEUE_MAX's default, so one request is enough; 20 ms of the loop


class Noted(NamedTuple):
    ticket_id: str
    status: str  # as it will be on disk
    commit: Stored


class Dropped(NamedTuple):
    dropped: int  # 0 if the ticket is finished already
    status: str  # as it will be on disk
    commit: Stored


class Purged(NamedTuple):
    dropped: int
    left: int  # tickets that are still pending
    commit: Stored


def shown(services: Services, ticket_id: str, place: Mapping[str, str]) -> Noted:
    """A terminal at `place` shows the whole ticket. A known place changes nothing.

    Raises RequestError if there is no such ticket.
    """
    entry = services.ledger.get(ticket_id)
    return _note(services, entry, transitions.shown(entry.head, place, services.clock.wall_ms()))


def aside(services: Services, ticket_id: str, watcher: str, reason: str) -> Noted | Refusal:
    """`watcher` lets other tickets pass this one. A repeated request changes nothing.

    Raises RequestError if there is no such ticket.
    """
    entry = services.ledger.get(ticket_id)
    try:
        state = transitions.aside(entry.head, watcher, reason, services.clock.wall_ms())
    except RequestError as error:
        return Refusal(error, entry.commit)
    return _note(services, entry, state)


def _note(services: Services, entry: Entry, state: TicketState) -> Noted:
    commit = entry.commit if state is entry.head else services.ledger.propose(entry, state)
    return Noted(entry.ticket_id, state.status, commit)


def drop(services: Services, ticket_id: str, reason: str) -> Dropped:
    """End one ticket. Raises RequestError if there is no such ticket."""
    entry = services.ledger.get(ticket_id)
    if entry.head.is_final:
        return Dropped(0, entry.head.status, entry.commit)
    state = transitions.dropped(entry.head, services.clock.wall_ms(), reason)
    return Dropped(1, state.status, services.ledger.propose(entry, state))


def purge(services: Services, agent_id: str, reason: str) -> Purged:
    """End the pending tickets of an agent."""
    wall_ms = services.clock.wall_ms()
    found = services.hub.read(agent_id, 0, PURGE_MAX)
    pending = [entry for entry in found if not entry.head.is_final]
    commit = found[-1].commit if found else None
    for entry in pending:
        state = transitions.dropped(entry.head, wall_ms, reason)
        commit = services.ledger.propose(entry, state)
    backlog = services.hub.backlogs.get(agent_id)
    left = (len(backlog) if backlog else 0) - len(found)
    return Purged(len(pending), left, commit)

"""Send, poll, claim, acknowledge.

Rule 1: a request that changes a ticket is answered when the change is on disk.
Rule 2: a poll removes nothing. A ticket leaves the backlog when it is acknowledged.
Rule 3: a handler reads the request and makes the answer. operations.py decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Callable, NamedTuple
from urllib.parse import quote

from bridge.broker import body, operations
from bridge.broker.answers import Answer, OnDisk, Response, Wait, json_reply, refused
from bridge.broker.call import Call
from bridge.broker.entry import LEASE_MAX, Entry
from bridge.broker.handlers.agents import watcher_in
from bridge.broker.ledger import NewTicket
from bridge.broker.registry import POLL_WINDOW
from bridge.broker.services import Services, only_looks, query_int
from bridge.broker.subscriptions import LINGER
from bridge.errors import BadValue
from bridge.ticket import check_id, check_name
from bridge.timestamp import rfc3339
from bridge.wire.request import Request
from bridge.wire.target import decode_query

TIMEOUT_MAX = 86_400_000  # ms that a wait for a reply may take: one day
TTL_MAX = 366 * 86_400_000  # ms
WAIT_MAX = 60_000  # ms
ACCEPTED = '{"ticketId":%s,"status":"pending","waitEndpoint":%s}'
UNKNOWN = ',"known":false}'  # the agent is neither registered nor received for
NAMES = ("origin", "threadId")  # members of metadata; each event about a ticket has them
# Characters of such a name. No agent's name is so long, but older senders may send more than a
# name.
NAME_MAX = 8192
# Members of a send that may be left out; NewTicket has their defaults.
OPTIONS = frozenset({"expectReply", "timeoutMs", "ttlMs"})
RESERVED_IDS = {"stream"}  # GET /tickets/stream is the shared stream


@lru_cache(maxsize=1024)  # most sends go to the same few names; a refused name is not cached
def check_agent(name: str) -> None:
    check_name(name, "agentId")


# Hot: once per ticket.
def send(call: Call) -> Answer:
    services, name = call.services, call.name
    check_agent(name)
    draft = read_draft(body.decode_object(call.request.body, services.settings.json_depth))
    ticket_id, is_served, commit = operations.send(services, name, draft, call.is_counted)
    if ticket_id.isalnum() and ticket_id.isascii():  # the broker's own ids need no quoting
        content = (
            f'{{"ticketId":"{ticket_id}","status":"pending",'
            f'"waitEndpoint":"/replies/{ticket_id}/stream"}}'
        )
    else:
        content = ACCEPTED % (
            body.encode_text(ticket_id),
            body.encode_text(f"/replies/{quote(ticket_id, safe='')}/stream"),
        )
    if not is_served:
        content = content[:-1] + UNKNOWN
    return OnDisk(Response(202, content.encode()), commit)


def read_draft(fields: dict[str, object]) -> NewTicket:
    """Check a send's body. Raises BadValue, which names the field."""
    if "payload" not in fields:
        raise BadValue("payload is missing; it is the message, any JSON value")
    metadata = body.take_object(fields, "metadata")
    origin, ticket_id = metadata.get("origin"), fields.get("ticketId")
    for name in NAMES:
        value = metadata.get(name)
        if isinstance(value, str) and len(value) > NAME_MAX:
            detail = (
                f"metadata.{name} is {len(value)} characters long; at most {NAME_MAX} are allowed"
            )
            raise BadValue(f"{detail}; put a longer text into the payload")
    if ticket_id is not None and check_id(ticket_id, "ticketId") in RESERVED_IDS:
        raise BadValue(f"ticketId {ticket_id!r} is the name of a resource; choose another")
    origin = origin if isinstance(origin, str) and origin else "ui"
    if OPTIONS.isdisjoint(fields):  # as in most sends
        return NewTicket(fields["payload"], metadata, origin, ticket_id)  # type: ignore[arg-type]
    return NewTicket(
        fields["payload"],
        metadata,
        origin,
        ticket_id,  # type: ignore[arg-type]
        body.take_flag(fields, "expectReply", True),
        body.take_int(fields, "timeoutMs", 30000, 0, TIMEOUT_MAX),
        body.take_int(fields, "ttlMs", 0, 1, TTL_MAX),
    )


class PollQuery(NamedTuple):
    """The query of a poll."""

    wait_ms: int  # 0 = a plain poll
    after: int
    limit: int
    looks: bool = False  # an observer, which does not receive the tickets
    watcher: str = ""  # the name of the watcher, if it sent one

    @property
    def tier(self) -> str:
        """The tier by which it receives; "" for an observer."""
        return "" if self.looks else "longpoll" if self.wait_ms else "poll"


def read_poll(request: Request, services: Services) -> PollQuery:
    """Check a poll's query. Raises BadValue, which names the field."""
    query = decode_query(request.query)
    wait_ms = query_int(query, "waitMs", 0, 0, WAIT_MAX)
    after = query_int(query, "after", 0, 0, body.INT_MAX)
    limit = query_int(query, "limit", body.INT_MAX, 1, body.INT_MAX)
    looks = only_looks(query)
    # With a cursor of another store, every ticket is new. A waiting poll counts as presence, so an
    # observer does not wait.
    return PollQuery(
        0 if looks else wait_ms,
        after if after <= services.ledger.seq else 0,
        limit,
        looks,
        "" if looks else watcher_in(query),
    )


def wait_for_poll(
    services: Services,
    poll: PollQuery,
    join: Callable[[Callable[[], None]], Callable[[], None]],
    answer: Callable[[], Response],
) -> Wait:
    """A long-poll that waits. Its watcher counts as here meanwhile, and for a moment after."""

    def opened(wake: Callable[[], None]) -> Callable[[], None]:
        services.watchers.opened(poll.watcher)
        return join(wake)

    return Wait(
        opened, poll.wait_ms / 1000, answer, partial(services.watchers.closed, poll.watcher, LINGER)
    )


def note_poll(services: Services, agent_id: str, poll: PollQuery) -> None:
    if poll.looks:
        return
    presence, now = services.registry.presence(agent_id), services.clock.monotonic()
    if poll.wait_ms:
        presence.longpolled_at = now
    else:
        presence.polled_at = now


def pending(call: Call) -> Answer:
    services, name = call.services, call.name
    check_id(name, "agentId")
    poll = read_poll(call.request, services)
    note_poll(services, name, poll)
    services.watchers.note(poll.watcher, LINGER if poll.wait_ms else POLL_WINDOW)
    answer = partial(_backlog, services, name, poll)
    if not poll.wait_ms or services.hub.read(name, poll.after, 1):
        return answer()
    return wait_for_poll(services, poll, partial(services.hub.polls.wait, name), answer)


def _backlog(services: Services, agent_id: str, poll: PollQuery) -> Response:
    return list_tickets(services, services.hub.read(agent_id, poll.after, poll.limit), poll.tier)


def list_tickets(services: Services, entries: Sequence[Entry], tier: str) -> Response:
    """Pending tickets, as many as fit one answer. The next poll gets the rest.

    With `tier` "" the client is an observer, and the tickets do not count as streamed.
    """
    parts: list[bytes] = []
    size, wall_ms, now = 0, services.clock.wall_ms(), services.clock.monotonic()
    for entry in entries:
        size += len(entry.data)
        if parts and size > services.settings.poll_bytes:
            break
        if tier and not entry.streamed_ms:
            services.metrics.streamed(entry, tier, wall_ms, now)
        parts.append(entry.data)
    return Response(200, b"[%b]" % b",".join(parts))


def claim(call: Call) -> Answer:
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    watcher = check_id(fields.get("watcher"), "watcher")
    lease_ms = body.take_int(fields, "leaseMs", 60000, 1, LEASE_MAX)
    outcome = operations.claim(call.services, call.name, watcher, lease_ms)
    if isinstance(outcome, operations.Refusal):
        return refused(outcome.error, outcome.commit)
    content = {"ticketId": outcome.ticket_id, "leaseUntilAt": rfc3339(outcome.until_ms)}
    return OnDisk(json_reply(200, content), outcome.commit)


def acknowledge(call: Call) -> Answer:
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    watcher = "" if fields.get("watcher") is None else check_id(fields["watcher"], "watcher")
    outcome = operations.acknowledge(
        call.services, call.name, watcher, fields.get("evidence"), len(call.request.body)
    )
    content = {"ticketId": outcome.ticket_id, "status": outcome.status}
    return OnDisk(json_reply(200, content), outcome.commit)

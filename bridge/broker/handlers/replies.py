"""Replies, and waiting for them. A waiter that gives up changes nothing.

A ticket that has expired or was dropped gets no reply, and its waiters are answered at once.
`/wait` answers 408, and the stream sends its `timeout` event. A poll with `ended=1` answers 200
with the present ticket. A poll without `ended=1` continues to wait, because for an older client
200 means a reply.
"""

from __future__ import annotations

from functools import partial

from bridge.broker import body, operations
from bridge.broker.answers import (
    Answer,
    EventStream,
    OnDisk,
    Response,
    Wait,
    json_reply,
    problem,
    refused,
)
from bridge.broker.call import Call
from bridge.broker.entry import Entry
from bridge.broker.handlers.streams import check_streams, heartbeat_as_event
from bridge.broker.handlers.tickets import WAIT_MAX
from bridge.broker.reply_stream import ReplyStream
from bridge.broker.services import Services, query_int
from bridge.errors import BadValue, Reason, RequestError
from bridge.ticket import check_id
from bridge.wire.target import decode_query

PUNCTUAL = 0.05  # seconds by which a timer may be early


def reply(call: Call) -> Answer:
    fields = body.decode_object(call.request.body, call.services.settings.json_depth)
    ticket_id = check_id(fields.get("ticketId"), "ticketId")
    if "payload" not in fields:
        raise BadValue("payload is missing; it is the reply, any JSON value")
    metadata = body.take_object(fields, "metadata")
    outcome = operations.reply(
        call.services, ticket_id, fields["payload"], metadata, call.is_counted
    )
    if isinstance(outcome, operations.Refusal):
        return refused(outcome.error, outcome.commit)
    return OnDisk(Response(204), outcome)


def _current(services: Services, ticket_id: str) -> Response:
    return json_reply(200, services.ledger.get(ticket_id).to_json())


def _reply_or(services: Services, ticket_id: str, otherwise: Response) -> Response:
    entry = services.ledger.find(ticket_id)
    return (
        json_reply(200, entry.to_json())
        if entry and entry.state.response is not None
        else otherwise
    )


def _is_settled(entry: Entry) -> bool:
    """Does it have a reply, or can it never get one?"""
    return entry.state.response is not None or entry.state.has_ended


def _poll_reply(services: Services, ticket_id: str, tells_end: bool) -> Response:
    entry = services.ledger.find(ticket_id)
    is_answer = entry is not None and (
        _is_settled(entry) if tells_end else entry.state.response is not None
    )
    return json_reply(200, entry.to_json()) if entry and is_answer else Response(204)


def get_reply(call: Call) -> Answer:
    services, name = call.services, call.name
    query = decode_query(call.request.query)
    entry = services.ledger.get(name)
    if "waitMs" not in query:
        return _current(services, name)
    wait_ms = query_int(query, "waitMs", 0, 0, WAIT_MAX)
    tells_end = query.get("ended") == "1"
    answer = partial(_poll_reply, services, name, tells_end)
    if entry.state.response is not None or (tells_end and entry.state.has_ended) or not wait_ms:
        return answer()
    return Wait(partial(services.hub.replies.wait, name), wait_ms / 1000, answer)


def wait_reply(call: Call) -> Answer:
    services, name = call.services, call.name
    entry = services.ledger.get(name)
    deadline = services.clock.monotonic() + entry.timeout_ms / 1000

    def answer() -> Response:
        return _reply_or(
            services,
            name,
            _no_reply(entry, is_over=services.clock.monotonic() > deadline - PUNCTUAL),
        )

    if _is_settled(entry) or not entry.timeout_ms:
        return answer()
    return Wait(partial(services.hub.replies.wait, name), entry.timeout_ms / 1000, answer)


def _no_reply(entry: Entry, is_over: bool) -> Response:
    if entry.state.has_ended:
        detail = f"ticket {entry.ticket_id!r} is {entry.state.status}; no reply to it will come"
        return problem(RequestError(Reason.NO_REPLY, detail))
    if is_over:
        return problem(
            RequestError(
                Reason.NO_REPLY,
                f"no reply to ticket {entry.ticket_id!r} within its {entry.timeout_ms} ms; "
                "it stays as it is, ask again",
            )
        )
    return problem(
        RequestError(
            Reason.UNAVAILABLE,
            "the broker is stopping; the ticket stays as it is, ask again",
            retry_after=1,
        )
    )


def stream_reply(call: Call) -> Answer:
    services = call.services
    check_streams(services)
    entry = services.ledger.get(call.name)
    as_event = heartbeat_as_event(decode_query(call.request.query))
    return EventStream(
        lambda outbox: ReplyStream(services.ledger, services.hub.replies, outbox, entry), as_event
    )

"""What a handler may answer. A front turns it into bytes; no handler ever sees a connection.

    Reply         now
    OnDisk        this reply, once the change behind it is on disk; 503 if it cannot be
    Wait          when woken, or when the time is up
    EventStream   a stream that goes on
"""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Mapping, NamedTuple, Optional, Union

from bridge.broker import body
from bridge.broker.entry import Entry
from bridge.broker.hub import Subscriber
from bridge.broker.subscriber import Outbox
from bridge.errors import PeerError, StoreBusy

JSON, PROBLEM, TEXT = "application/json", "application/problem+json", "text/plain; version=0.0.4; charset=utf-8"


def _nothing() -> None:
    return None


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class OnDisk(NamedTuple):
    reply: Reply
    commit: Optional[asyncio.Future[Optional[StoreBusy]]]  # None = it is on disk already


class Wait(NamedTuple):
    """Answer with `answer()` when woken, or after `seconds`; `on_end` is called in any case.

    `join` registers what wakes us, and returns what cancels that.
    """

    join: Callable[[Callable[[], None]], Callable[[], None]]
    seconds: float
    answer: Callable[[], Reply]
    on_end: Callable[[], None] = _nothing


class EventStream(NamedTuple):
    """`attach` connects a subscriber to the front's outbox; the front then has it catch up."""

    attach: Callable[[Outbox], Subscriber]
    heartbeat_as_event: bool = False


Answer = Union[Reply, OnDisk, Wait, EventStream]


def json_reply(status: int, content: object) -> Reply:
    return Reply(status, body.encode(content))


def problem(error: PeerError) -> Reply:
    """RFC 9457, plus `error`, which the predecessor's clients read."""
    content: Mapping[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(error.status, "Error"),
        "status": error.status,
        "detail": error.detail,
        "error": error.detail,
        **error.extra,
    }
    return Reply(error.status, body.encode(content), PROBLEM, tuple(error.headers.items()))


def refused(error: PeerError, entry: Entry) -> Answer:
    """A refusal because of a change that may still be on its way: it holds only if that change is kept."""
    return OnDisk(problem(error), entry.commit)


TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
    413: "Content Too Large", 414: "URI Too Long", 417: "Expectation Failed", 421: "Misdirected Request", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable", 505: "HTTP Version Not Supported",
}  # fmt: skip

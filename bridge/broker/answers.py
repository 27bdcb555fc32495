"""The kinds of answer of a handler. A front turns them into bytes; no handler sees a connection.

    Response      this response, now
    OnDisk        this response, when its change is on disk; 503 if the write fails. The request is
                  answered again if the change lost a race
    Wait          an answer after a callback, or when the time is up
    Steps         a response that is made in parts: it takes longer than one turn of the loop may
    Download      a file, as fast as the peer reads it
    EventStream   a stream that goes on

Each is a value, which a test can check without a connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Callable, NamedTuple, Union

from bridge.broker import body
from bridge.broker.hub import Subscriber
from bridge.broker.journal.base import Commit
from bridge.broker.subscriber import Outbox
from bridge.errors import PeerError, Reason, RequestError

JSON, PROBLEM = "application/json", "application/problem+json"
SQLITE = "application/vnd.sqlite3"
PART_ROWS = 64  # agents of one part of an answer that lists them; a row takes 20 to 40 us


def _nothing() -> None:
    return None


class Response(NamedTuple):
    """A whole response."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    reason: str = ""  # of a refusal: the label of bridge_refusals_total
    cache: str = "no-store"  # Cache-Control


class OnDisk(NamedTuple):
    """Answer with `reply` when `commit` is on disk."""

    reply: Response
    commit: Commit | None  # None = it is on disk already


class Wait(NamedTuple):
    """Answer with `answer()` when woken, or after `seconds`. `on_end` is called in any case.

    `join` registers the callback that wakes the front, and returns a function that cancels it.
    """

    join: Callable[[Callable[[], None]], Callable[[], None]]
    seconds: float
    answer: Callable[[], Response | Download]
    on_end: Callable[[], None] = _nothing


class Steps(NamedTuple):
    """Answer with the first Response of `parts`. Each None before it ends a part of the work.

    Parts of many answers take turns, so no lock and no open read may be held between two parts.
    """

    parts: Iterator[Response | None]


class Download(NamedTuple):
    """`size` bytes, which `read` returns in pieces. `close` is called at the end, in any case."""

    content_type: str
    size: int
    read: Callable[[int], bytes]
    close: Callable[[], None]


class EventStream(NamedTuple):
    """`attach` connects a subscriber to the front's outbox. Then the front lets it catch up."""

    attach: Callable[[Outbox], Subscriber]
    heartbeat_as_event: bool = False


Answer = Union[Response, OnDisk, Wait, Steps, Download, EventStream]


def json_reply(status: int, content: object) -> Response:
    return Response(status, body.encode(content))


def problem(error: RequestError | PeerError) -> Response:
    """The answer to a refused request, or to bytes that broke the protocol."""
    if isinstance(error, PeerError):
        label = LABELS.get(error.status, "other")
        return _document(error.status, error.detail, tuple(error.headers.items()), {}, label)
    headers = (("Retry-After", str(error.retry_after)),) if error.retry_after else ()
    status, label = STATUSES[error.reason], error.reason.value
    return _document(status, error.detail, headers, error.extra, label)


def _document(
    status: int,
    detail: str,
    headers: tuple[tuple[str, str], ...],
    extra: Mapping[str, object],
    label: str,
) -> Response:
    """A problem document (RFC 9457), plus `error`, which the predecessor's clients read.

    `extra` are its extension members (section 3.2).
    """
    content: Mapping[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "error": detail,
        **extra,
    }
    return Response(status, body.encode(content), PROBLEM, headers, label)


def refused(error: RequestError, commit: Commit | None) -> Answer:
    """A refusal that rests on a change which may not be on disk yet. It waits for that change.

    If the write fails, the answer is 503: the reason for the refusal does not exist. If the change
    lost a race, the request is answered again.
    """
    return OnDisk(problem(error), commit)


# The status of each Reason in HTTP. A reason without one is a KeyError.
STATUSES = {
    Reason.MALFORMED: 400, Reason.NOT_FOUND: 404, Reason.NO_REPLY: 408, Reason.CONFLICT: 409,
    Reason.TOO_LARGE: 413,
    Reason.AGENT_BYTES: 429, Reason.AGENTS_MAX: 429, Reason.QUEUE_FULL: 429,
    Reason.RATE_LIMIT: 429, Reason.STRAY_BYTES: 429, Reason.SUBSCRIBERS_MAX: 429,
    Reason.CONNECTIONS_MAX: 503, Reason.CONNECTION_BYTES: 503, Reason.EVENTS_MAX: 503,
    Reason.PENDING_BYTES: 503, Reason.STORE: 503, Reason.STREAMS_MAX: 503,
    Reason.STREAMS_OFF: 503, Reason.UNAVAILABLE: 503,
}  # fmt: skip
# The label of bridge_refusals_total, where a PeerError has only a status.
LABELS = {
    400: "malformed", 403: "origin", 404: "not_found", 405: "method", 408: "timeout",
    409: "conflict", 413: "too_large", 414: "too_large", 417: "expectation", 421: "host",
    429: "limit", 431: "too_large", 500: "internal", 501: "method", 503: "unavailable",
    505: "version",
}  # fmt: skip
# All values of the label.
REFUSALS = frozenset({*LABELS.values(), *(reason.value for reason in Reason), "other"})
# Refusals when nothing is wrong: no reply yet, another watcher's claim.
ORDINARY = frozenset({"not_found", "no_reply", "timeout", "conflict"})
TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 413: "Content Too Large",
    414: "URI Too Long", 417: "Expectation Failed", 421: "Misdirected Request",
    429: "Too Many Requests", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}  # fmt: skip

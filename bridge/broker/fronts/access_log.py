"""Access log, response counters, and the X-Request-Id that links an answer to its log line.

Rule 1: an answer has an `X-Request-Id` if its request had one (the same, if that is
sane), or if it is a refusal. Other answers have none, and are logged only at DEBUG.
So the usual request costs nothing here.
Rule 2: a refusal is one line at INFO. A refusal of ordinary traffic (no such ticket,
no reply in time, another watcher's claim) is one line at DEBUG.
Rule 3: a peer that causes refusals must not fill the log. There is a bound on the lines
between two sweeps, and one line gives the number of those beyond it. asyncio's lines
have such a bound too, because asyncio logs each write to a dead connection.
Rule 4: a line is short. A path may be as long as a request's head, so it is truncated.
Rule 5: no line holds a request's body, a reply's text or a query: only paths and
reasons.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets

from bridge.broker.answers import ORDINARY, Response
from bridge.broker.metrics.counters import Metrics
from bridge.wire.request import Request

log = logging.getLogger("bridge.broker")

SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
ID = "X-Request-Id"
Headers = tuple[tuple[str, str], ...]
CUT_AT = 200  # characters of a path or a method in a line
ASYNCIO_LINES = 20  # between two sweeps


class AccessLog:
    """One for all connections."""

    def __init__(self, metrics: Metrics, lines_max: int) -> None:
        self._metrics = metrics
        self._lines_max = lines_max
        self._lines = 0  # since the last sweep
        self._unlogged = 0
        self._asyncio_lines = self._asyncio_unlogged = 0
        self._is_tracing = log.isEnabledFor(logging.DEBUG)

    def request_id(self, request: Request | None) -> str:
        """The request's own id if it is sane, else a new one."""
        given = request.fields.get("x-request-id", "") if request is not None else ""
        return given if SANE.fullmatch(given) else secrets.token_hex(4)

    # Hot: once per request.
    def answered(
        self, request: Request, reply: Response, transport: asyncio.BaseTransport
    ) -> Headers:
        """Count an answer. Return the header fields to add to it."""
        self._metrics.responses[reply.status] += 1
        if not reply.reason and not self._is_tracing and "x-request-id" not in request.fields:
            return ()
        return self._note(request, reply, transport)

    def refused(self, reply: Response, transport: asyncio.BaseTransport) -> Headers:
        """Count a refusal of bytes that were not a request."""
        self._metrics.responses[reply.status] += 1
        return self._note(None, reply, transport)

    def _note(
        self, request: Request | None, reply: Response, transport: asyncio.BaseTransport
    ) -> Headers:
        given = dict(reply.headers).get(ID)
        request_id = given or self.request_id(request)
        if reply.reason:
            self._metrics.refusals[reply.reason] += 1
            self._log_refusal(request_id, request, reply, transport)
        elif self._is_tracing:
            log.debug(
                "answered id=%s method=%s path=%s status=%d bytes=%d peer=%s",
                request_id,
                *_what(request),
                reply.status,
                len(reply.body),
                _peer(transport),
            )
        return () if given else ((ID, request_id),)

    def _log_refusal(
        self,
        request_id: str,
        request: Request | None,
        reply: Response,
        transport: asyncio.BaseTransport,
    ) -> None:
        level = logging.DEBUG if reply.reason in ORDINARY else logging.INFO
        if not log.isEnabledFor(level):
            return
        self._lines += 1
        if self._lines > self._lines_max:
            self._unlogged += 1
            return
        log.log(
            level,
            "refused id=%s method=%s path=%s status=%d reason=%s peer=%s",
            request_id,
            *_what(request),
            reply.status,
            reply.reason,
            _peer(transport),
        )

    def sweep(self) -> None:
        """Begin a new interval of the bounds. The server calls it every second or more often."""
        self._lines = 0
        if self._unlogged:
            log.info("further refusals, not logged one by one count=%d", self._unlogged)
            self._unlogged = 0
        self._asyncio_lines = 0
        if self._asyncio_unlogged:
            log.warning("further asyncio lines, not logged count=%d", self._asyncio_unlogged)
            self._asyncio_unlogged = 0

    def may_log(self, record: logging.LogRecord) -> bool:
        """The filter of asyncio's logger: return whether the record may be logged."""
        self._asyncio_lines += 1
        if self._asyncio_lines > ASYNCIO_LINES:
            self._asyncio_unlogged += 1
        return self._asyncio_lines <= ASYNCIO_LINES

    def failed(self, request: Request) -> str:
        """Log that a handler raised an unexpected exception, and return the request's id.

        Call it while the exception is being handled.
        """
        request_id = self.request_id(request)
        log.exception("handler failed id=%s method=%s path=%s", request_id, *_what(request))
        return request_id

    def stream_opened(self, request: Request, transport: asyncio.BaseTransport) -> Headers:
        self._metrics.responses[200] += 1
        if not self._is_tracing and "x-request-id" not in request.fields:
            return ()
        request_id = self.request_id(request)
        log.debug(
            "stream opened id=%s method=%s path=%s peer=%s",
            request_id,
            *_what(request),
            _peer(transport),
        )
        return ((ID, request_id),)

    def stream_closed(
        self, transport: asyncio.BaseTransport, error: Exception | None, is_cut: bool
    ) -> None:
        if self._is_tracing:
            log.debug(
                "stream closed peer=%s by=%s",
                _peer(transport),
                error or ("us" if is_cut else "either side"),
            )


def _what(request: Request | None) -> tuple[str, str]:
    return (_cut(request.method), _cut(request.path)) if request is not None else ("-", "-")


def _cut(text: str) -> str:
    return text if len(text) <= CUT_AT else f"{text[:CUT_AT]}…({len(text)})"


def _peer(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) and len(peer) > 1 else "-"

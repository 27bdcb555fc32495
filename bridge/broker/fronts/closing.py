"""How an HTTP connection ends: deadlines, refusals, lingering, cuts.

    deadline passed, or the peer broke the protocol ──► refused ──► lingering ──► closed
    the peer reads too little, or another connection needs the place ──► aborted

Rule 1: a refused peer gets time to read its answer (RFC 9112 section 9.6). If we
closed while bytes of the peer are unread, TCP would reset the connection and the
answer could be lost.
Rule 2: the server's sweep looks at deadlines every second or so. There is no timer.
"""

from __future__ import annotations

import asyncio
import logging

from bridge.broker.answers import problem
from bridge.broker.fronts.connection_state import ConnectionEvent, ConnectionState
from bridge.broker.fronts.reading import RequestReader
from bridge.broker.fronts.responses import encode_reply
from bridge.broker.fronts.server_context import ServerContext
from bridge.broker.fronts.write_progress import WriteProgress
from bridge.errors import PeerError
from bridge.wire.request import RequestStage

log = logging.getLogger("bridge.broker")

# A connection that is closed during a sweep may still be on the sweep's list.
NEVER_OVERDUE = frozenset({ConnectionState.QUEUED, ConnectionState.CLOSED})
LINGER = 2.0  # seconds that a refused peer has to read its answer


class Closing(RequestReader):
    """The reading half, and every way in which it ends. The protocol adds `_answer_request`."""

    def __init__(self, server: ServerContext, transport: asyncio.Transport) -> None:
        super().__init__(server, transport)
        self._is_cut = False
        self._stuck: WriteProgress | None = None  # while the peer reads too slowly

    def _refuse(self, error: PeerError) -> None:
        """The peer broke the protocol, so the end of its request cannot be found."""
        reply, second = problem(error), int(self._server.services.clock.wall())
        self._transport.write(
            encode_reply(
                reply,
                second,
                b"Connection: close\r\n",
                False,
                self._server.access_log.refused(reply, self._transport),
            )
        )
        self._linger()

    def _linger(self) -> None:
        """Close once the peer has read the answer (rule 1)."""
        self._move(ConnectionEvent.FINISH)
        self.deadline = self._monotonic() + LINGER
        if self._has_eof or self._transport.is_closing():
            self._transport.close()
        else:
            if not self._transport.is_reading():
                self._transport.resume_reading()
            try:
                self._transport.write_eof()
            except OSError:  # the peer has reset the connection already
                self.abort()

    def sweep(self, now: float) -> bool:
        """Close the connection if it is overdue. Return whether that was begun."""
        if self._stuck is not None:
            reason = self._reason_to_cut(now, self._server.services.settings.write_deadline / 1000)
            if not reason:
                return False
            log.info("%s", reason)
            self.abort()
        elif now < self.deadline or self.state in NEVER_OVERDUE:
            return False
        elif self.state is ConnectionState.READING and self._stage is not RequestStage.IDLE:
            part = "head" if self._stage is RequestStage.HEAD else "body"
            self._refuse(PeerError(408, f"the request's {part} did not arrive whole in time"))
        elif self._transport.is_closing():
            # Closed, but the peer has not read the last answer. Without the abort the descriptor
            # would stay open for ever.
            self.abort()
        else:
            self._transport.close()
            self.deadline = now + self._server.services.settings.write_deadline / 1000
        return True

    def _reason_to_cut(self, now: float, allowed: float) -> str:
        """Why a peer whose buffer is full is cut; "" if it is not."""
        assert self._stuck is not None
        if self._stuck.is_over(now, self._transport.get_write_buffer_size(), allowed):
            return "write deadline passed, the peer reads nothing"
        return ""

    def give_way(self) -> None:
        """Another connection needs the place, and this one has been idle for long."""
        log.debug("closed for another connection, it was idle")
        self.abort()

    def cut(self) -> int:
        """All connections together hold too many bytes (held_bytes.py)."""
        self._server.services.metrics.refusals["connection_bytes"] += 1
        self.abort()
        return 0

    def abort(self) -> None:
        self._is_cut = True
        self._transport.abort()

"""The reading half of a connection: bytes in, whole requests out, one at a time.

    a read ──► parser ──► request ──► _answer_request ──► READING again? the next one
                  └──► needs more: read on      └──► no time left: in a later turn (loop_budget.py)

Rule 1: while an answer is due, further bytes wait in the parser. Beyond head_max bytes reading
pauses, and TCP holds the peer back. Reading resumes when the parser needs more, not before.
Rule 2: a deadline runs only while the connection waits for its peer.
Rule 3: a large body is read in few large steps, with a rest after each. So are bytes that
nothing will answer (loop_budget.py).
"""

from __future__ import annotations

import asyncio

from bridge.broker.fronts.connection_state import (
    HOLDS_INPUT,
    NEXT_STATE,
    ConnectionEvent,
    ConnectionState,
)
from bridge.broker.fronts.loop_budget import LARGE
from bridge.broker.fronts.server_context import ServerContext
from bridge.errors import PeerError
from bridge.wire.request import Request, RequestParser, RequestStage

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNK_MOVES = 600  # 200 chunks: a millisecond of the loop
FOREVER = float("inf")


class RequestReader(asyncio.BufferedProtocol):
    """A subclass adds `_answer_request`, `_refuse` and `cut`."""

    def __init__(self, server: ServerContext, transport: asyncio.Transport) -> None:
        self._server, self._transport = server, transport
        self._monotonic = server.services.clock.monotonic
        self._parser = RequestParser(server.limits, CHUNK_MOVES)
        self._has_eof = False  # the peer has sent its end
        self._noted = 0  # the held_bytes that `server.held` was last given
        self._late_bytes = 0  # of a complete request that waits for its turn of the loop
        self.state = ConnectionState.READING
        self.deadline = 0.0
        self._stage = RequestStage.IDLE
        self._set_stage(RequestStage.IDLE)

    def _answer_request(self, request: Request) -> None:
        raise NotImplementedError

    def _refuse(self, error: PeerError) -> None:
        raise NotImplementedError

    def cut(self) -> int:
        """Hold less, or end the connection at once. Return the bytes that it still holds."""
        raise NotImplementedError

    # Hot: twice per request.
    def _move(self, event: ConnectionEvent) -> None:
        self.state = NEXT_STATE[self.state, event]

    def get_buffer(self, sizehint: int) -> memoryview:
        # All connections share one buffer: the loop fills it and calls buffer_updated in one step.
        # asyncio.Protocol would get a new 256 KiB for each read. malloc would map, shrink and
        # unmap it: three system calls a request.
        return self._server.receive_buffer

    # Hot: once per request.
    def buffer_updated(self, nbytes: int) -> None:
        if self.state is ConnectionState.READING:
            self._parser.feed(bytes(self._server.receive_buffer[:nbytes]))
            self._read_on()
        elif self.state in HOLDS_INPUT:
            self._parser.feed(bytes(self._server.receive_buffer[:nbytes]))
            if self._parser.held_bytes > self._server.limits.head_max:
                self._transport.pause_reading()
            self._note_held()
        else:
            self._rest()

    def _rest(self) -> None:
        self._transport.pause_reading()
        self._server.budget.rest(self._read_again)

    def _read_again(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _read_on(self) -> None:
        """Answer the requests in the parser, as far as this turn of the loop has time."""
        budget, began = self._server.budget, self._monotonic()
        if budget.is_used_up:
            self._queue()
            return
        while self._read_one():
            if self._transport.is_closing():
                break  # the peer is gone, and asyncio logs each write to a dead transport
            if budget.is_over(began):
                self._queue()
                break
        budget.spend(began)

    # Hot: once per request.
    def _go_on(self) -> None:
        """An answer was sent. Answer the next request, if one has arrived meanwhile."""
        if self.state is ConnectionState.READING:
            if self._parser.is_empty:
                self._need_request()
            else:
                self._read_on()

    def _queue(self) -> None:
        self._move(ConnectionEvent.DEFER)
        self._note_held()
        self._server.budget.queue(self._take_turn)

    def _take_turn(self) -> None:
        if self.state is ConnectionState.CLOSED:
            return
        self._move(ConnectionEvent.TURN)
        if not self._transport.is_closing() and self._read_one():
            self._queue()

    def _read_one(self) -> bool:
        """Answer the next request, or parse a part of it. Return whether there is more to do."""
        try:
            request = self._parser.take_request()
        except PeerError as error:
            self._refuse(error)
            return False
        if request is None:
            if self._parser.is_behind:
                return True
            self._need_more()
            return False
        self._answer_request(request)
        return self.state is ConnectionState.READING

    def _need_more(self) -> None:
        """The parser holds no whole request."""
        stage = self._parser.stage
        if stage is RequestStage.IDLE:
            self._need_request()
            return
        if stage is RequestStage.BODY and self._parser.take_continue():
            self._transport.write(CONTINUE)
        if self._has_eof:
            self._transport.close()
            return
        if stage is RequestStage.BODY and self._parser.held_bytes > LARGE:
            self._rest()
        elif not self._transport.is_reading():
            self._transport.resume_reading()
        if stage is not self._stage:
            self._set_stage(stage)
        self._note_held()

    # Hot: once per request.
    def _need_request(self) -> None:
        """The parser holds nothing."""
        if self._has_eof:
            self._transport.close()
            return
        if not self._transport.is_reading():
            self._transport.resume_reading()
        self._set_stage(RequestStage.IDLE)
        if self._noted:
            self._note_held()

    @property
    def held_bytes(self) -> int:
        """Bytes in this process that the peer has sent, or has not read yet."""
        unread = self._transport.get_write_buffer_size()
        return self._parser.held_bytes + self._late_bytes + unread

    def _note_held(self) -> None:
        held = self.held_bytes
        if held != self._noted and self.state is not ConnectionState.CLOSED:
            self._noted = held
            self._server.held.note(self, held)

    @property
    def waits_since(self) -> float | None:
        """Since when it waits for its peer; None while it is answered or streams."""
        if self.state is not ConnectionState.READING:
            return None
        return self.deadline - self._server.stage_timeouts[self._stage]

    def _set_stage(self, stage: RequestStage) -> None:
        self._stage = stage
        waiting = self._server.waiting
        waiting[self] = None
        waiting.move_to_end(self)
        self.deadline = self._monotonic() + self._server.stage_timeouts[stage]

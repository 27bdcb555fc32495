"""One HTTP/1.1 connection: requests in, answers out, in the same order.

    whole request (reading.py) ──► handler ──► Answer ──► one write, a stream or a file
                                                    └──► later: a commit, a long-poll, Steps

What the connection does at a time is its state (connection_state.py).

Rule 1: one request at a time. Pipelined requests wait in the parser (reading.py).
Rule 2: no task and no timer per connection. A deadline is a number that the
server's sweep looks at (closing.py). Only a waiting long-poll has a timer.
Rule 3: the one seam where RequestError and PeerError become an answer, and where any
other exception becomes a 500 without a stack trace.
Rule 4: no peer takes more than its share of a turn of the loop (loop_budget.py).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Callable

from bridge.broker.answers import (
    Answer,
    Download,
    EventStream,
    OnDisk,
    Response,
    Steps,
    Wait,
    problem,
)
from bridge.broker.fronts.access_log import ID
from bridge.broker.fronts.closing import Closing
from bridge.broker.fronts.connection_state import (
    OUTLIVES_EOF,
    ConnectionEvent,
    ConnectionState,
)
from bridge.broker.fronts.cors import cors_headers, options_reply
from bridge.broker.fronts.download import FileSender
from bridge.broker.fronts.loop_budget import LARGE
from bridge.broker.fronts.outbox import StreamOutbox
from bridge.broker.fronts.reading import FOREVER
from bridge.broker.fronts.responses import encode_download_head, encode_reply, encode_stream_head
from bridge.broker.fronts.server_context import ServerContext
from bridge.broker.fronts.write_progress import WriteProgress
from bridge.broker.journal.base import Commit
from bridge.broker.routes import dispatch
from bridge.errors import PeerError, Raced, Reason, RequestError
from bridge.wire.request import Request, RequestStage

RACES_MAX = 16  # times that one request is answered again because its change was Raced
# Seconds that a new connection has for its request when the broker stops: it may be on its way.
ASKING = 0.25


class HttpConnection(Closing):
    """Takes over a transport that asyncio.start_server accepted.

    It keeps `writer`, because the writer's finaliser would close the transport.
    """

    # Each belongs to a state, and is set when that begins.
    _outbox: StreamOutbox  # STREAMING
    _sending: FileSender  # DOWNLOADING
    _stop_waiting: Callable[[], None]  # WAITING
    _finish_waiting: Callable[[], None]  # WAITING

    def __init__(
        self, server: ServerContext, writer: asyncio.StreamWriter, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(server, writer.transport)  # type: ignore[arg-type]
        self._loop, self._writer = loop, writer
        self._request: Request | None = None
        self._races = 0  # of the request
        self._is_counted = False  # by a rate limit, before its change lost a race
        server.connections.add(self)
        server.timed.add(self)
        server.services.metrics.connections_open += 1

    def eof_received(self) -> bool:
        """The peer sends no more. It may still read the answers to what it has sent."""
        if self.state in OUTLIVES_EOF:
            self._has_eof = True
            return True
        return False

    # Hot: once per request.
    def _answer_request(self, request: Request) -> None:
        self._request, self._races, self._is_counted = request, 0, False
        self._move(ConnectionEvent.REQUEST)
        self._stage = RequestStage.IDLE  # the next request begins its own deadline
        self.deadline = FOREVER
        if len(request.body) > LARGE:
            self._put_off(len(request.body))
        else:
            self._give(self._guarded(self._dispatch, request))

    def _put_off(self, size_bytes: int) -> None:
        """Answer it when the loop budget's queue calls; until then its body counts as held."""

        def answer() -> None:
            answers = self._dispatch if self._late_bytes else _gave_way
            self._late_bytes = 0
            self._note_held()
            if self.state is ConnectionState.ANSWERING and not self._transport.is_closing():
                self._give(self._guarded(answers, self._request))
                self._go_on()

        self._late_bytes = size_bytes
        self._note_held()
        self._server.budget.queue(answer)

    def cut(self) -> int:
        """A request that waits for its turn loses its body, and is refused in its turn.

        Not now: this may run while another connection's bytes are read.
        """
        if not self._late_bytes:
            return super().cut()
        assert self._request is not None
        self._request, self._late_bytes = self._request.without_body(), 0
        self._noted = self.held_bytes
        return self._noted

    def _dispatch(self, request: Request) -> Answer:
        self._server.origin_policy.check(request)
        return (
            options_reply(request)
            if request.method == "OPTIONS"
            else dispatch(request, self._server.services, self._is_counted)
        )

    def _guarded(self, make: Callable[..., Answer], *given: object) -> Answer:
        try:
            return make(*given)
        except (RequestError, PeerError) as error:
            return problem(error)
        # The outermost seam: one bad request must not end the other connections.
        except Exception:
            assert self._request is not None
            request_id = self._server.access_log.failed(self._request)
            return problem(
                PeerError(
                    500,
                    f"the broker failed to answer; its log has the reason, see id={request_id}",
                    {ID: request_id},
                )
            )

    def _give(self, answer: Answer) -> None:
        if isinstance(answer, OnDisk):
            if answer.commit is None:
                self._send(answer.reply)
            else:  # the same path if the commit is already done
                answer.commit.add_done_callback(partial(self._on_disk, answer.reply))
        elif isinstance(answer, Response):
            self._send(answer)
        elif isinstance(answer, Wait):
            self._wait(answer)
        elif isinstance(answer, Steps):
            self._server.budget.queue(partial(self._step, answer))
        elif isinstance(answer, Download):
            self._download(answer)
        else:
            self._stream(answer)

    def _step(self, steps: Steps) -> None:
        # If this is false, the peer is gone.
        if self.state is ConnectionState.ANSWERING and not self._transport.is_closing():
            self._give(self._guarded(lambda: next(steps.parts) or steps))
            self._go_on()

    def _on_disk(self, reply: Response, commit: Commit) -> None:
        if self.state is ConnectionState.ANSWERING and not self._transport.is_closing():
            error = commit.result()
            if error is None:
                self._send(reply)
            elif isinstance(error, Raced) and self._races < RACES_MAX:
                self._races += 1
                # A refusal took no token.
                self._is_counted = self._is_counted or not reply.reason
                self._give(self._guarded(self._dispatch, self._request))
            else:
                detail = f"{error}; nothing was kept, try again"
                self._send(problem(RequestError(Reason.STORE, detail, retry_after=2)))
            self._go_on()

    def _wait(self, wait: Wait) -> None:
        def stop() -> None:
            cancel()
            timer.cancel()
            wait.on_end()

        def finish() -> None:
            self._move(ConnectionEvent.WOKEN)
            stop()
            self._give(self._guarded(wait.answer))
            self._go_on()

        cancel = wait.join(finish)
        timer = self._loop.call_later(wait.seconds, finish)
        self._stop_waiting, self._finish_waiting = stop, finish
        self._move(ConnectionEvent.WAIT)

    def _send(self, reply: Response) -> None:
        server, request = self._server, self._request
        assert request is not None
        is_last = self._has_eof and not self._parser.held_bytes
        keep = request.keep_alive and not server.is_draining and not is_last
        connection = (
            b""
            if keep and request.version > (1, 0)
            else b"Connection: keep-alive\r\n"
            if keep
            else b"Connection: close\r\n"
        )
        headers = server.access_log.answered(request, reply, self._transport) + cors_headers(
            request, server.origin_policy
        )
        self._transport.write(
            encode_reply(
                reply,
                int(server.services.clock.wall()),
                connection,
                request.method == "HEAD",
                headers,
            )
        )
        self._request = None
        if self._noted or self._transport.get_write_buffer_size():
            self._note_held()
        if not keep:
            self._linger()
            return
        # A peer that does not read its answers gets no further ones until it does.
        self._move(ConnectionEvent.ANSWERED if self._stuck is None else ConnectionEvent.FULL)

    def _download(self, answer: Download) -> None:
        request, server, transport = self._request, self._server, self._transport
        assert request is not None
        counted = server.access_log.answered(request, Response(200), transport)
        fields = counted + cors_headers(request, server.origin_policy)
        self._move(ConnectionEvent.DOWNLOAD)
        self._sending = FileSender(
            answer, transport, server.budget, self._monotonic(), self._note_held, self._linger
        )
        transport.write(encode_download_head(answer, int(server.services.clock.wall()), fields))
        self._sending.start(request.method == "HEAD")

    def _stream(self, answer: EventStream) -> None:
        request, server = self._request, self._server
        assert request is not None
        is_chunked = request.version > (1, 0)
        fields = server.access_log.stream_opened(request, self._transport) + cors_headers(
            request, server.origin_policy
        )
        head = encode_stream_head(is_chunked, server.services.settings.sse_heartbeat, fields)
        if request.method == "HEAD":
            self._transport.write(head)
            self._linger()
            return
        self._move(ConnectionEvent.STREAM)
        self._request = None
        server.timed.discard(self)
        deadline = server.services.settings.write_deadline / 1000
        self._outbox = StreamOutbox(
            self._transport, self._loop, server.services.clock, is_chunked,
            answer.heartbeat_as_event, deadline, self._note_held,
        )  # fmt: skip
        server.services.metrics.stream_opened()
        self._outbox.open(head, answer.attach)
        server.heartbeats.add(self._outbox)

    def _reason_to_cut(self, now: float, allowed: float) -> str:
        is_download = self.state is ConnectionState.DOWNLOADING
        if is_download and self._sending.is_too_slow(now, allowed):
            return "download cut, the peer reads too slowly"
        return super()._reason_to_cut(now, allowed)

    def pause_writing(self) -> None:
        self._stuck = WriteProgress(self._monotonic(), self._transport.get_write_buffer_size())
        self._server.timed.add(self)
        if self.state is ConnectionState.STREAMING:
            self._outbox.is_full = True
        elif self.state is ConnectionState.DOWNLOADING:
            self._sending.is_full = True

    def resume_writing(self) -> None:
        self._stuck = None
        if self.state is ConnectionState.STREAMING:
            self._server.timed.discard(self)
        # Not at once: this runs inside the transport's own write. If a write from here failed, the
        # transport would end twice.
        self._loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        if self._stuck is not None:
            return
        if self.state is ConnectionState.STREAMING:
            self._outbox.drained()
        elif self.state is ConnectionState.DOWNLOADING:
            self._sending.drained()
        elif self.state is ConnectionState.UNREAD:
            self._move(ConnectionEvent.ROOM)
            self._go_on()

    def drain(self) -> None:
        """The broker is stopping: end waiting polls and streams, but let requests finish."""
        if self.state is ConnectionState.STREAMING:
            self._outbox.end()
        elif self.state is ConnectionState.WAITING:
            self._finish_waiting()
        elif self.state is ConnectionState.LINGERING or self._idle_for() >= ASKING:
            self._transport.close()

    def _idle_for(self) -> float:
        """The seconds since it has begun to wait for a request; 0 if it does not."""
        since = self.waits_since
        if since is None or self._stage is not RequestStage.IDLE:
            return 0.0
        return self._monotonic() - since

    def connection_lost(self, error: Exception | None) -> None:
        server, before = self._server, self.state
        self._move(ConnectionEvent.LOST)
        server.connections.discard(self)
        server.timed.discard(self)
        server.waiting.pop(self, None)
        server.held.note(self, 0)
        server.services.metrics.connections_open -= 1
        if before is ConnectionState.WAITING:
            self._stop_waiting()
        elif before is ConnectionState.DOWNLOADING:
            self._sending.close()
        elif before is ConnectionState.STREAMING:
            server.services.metrics.stream_closed(
                error is not None or self._is_cut, server.services.clock.monotonic()
            )
            server.access_log.stream_closed(self._transport, error, self._is_cut)
            self._outbox.close()


def _gave_way(request: Request) -> Answer:
    detail = "all connections hold BRIDGE_CONNECTION_BYTES; this request was dropped, send it again"
    raise RequestError(Reason.CONNECTION_BYTES, detail, retry_after=1)

"""GET /replies/{id}/stream: one `reply` or `timeout` event, then the end.

A ticket that has expired or was dropped gets no reply. Its `timeout` event comes at once and
holds the status.
"""

from __future__ import annotations

from bridge.broker import body
from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.broker.subscriber import Outbox
from bridge.broker.waiters import Waiters
from bridge.wire.sse import encode_event


class ReplyStream:
    """A hub.Subscriber that waits for one ticket's reply, at most the ticket's own timeout."""

    def __init__(self, ledger: Ledger, waiters: Waiters, outbox: Outbox, entry: Entry) -> None:
        self.was_live = False
        self._ledger, self._outbox, self._entry = ledger, outbox, entry
        self._cancel = waiters.wait(entry.ticket_id, self._answer)

    def offer(self, entry: Entry) -> None:
        """Ignored: this stream gets a reply and no tickets."""

    def catch_up(self) -> None:
        """Called once, when the stream is open."""
        if self.was_live:
            return
        self.was_live = True
        state = self._entry.state
        if state.response is not None or state.has_ended:
            self._answer()
        else:
            self._outbox.later(self._entry.timeout_ms / 1000, self._give_up)

    def _answer(self) -> None:
        entry = self._ledger.find(self._entry.ticket_id) or self._entry
        if entry.state.response is None:
            self._give_up(status=entry.state.status)
        else:
            self._finish(b"reply", body.encode(entry.to_json()))

    def _give_up(self, **more: str) -> None:
        fields = {"ticketId": self._entry.ticket_id, "timeoutMs": self._entry.timeout_ms, **more}
        self._finish(b"timeout", body.encode(fields))

    def _finish(self, event: bytes, data: bytes) -> None:
        self._outbox.write(encode_event(data, event, b"%d" % self._entry.seq))
        self._outbox.finish()

    def end(self) -> None:
        self._outbox.finish()

    def close(self) -> None:
        self._cancel()

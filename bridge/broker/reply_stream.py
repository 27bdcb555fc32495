"""GET /replies/{id}/stream: one `reply` or `timeout` event, then the end.

A ticket that has expired or was dropped gets no reply. Its `timeout` event comes at once and
holds the status.
"""

from __future__ import annotations

from bridge.broker.entry import Entry
from bridge.broker.ledger import Ledger
from bridge.broker.subscriber import Outbox
from bridge.broker.waiters import Waiters


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
            self._give_up(entry.state.status)
        else:
            self._outbox.send_reply(entry)
            self._outbox.finish()

    def _give_up(self, status: str = "") -> None:
        self._outbox.send_no_reply(self._entry, status)
        self._outbox.finish()

    def end(self) -> None:
        self._outbox.finish()

    def close(self) -> None:
        self._cancel()

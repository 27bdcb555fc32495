"""One open event stream: what it has been sent, and what it is still owed.

    catching up --backlog read to its end--> live --outbox full--> draining
        ^-----------------------outbox has room------------------------'

Rule 1: a live stream is written to as tickets are published; nothing is queued
here. When its outbox is full it is left to drain: it then costs a cursor, and
reads the backlog after the cursor when there is room again (WIRE rule 6).
Rule 2: within one stream a ticket is sent once (WIRE rule 4). `_sent` is the
seq of the last ticket sent in order; the backlog after it has not been sent.
Rule 3: an agent that was subscribed late is owed its backlog from before
`_sent` (`_late`); it is read first, its newer tickets come in turn.
"""

from __future__ import annotations

from typing import Callable, Protocol

from bridge.broker.body import encode
from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.hub import Hub
from bridge.broker.metrics import Metrics
from bridge.wire.sse import encode_event

READ_LIMIT = 64  # entries read from a backlog at a time
STEP_BYTES = 1 << 20  # written before the loop gets its turn again
LEFT_MIN = 100  # discarded agents below which they are not swept


class Outbox(Protocol):
    """Where a front takes a stream's bytes; bounded by bytes."""

    def write(self, data: bytes) -> None: ...

    def has_room(self) -> bool: ...

    def again(self, step: Callable[[], None]) -> None:
        """Call `step` at the loop's next turn, unless the stream is gone by then."""

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Call `step` after that time, unless the stream is gone by then."""

    def finish(self) -> None:
        """The stream ends here, cleanly."""


class StreamSubscriber:
    """A stream of the agents in `agents`, or of every agent when that is None.

    `after` is the cursor; `on_close` is called when the connection is gone. Whoever `only_looks` receives nothing:
    what it was shown is not "streamed" for that.
    """

    def __init__(self, hub: Hub, clock: Clock, metrics: Metrics, outbox: Outbox, is_shared: bool, after: int, only_looks: bool = False) -> None:
        self.agents: set[str] = set()
        self.is_everything = False
        self.is_live = False
        self.was_live = False
        self._hub, self._clock, self._metrics, self._outbox = hub, clock, metrics, outbox
        self._is_shared = is_shared
        self._only_looks = only_looks
        self.on_close: Callable[[], None] = _nothing
        self._sent = after
        self._late: dict[str, tuple[int, int]] = {}  # agent -> (cursor, bound)
        self._left_at: dict[str, int] = {}  # agents discarded again -> cursor
        self._left_swept = LEFT_MIN

    def add(self, agent_id: str, owed: int) -> None:
        """Carry one more agent. Its tickets up to the seq `owed` are due although the cursor is past them."""
        if agent_id in self.agents:
            return
        self.agents.add(agent_id)
        self._hub.subscribe(agent_id, self)
        bound, cursor = min(owed, self._sent), self._left_at.pop(agent_id, 0)
        if cursor < bound:
            self._late[agent_id] = (cursor, bound)
        self.is_live = False

    def discard(self, agent_id: str) -> None:
        if agent_id in self.agents:
            self.agents.discard(agent_id)
            self._hub.unsubscribe(agent_id, self)
            # Should it come back on this connection, what it was sent is not sent again.
            self._left_at[agent_id] = self._late.pop(agent_id, (self._sent, 0))[0]
            if len(self._left_at) > 2 * self._left_swept:
                self._sweep_left()

    def _sweep_left(self) -> None:
        """Forget agents that have nothing left of what they were sent: names are free to invent."""
        for agent_id, cursor in list(self._left_at.items()):
            oldest = self._hub.read(agent_id, 0, 1)
            if not oldest or oldest[0].seq > cursor:
                del self._left_at[agent_id]
        self._left_swept = max(LEFT_MIN, len(self._left_at))

    def add_everything(self) -> None:
        self.is_everything = True
        self._hub.subscribe_everything(self)

    # Hot: once per ticket and stream.
    def offer(self, entry: Entry) -> None:
        if not self.is_live:
            return
        if self._outbox.has_room():
            self._sent = entry.seq
            self._send(entry)
        else:
            self.is_live = False
            self._metrics.catchups += 1

    def _send(self, entry: Entry) -> None:
        if not entry.streamed_ms and not self._only_looks:
            self._metrics.streamed(entry, "sse", self._clock.wall_ms(), self._clock.monotonic())
        data = entry.data
        if self._is_shared:
            data = b'{"agentId":%b,"ticket":%b}' % (encode(entry.agent_id), data)
        self._outbox.write(encode_event(data, b"ticket", b"%d" % entry.seq))

    def catch_up(self) -> None:
        """Send what is due, as far as there is room; a long backlog in steps."""
        written = 0
        while not self.is_live:
            due = self._due()
            if not due:
                self.is_live = self.was_live = True
            for entry in due:
                if not self._outbox.has_room():
                    return
                if written > STEP_BYTES:
                    self._outbox.again(self.catch_up)
                    return
                written += len(entry.data)
                self._advance(entry)
                self._send(entry)

    def _due(self) -> list[Entry]:
        """The next entries to send, oldest first; empty at the end of the backlog."""
        while self._late:
            agent_id, (cursor, bound) = next(iter(self._late.items()))
            late = [entry for entry in self._hub.read(agent_id, cursor, READ_LIMIT) if entry.seq <= bound]
            if late:
                return late
            del self._late[agent_id]
        # What an agent holds beyond the READ_LIMIT read here is newer than these,
        # so the READ_LIMIT oldest of all of them are complete and in order.
        names = self._hub.backlogs if self.is_everything else self.agents
        found = [entry for name in names for entry in self._hub.read(name, self._sent, READ_LIMIT)]
        return sorted(found, key=_seq)[:READ_LIMIT]

    def _advance(self, entry: Entry) -> None:
        if self._late:
            agent_id, (_, bound) = next(iter(self._late.items()))
            self._late[agent_id] = (entry.seq, bound)
        else:
            self._sent = entry.seq

    def end(self) -> None:
        self._outbox.finish()

    def close(self) -> None:
        """The connection is gone."""
        for agent_id in list(self.agents):
            self.discard(agent_id)
        self._hub.unsubscribe_everything(self)
        self.on_close()


def _seq(entry: Entry) -> int:
    return entry.seq


def _nothing() -> None:
    return None

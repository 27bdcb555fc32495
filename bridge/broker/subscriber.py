"""One open event stream: which tickets it has sent, and which it has still to send.

    catching up --nothing more is due--> live --outbox full, or no time--> catching up

Rule 1: a live stream is written to when tickets are published. Nothing is queued here.
If its outbox is full, the stream is left to drain. Meanwhile it costs only a cursor, and
it continues after the cursor when there is room again.
Rule 2: within one stream a ticket is sent once, and due tickets are sent
in order of seq (due.py). An agent that is subscribed late has older tickets in its
backlog than the stream has sent. Those come first.
Rule 3: catching up is work in pieces (pace.py), of at most STEP tickets each. One turn
of the loop has a bounded time for all streams that are behind.
"""

from __future__ import annotations

from typing import Callable, Protocol

from bridge.broker.clock import Clock
from bridge.broker.due import OfAgents, OfAll
from bridge.broker.entry import Entry
from bridge.broker.hub import Hub
from bridge.broker.live_event import LiveEvent
from bridge.broker.metrics.counters import Metrics

STEP = 16  # tickets that a stream sends before the next stream that is behind


class Outbox(Protocol):
    """A front's side of a stream: it takes values and encodes them, and is bounded by bytes."""

    def has_room(self) -> bool: ...

    def send_ticket(self, entry: Entry, is_shared: bool) -> bool:
        """Return whether the connection took it. On a shared stream it comes with its agent."""

    def send_reply(self, entry: Entry) -> None:
        """Send the ticket with its reply."""

    def send_no_reply(self, entry: Entry, status: str) -> None:
        """No reply came in time. With a status: none will come, because the ticket ended so."""

    def send_event(self, event: LiveEvent) -> None:
        """Take the event now. Events of one turn of the loop may leave together at its end."""

    def later(self, seconds: float, step: Callable[[], None]) -> None:
        """Call `step` after that time, unless the stream is gone by then."""

    def finish(self) -> None:
        """End the stream cleanly."""


class StreamSubscriber:
    """A stream of the agents that were added, or of every agent after `add_everything`.

    `after` is the cursor. `on_close` is called when the connection is gone. A stream that
    `only_looks` is no receiver: its tickets do not count as "streamed".
    """

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        metrics: Metrics,
        outbox: Outbox,
        is_shared: bool,
        after: int,
        only_looks: bool = False,
    ) -> None:
        self.is_live = False
        self.was_live = False
        self._hub, self._clock, self._metrics, self._outbox = hub, clock, metrics, outbox
        self._pace = hub.pace
        self._is_shared = is_shared
        self._only_looks = only_looks
        self.on_close: Callable[[], None] = _nothing
        self._of_agents = OfAgents(hub, after)
        self._due: OfAgents | OfAll = self._of_agents

    @property
    def agents(self) -> set[str]:
        return self._of_agents.agents

    def add(self, agent_id: str, owed: int) -> None:
        """Add an agent. Its tickets up to seq `owed` are due although the cursor is past them."""
        if agent_id in self.agents:
            return
        self._hub.subscribe(agent_id, self)
        self._of_agents.add(agent_id, owed)
        self.is_live = False

    def discard(self, agent_id: str) -> None:
        if agent_id in self.agents:
            self._hub.unsubscribe(agent_id, self)
            self._of_agents.discard(agent_id)

    def add_everything(self, after: int) -> None:
        self._due = OfAll(self._hub, after)

    # Hot: once per ticket and stream.
    def offer(self, entry: Entry) -> None:
        if not self.is_live:
            self._due.note_new(entry)
        elif self._outbox.has_room() and not self._pace.is_over():
            self._due.note_sent(entry)
            self._send(entry)
        else:
            self._due.note_new(entry)
            self._fall_behind()

    def _fall_behind(self) -> None:
        self.is_live = False
        self._hub.unsubscribe_everything(self)
        self._metrics.catchups += not self._outbox.has_room()
        self.catch_up()

    def _send(self, entry: Entry) -> None:
        is_written = self._outbox.send_ticket(entry, self._is_shared)
        if is_written and not entry.streamed_ms and not self._only_looks:
            self._metrics.streamed(entry, "sse", self._clock.wall_ms(), self._clock.monotonic())

    def catch_up(self) -> None:
        """Send what is due, as far as there is room, beginning in the next turn of the loop."""
        if not self.is_live and self._outbox.has_room():
            self._pace.later(self._step)

    def _step(self) -> None:
        for _ in range(STEP):
            if not self._outbox.has_room():
                return  # the stream drains, and then catches up
            entry = self._due.first()
            if entry is None:
                self._go_live()
                return
            self._send(entry)
            self._due.note_sent(entry)
            if self._pace.is_over():
                break
        self.catch_up()

    def _go_live(self) -> None:
        self.is_live = self.was_live = True
        if self._due is not self._of_agents:
            self._hub.subscribe_everything(self)

    def end(self) -> None:
        self._outbox.finish()

    def close(self) -> None:
        """The connection is gone."""
        self._pace.cancel(self._step)
        self._hub.unsubscribe_everything(self)
        for agent_id in self.agents:
            self._hub.unsubscribe(agent_id, self)
        self.on_close()


def _nothing() -> None:
    return None

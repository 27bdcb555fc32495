"""One open event stream: which tickets it has sent, and which it has still to send.

    catching up --nothing more is due--> live --outbox full, or no time--> catching up

Rule 1: a live stream is written to when tickets are published. Nothing is queued here.
If its outbox is full, the stream is left to drain. Meanwhile it costs only a cursor, and
it continues after the cursor when there is room again.
Rule 2: within one stream a ticket is sent once, and due tickets are sent
in order of seq (due.py). An agent that is subscribed late has older tickets in its
backlog than the stream has sent. Those come first.
Rule 3: catching up is work in pieces (pace.py), each of one write and STEP tickets at most. One
turn of the loop has a bounded time for all streams that are behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, Protocol

from bridge.broker.clock import Clock
from bridge.broker.due import OfAgents, OfAll
from bridge.broker.entry import Entry
from bridge.broker.hub import Hub
from bridge.broker.live_event import LiveEvent
from bridge.broker.metrics.counters import Metrics

# What a stream sends, in one write, before the next stream that is behind.
STEP = 16  # tickets
STEP_BYTES = 16 << 10  # of their JSON; a larger ticket is a step of its own


class Outbox(Protocol):
    """A front's side of a stream: it takes values and encodes them, and is bounded by bytes."""

    def has_room(self) -> bool: ...

    def send_tickets(self, entries: Sequence[Entry], is_shared: bool) -> bool:
        """Return whether the connection took them. On a shared stream each has its agent."""

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
            self._send((entry,))
        else:
            self._due.note_new(entry)
            self._fall_behind()

    def _fall_behind(self) -> None:
        self.is_live = False
        self._hub.unsubscribe_everything(self)
        self._metrics.catchups += not self._outbox.has_room()
        self.catch_up()

    # Hot: once per ticket and stream.
    def _send(self, entries: Sequence[Entry]) -> None:
        if not self._outbox.send_tickets(entries, self._is_shared) or self._only_looks:
            return
        for entry in entries:
            if not entry.streamed_ms:
                self._metrics.streamed(entry, "sse", self._clock.wall_ms(), self._clock.monotonic())

    def catch_up(self) -> None:
        """Send what is due, as far as there is room, beginning in the next turn of the loop."""
        if not self.is_live and self._outbox.has_room():
            self._pace.later(self._step)

    def _step(self) -> None:
        if not self._outbox.has_room():
            return  # the stream drains, and then catches up
        entries: list[Entry] = []
        size = 0
        entry = self._due.first()
        while entry is not None:
            self._due.note_sent(entry)
            entries.append(entry)
            size += len(entry.data)
            if self._pace.is_over() or len(entries) == STEP or size >= STEP_BYTES:
                break
            entry = self._due.first()
        if entries:
            self._send(entries)
        if entry is None and self._outbox.has_room():
            self._go_live()
        else:
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

"""Live events for the readers of GET /events: stages of tickets and changes of agents.

    metrics.on_stage ───────────────┬──► Events ──► EventReader (filter, bounded) ──► outbox
    AgentOverview, twice a second ──┘

Rule 1: with no reader nothing happens here: `on_stage` is None, and no timer runs.
Rule 2: an event is made once, for all its readers (live_event.py). The part of a ticket's
JSON that it needs is remembered for the next stages, up to ABOUT_BYTES in all.
Rule 3: a reader without room misses events, and nothing is kept for it. As soon as
it has room again it gets one event with the number of those that it missed.
Rule 4: agents are polled: at most LOOK_MAX of them in one turn. So with many agents
each is looked at less often, and the loop is not held up.
Rule 5: at the limit a new reader replaces another one: one that has lagged for HOLD
seconds, else the oldest if that is HOLD seconds old. So no peer can keep the others out,
and readers beyond the limit take turns and do not end each other at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from bridge.broker.agent_overview import AgentOverview, AgentState
from bridge.broker.entry import Entry
from bridge.broker.live_event import (
    About,
    AgentChanged,
    EventsMissed,
    LiveEvent,
    StageReached,
    preview,
)
from bridge.broker.metrics.counters import Metrics
from bridge.broker.subscriber import Outbox

log = logging.getLogger("bridge.broker")

HOLD = 10.0  # seconds
LOOK_EVERY = 0.5  # seconds between two looks at agents
LOOK_MAX = 1000  # agents in one look: 2 to 3 ms
ABOUT_BYTES = 2 << 20  # bytes of all About values: some 4,000 usual tickets
NEVER = float("inf")


class EventReader:
    """One open connection (a hub.Subscriber): all events, an agent's, or those of a thread."""

    def __init__(
        self, events: Events, outbox: Outbox, agent: str | None, thread: str | None
    ) -> None:
        self.was_live = True
        self.agent, self.thread = agent, thread
        self._events, self._outbox = events, outbox
        self._missed = 0
        self.opened_at = asyncio.get_running_loop().time()
        self.lags_since = NEVER  # loop time of the first event that it missed
        events.open(self)

    def send(self, event: LiveEvent) -> None:
        """Give the event to the outbox, or count it as missed."""
        if self._outbox.has_room():
            self._outbox.send_event(event)
            return
        if not self._missed:
            self.lags_since = asyncio.get_running_loop().time()
        self._missed += 1
        self._events.count_missed()

    def offer(self, entry: Entry) -> None:
        """Ignored: this reader gets events and no tickets."""

    def catch_up(self) -> None:
        """There is room again: send the number of missed events."""
        if self._missed:
            missed, self._missed = self._missed, 0
            self.lags_since = NEVER
            self.send(EventsMissed(missed))

    def end(self) -> None:
        self._outbox.finish()

    def close(self) -> None:
        self._events.close(self)


class Events:
    """The open readers, and the events for them."""

    def __init__(self, metrics: Metrics, overview: AgentOverview) -> None:
        self._metrics, self._overview = metrics, overview
        self._readers: set[EventReader] = set()
        self._about: OrderedDict[str, About] = OrderedDict()
        self._about_bytes = 0
        self._seen: dict[str, AgentState] = {}  # as of each agent's last event
        self._to_look: Iterator[str] = iter(())
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def open(self, reader: EventReader) -> None:
        self._readers.add(reader)
        if self._timer is None:
            self._seen = {name: self._overview.state(name) for name in self._overview.names()}
            self._metrics.on_stage = self._on_stage
            self._look_later()

    def close(self, reader: EventReader) -> None:
        self._readers.discard(reader)
        if not self._readers and self._timer is not None:
            self._timer.cancel()
            self._timer, self._metrics.on_stage = None, None
            self._about.clear()
            self._about_bytes = 0
            self._seen.clear()

    def giving_way(self) -> EventReader | None:
        """The reader that a new one would replace (rule 5); None if there is none yet."""
        now = asyncio.get_running_loop().time()
        laggard = min(self._readers, key=lambda reader: reader.lags_since, default=None)
        if laggard is not None and now - laggard.lags_since >= HOLD:
            return laggard
        oldest = min(self._readers, key=lambda reader: reader.opened_at, default=None)
        return oldest if oldest is not None and now - oldest.opened_at >= HOLD else None

    def count_missed(self) -> None:
        self._metrics.events_missed += 1

    def _on_stage(self, entry: Entry, stage: Mapping[str, Any]) -> None:
        try:
            self._send_stage(entry, stage)
        except Exception:
            # This runs in the middle of a ticket's way. A reader must never cost a ticket.
            log.exception("event not sent ticket=%s stage=%s", entry.ticket_id, stage.get("stage"))
            self.count_missed()

    def _send_stage(self, entry: Entry, stage: Mapping[str, Any]) -> None:
        readers = [reader for reader in self._readers if reader.agent in (None, entry.agent_id)]
        if not readers:
            return
        about = self._about_of(entry)
        event = StageReached(entry, about, stage)
        for reader in readers:
            if reader.thread in (None, about.thread):
                reader.send(event)

    def _about_of(self, entry: Entry) -> About:
        about = self._about.get(entry.ticket_id)
        if about is None:
            fields = entry.decoded()
            thread = fields["metadata"].get("threadId")
            about = About(
                fields["originAgent"],
                thread if isinstance(thread, str) else None,
                preview(fields["payload"]),
            )
            self._about[entry.ticket_id] = about
            self._about_bytes += about.size
            while self._about_bytes > ABOUT_BYTES:
                self._about_bytes -= self._about.popitem(last=False)[1].size
        return about

    def _look_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """Send the changes of the next LOOK_MAX agents; some of them may be gone."""
        self._look_later()
        for looked in range(LOOK_MAX):
            agent_id = next(self._to_look, None)
            if agent_id is None:
                if looked:
                    return
                self._to_look = iter(self._overview.names().union(self._seen))
                continue
            self._look_at(agent_id)

    def _look_at(self, agent_id: str) -> None:
        state = self._overview.state(agent_id) if self._overview.has(agent_id) else None
        if self._seen.get(agent_id) == state:
            return
        if state is None:
            del self._seen[agent_id]  # names cost nothing, so a gone one is not kept
        else:
            self._seen[agent_id] = state
        event = AgentChanged(self._overview.row(agent_id))
        for reader in self._readers:
            if reader.thread is None and reader.agent in (None, agent_id):
                reader.send(event)

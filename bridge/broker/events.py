"""Live events: every stage of every ticket, and every change of an agent, to whoever follows GET /events.

    metrics.on_stage ──► Events ──► EventReader (filter, bounded) ──► outbox
    rows, twice a second ──┘

Rule 1: with no reader nothing happens here: `on_stage` is None, and no timer runs.
Rule 2: an event is made once, for all its readers. What it needs of a ticket's
JSON is remembered for the stages that follow, ABOUT_BYTES of it.
Rule 3: a reader without room gets nothing; it is told how much that was as
soon as it has room again. Nothing is kept for it.
Rule 4: agents are looked at, not listened to: at most LOOK_MAX of them in one
turn, so that many agents are looked at less often instead of holding up the loop.
Rule 5: at the limit a reader gives way to a new one once it has had its place for HOLD
seconds: one that lags, else the oldest. So no peer keeps the others from looking, and
readers beyond the limit take turns instead of ending each other at once.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from bridge.broker.agent_rows import AgentRows
from bridge.broker.body import encode, encode_text
from bridge.broker.entry import Entry
from bridge.broker.metrics import Metrics
from bridge.broker.subscriber import Outbox
from bridge.wire.sse import encode_event

log = logging.getLogger("bridge.broker")

PREVIEW = 200  # characters of a payload
HOLD = 10.0  # seconds
LOOK_EVERY = 0.5  # seconds between two looks at agents
LOOK_MAX = 1000  # agents in one look: 2 to 3 ms
ABOUT_BYTES = 2 << 20  # of what is remembered of tickets: some 4,000 of the usual ones
ABOUT_FRAME = 300  # bytes of one of them beside its texts
NEVER = float("inf")
HELD_MAX = 65536  # bytes that wait for the end of the loop's turn, to leave in one write


class About(NamedTuple):
    origin: str
    thread: str | None
    preview: str

    @property
    def size(self) -> int:
        return ABOUT_FRAME + sum(map(sys.getsizeof, self))


class EventReader:
    """One open connection (hub.Subscriber) that follows all events, an agent's, or a thread's tickets."""

    def __init__(
        self, events: Events, outbox: Outbox, agent: str | None, thread: str | None
    ) -> None:
        self.was_live = True
        self.agent, self.thread = agent, thread
        self._events, self._outbox = events, outbox
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._missed = 0
        self.opened_at = asyncio.get_running_loop().time()
        self.lags_since = NEVER  # while there are events that it has missed
        events.open(self)

    def send(self, event: bytes) -> None:
        """Write the event at the end of the loop's turn, or count it as missed."""
        if not self._outbox.has_room():
            if not self._missed:
                self.lags_since = asyncio.get_running_loop().time()
            self._missed += 1
            self._events.count_missed()
            return
        if not self._held:
            self._outbox.again(self._flush)
        self._held.append(event)
        self._held_bytes += len(event)
        if self._held_bytes > HELD_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            data = b"".join(self._held)
            self._held, self._held_bytes = [], 0
            self._outbox.write(data)

    def offer(self, entry: Entry) -> None:
        """Backlogs are none of its business."""

    def catch_up(self) -> None:
        """There is room again."""
        if self._missed:
            missed, self._missed = self._missed, 0
            self.lags_since = NEVER
            self.send(encode_event(encode({"events": missed}), b"missed"))

    def end(self) -> None:
        self._flush()
        self._outbox.finish()

    def close(self) -> None:
        self._events.close(self)


class Events:
    """The open readers, and what they are told."""

    def __init__(self, metrics: Metrics, rows: AgentRows) -> None:
        self._metrics, self._rows = metrics, rows
        self._readers: set[EventReader] = set()
        self._about: OrderedDict[str, About] = OrderedDict()
        self._about_bytes = 0
        self._seen: dict[str, tuple[object, ...]] = {}  # agents as they were last told
        self._to_look: Iterator[str] = iter(())
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._readers)

    def open(self, reader: EventReader) -> None:
        self._readers.add(reader)
        if self._timer is None:
            self._seen = {name: self._rows.state(name) for name in self._rows.names()}
            self._metrics.on_stage = self._tell_stage
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
        """The reader that would end for a new one: it has lagged for longest, or is the oldest."""
        now = asyncio.get_running_loop().time()
        laggard = min(self._readers, key=lambda reader: reader.lags_since, default=None)
        if laggard is not None and now - laggard.lags_since >= HOLD:
            return laggard
        oldest = min(self._readers, key=lambda reader: reader.opened_at, default=None)
        return oldest if oldest is not None and now - oldest.opened_at >= HOLD else None

    def count_missed(self) -> None:
        self._metrics.events_missed += 1

    def _tell_stage(self, entry: Entry, stage: Mapping[str, Any]) -> None:
        try:
            self._tell(entry, stage)
        except (
            Exception
        ):  # called in the middle of a ticket's way: who looks on must never cost anybody a ticket
            log.exception("event not told ticket=%s stage=%s", entry.ticket_id, stage.get("stage"))
            self.count_missed()

    def _tell(self, entry: Entry, stage: Mapping[str, Any]) -> None:
        readers = [reader for reader in self._readers if reader.agent in (None, entry.agent_id)]
        if not readers:
            return
        about, event = self._about_of(entry), b""
        for reader in readers:
            if reader.thread in (None, about.thread):
                event = event or encode_event(encode(_stage(entry, about, stage)), b"stage")
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
        """Tell what has changed about the next LOOK_MAX agents, those that are gone among them."""
        self._look_later()
        for looked in range(LOOK_MAX):
            agent_id = next(self._to_look, None)
            if agent_id is None:
                if looked:
                    return
                self._to_look = iter(self._rows.names().union(self._seen))
                continue
            self._look_at(agent_id)

    def _look_at(self, agent_id: str) -> None:
        state = self._rows.state(agent_id) if self._rows.has(agent_id) else None
        if self._seen.get(agent_id) == state:
            return
        if state is None:
            del self._seen[agent_id]  # names are free to invent
        else:
            self._seen[agent_id] = state
        event = encode_event(encode(self._rows.row(agent_id).to_json()), b"agent")
        for reader in self._readers:
            if reader.thread is None and reader.agent in (None, agent_id):
                reader.send(event)


def _stage(entry: Entry, about: About, stage: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        "ticketId": entry.ticket_id,
        "seq": entry.seq,
        "agentId": entry.agent_id,
        "originAgent": about.origin,
        "threadId": about.thread,
        "status": entry.state.status,
        **stage,
    }
    if stage["stage"] == "accepted":
        told["preview"] = about.preview
    elif stage["stage"] == "replied" and entry.state.response is not None:
        told["preview"] = preview(entry.state.response["payload"])
    return told


def preview(payload: Any) -> str:
    """The beginning of a payload, as text."""
    return (payload if isinstance(payload, str) else encode_text(payload))[:PREVIEW]

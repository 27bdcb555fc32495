"""The tickets that a stream has still to send, oldest first.

The next one costs the same, however many wait.

    OfAll      one cursor in the backlog of all agents
    OfAgents   a heap of (seq, agent): the next ticket of each agent that has one due

OfAgents is right without a cursor for each agent. For an agent in the heap, all due tickets
before its seq have been sent. For an agent that is not in the heap, all tickets have been sent.
So the heap is filled once, when agents are added. Later a new ticket adds its agent, unless the
agent is in the heap already.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush, heapreplace

from bridge.broker.entry import Entry
from bridge.broker.hub import Hub

LEFT_MIN = 100  # discarded agents below which they are not swept


class OfAll:
    def __init__(self, hub: Hub, after: int) -> None:
        self._backlog, self._sent = hub.everything, after

    def first(self) -> Entry | None:
        """The next entry to send; None when nothing is due."""
        return next(iter(self._backlog.read_after(self._sent, 1)), None)

    def note_sent(self, entry: Entry) -> None:
        """The entry was sent: it is the one that `first` returned, or the newest of all."""
        self._sent = entry.seq

    def note_new(self, entry: Entry) -> None:
        """A ticket was published, but not sent at once. It is in the backlog."""


class OfAgents:
    """`after` is the stream's cursor: tickets up to there are not due, except what is owed."""

    def __init__(self, hub: Hub, after: int) -> None:
        self.agents: set[str] = set()
        self._hub, self._sent = hub, after  # the greatest seq that was sent
        self._heap: list[tuple[int, str]] = []
        self._in_heap: set[str] = set()
        # agent -> (seq up to which it is owed, seq up to which nothing is due after that)
        self._passed: dict[str, tuple[int, int]] = {}
        self._left_at: dict[str, int] = {}  # discarded agent -> cursor
        self._left_swept = LEFT_MIN

    def add(self, agent_id: str, owed: int) -> None:
        """Add an agent. Its tickets up to `owed` are due although the cursor is past them."""
        self.agents.add(agent_id)
        self._passed[agent_id] = (min(owed, self._sent), self._sent)
        self._push(self._following(agent_id, self._left_at.pop(agent_id, 0)))

    def _following(self, agent_id: str, seq: int) -> Entry | None:
        """The agent's first entry after `seq` that is due."""
        entry = next(iter(self._hub.read(agent_id, seq, 1)), None)
        if agent_id in self._passed and (entry is None or entry.seq > self._passed[agent_id][0]):
            _, until = self._passed.pop(agent_id)
            entry = next(iter(self._hub.read(agent_id, max(seq, until), 1)), None)
        return entry

    def _push(self, entry: Entry | None) -> None:
        if entry is not None:
            heappush(self._heap, (entry.seq, entry.agent_id))
            self._in_heap.add(entry.agent_id)

    def first(self) -> Entry | None:
        while self._heap:
            seq, agent_id = self._heap[0]
            entry = self._following(agent_id, seq - 1)
            if entry is not None and entry.seq == seq:
                return entry
            self._replace(agent_id, entry)  # the ticket at the top was acknowledged meanwhile
        return None

    def _replace(self, agent_id: str, entry: Entry | None) -> None:
        """The top of the heap is done; `entry` is the same agent's next one."""
        if entry is not None:
            heapreplace(self._heap, (entry.seq, agent_id))
        else:
            heappop(self._heap)
            self._in_heap.discard(agent_id)

    # Hot: once per ticket and stream.
    def note_sent(self, entry: Entry) -> None:
        if entry.seq > self._sent:
            self._sent = entry.seq
        if self._heap:  # if it is empty, the entry was sent when it was published
            self._replace(entry.agent_id, self._following(entry.agent_id, entry.seq))

    def note_new(self, entry: Entry) -> None:
        if entry.agent_id not in self._in_heap:
            self._push(entry)

    def discard(self, agent_id: str) -> None:
        self.agents.discard(agent_id)
        self._passed.pop(agent_id, None)
        # If the agent comes back on this connection, its tickets are not sent a second time.
        self._left_at[agent_id] = self._sent
        if agent_id in self._in_heap:
            self._left_at[agent_id] = next(seq for seq, name in self._heap if name == agent_id) - 1
            self._in_heap.discard(agent_id)
            self._heap = [item for item in self._heap if item[1] != agent_id]
            heapify(self._heap)
        if len(self._left_at) > 2 * self._left_swept:
            self._sweep_left()

    def _sweep_left(self) -> None:
        """Forget agents whose sent tickets are all acknowledged: names cost nothing."""
        for agent_id, cursor in list(self._left_at.items()):
            oldest = self._hub.read(agent_id, 0, 1)
            if not oldest or oldest[0].seq > cursor:
                del self._left_at[agent_id]
        self._left_swept = max(LEFT_MIN, len(self._left_at))

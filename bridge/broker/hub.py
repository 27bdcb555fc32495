"""Fan-out of tickets to subscribers. No method here is async: each is one atomic step.

    publish([entries]) -> backlog.append, then offer to
        the agent's streams - the shared streams of its subscribers - the open shared streams

Rule 1: an entry is published once, when it is on disk, in seq order.
Rule 2: a stream is registered, and sets its place in the backlog, in one step without
an await. So no ticket can be published in between: it cannot fall into a gap between
the two, and it cannot be sent twice.
Rule 3: long-polls are woken once per commit group, after the whole group, so that one
answer carries all of it.
Rule 4: fan-out has a bounded time in a turn (pace.py). A stream that it does not reach
catches up by itself. That costs the stream its turn, but no ticket and not the order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from bridge.broker.backlog import Backlog
from bridge.broker.clock import Clock
from bridge.broker.entry import Entry
from bridge.broker.pace import Pace
from bridge.broker.waiters import Polls, Waiters


class Subscriber(Protocol):
    """An open connection that waits for tickets.

    `was_live`: it has read its backlog to the end once.
    """

    was_live: bool

    def offer(self, entry: Entry) -> None:
        """Take the newest entry of the agent, or remember to read it later. Never waits."""

    def catch_up(self) -> None:
        """Send the tickets of the backlogs after the cursor, as far as there is room."""

    def end(self) -> None:
        """End the stream cleanly: the broker is stopping."""

    def close(self) -> None:
        """The connection is gone."""


class Hub:
    def __init__(self, pace: Pace | None = None) -> None:
        self.pace = Pace(Clock()) if pace is None else pace
        self.backlogs: dict[str, Backlog] = {}
        self.everything = Backlog("")  # the entries of all agents
        self.pending_bytes = 0
        self.stray_bytes = 0  # of stray tickets, also of those on their way to disk
        self._streams: dict[str, set[Subscriber]] = {}  # agent -> subscribers, shared ones too
        self._everything: set[Subscriber] = set()  # live streams of all agents
        self.polls = Polls(self.pace)
        self.replies = Waiters(self.pace)  # by ticket id
        self.stages = Waiters(self.pace)  # by ticket id: woken with each stage of its history

    @property
    def pending(self) -> int:
        """The number of entries in all backlogs."""
        return len(self.everything)

    def backlog(self, agent_id: str) -> Backlog:
        found = self.backlogs.get(agent_id)
        if found is None:
            found = self.backlogs[agent_id] = Backlog(agent_id)
        return found

    # Hot: once per ticket.
    def hold(self, entry: Entry) -> Backlog:
        """Count the entry's bytes, until `withdraw` or `let_go`. Return its agent's backlog."""
        size = len(entry.data)
        backlog = self.backlogs.get(entry.agent_id)
        if backlog is None:
            backlog = self.backlog(entry.agent_id)
        backlog.bytes += size
        if entry.is_stray:
            self.stray_bytes += size
        return backlog

    def let_go(self, entry: Entry) -> None:
        """Stop counting the entry's bytes."""
        backlog = self.backlogs.get(entry.agent_id)
        if backlog is not None:
            backlog.bytes -= len(entry.data)
        if entry.is_stray:
            self.stray_bytes -= len(entry.data)

    # Hot: once per ticket.
    def publish(self, entries: Sequence[Entry]) -> None:
        """The entries of one commit group are on disk; `entries` are in seq order."""
        self.pace.begin()
        for entry in entries:
            agent_id = entry.agent_id
            self.backlogs[agent_id].append(entry)
            self.everything.append(entry)
            self.pending_bytes += len(entry.data)
            for subscriber in self._streams.get(agent_id, ()):
                subscriber.offer(entry)
            if self._everything:
                # A copy: a stream that falls behind leaves the set.
                for subscriber in tuple(self._everything):
                    subscriber.offer(entry)
        if not self.polls.is_empty:
            for entry in entries:
                self.polls.wake_all(entry.agent_id)

    def withdraw(self, entry: Entry) -> None:
        """The entry is no longer pending."""
        backlog = self.backlogs[entry.agent_id]
        if backlog.remove(entry):
            self.everything.remove(entry)
            self.pending_bytes -= len(entry.data)
            self.let_go(entry)
        self.release(backlog)

    def release(self, backlog: Backlog) -> None:
        """Forget a backlog that holds nothing: agent names cost nothing."""
        if backlog.is_idle:
            self.backlogs.pop(backlog.agent_id, None)

    def subscribe(self, agent_id: str, subscriber: Subscriber) -> None:
        self._streams.setdefault(agent_id, set()).add(subscriber)

    def unsubscribe(self, agent_id: str, subscriber: Subscriber) -> None:
        streams = self._streams.get(agent_id, set())
        streams.discard(subscriber)
        if not streams:
            self._streams.pop(agent_id, None)

    def streams(self, agent_id: str) -> int:
        """The number of open streams that carry the agent by name."""
        return len(self._streams.get(agent_id, ()))

    def streamed_agents(self) -> Iterable[str]:
        """The agents that open streams carry by name."""
        return self._streams.keys()

    def oldest(self) -> Entry | None:
        """The ticket that has been pending for the longest time."""
        return self.everything.oldest()

    def subscribe_everything(self, subscriber: Subscriber) -> None:
        """Offer it each new entry. In the same step it must have been sent all present entries."""
        self._everything.add(subscriber)

    def unsubscribe_everything(self, subscriber: Subscriber) -> None:
        self._everything.discard(subscriber)

    def read(self, agent_id: str, after: int, limit: int) -> list[Entry]:
        backlog = self.backlogs.get(agent_id)
        return backlog.read_after(after, limit) if backlog else []

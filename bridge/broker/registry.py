"""Registered agents, the presence of each agent, and the watchers' latest reports.

An agent is online while it has an open stream or a waiting long-poll, or while its
last heartbeat is younger than 2.5 of its intervals. Presence is kept for every agent
that a request named, registered or not. It is memory only.

A registration or a removal is proposed to the journal. `registered` and `removed` apply
it when it is on disk. A registration's weight counts from its proposal on. When no change
of an agent is on its way, what counts is what is kept.

A report belongs to a watcher. If an agent has reports of several watchers, the latest
one of a watcher that is here counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from bridge.broker import body
from bridge.broker.hub import Hub
from bridge.broker.journal.base import Commit, Journal, Record, RegistrationRow
from bridge.broker.metrics.watcher_series import WatcherSeries
from bridge.broker.watcher_report import NO_REPORT, WatcherReport
from bridge.broker.watchers import Watchers
from bridge.ticket import Agent

STALE_HEARTBEATS = 2.5  # as on the event stream
POLL_WINDOW = 15.0  # seconds that a poll counts as presence on the debug pages
NEVER = float("-inf")
REPORTS_MAX = 8  # watchers of one agent whose reports are kept


class Presence:
    """An agent's last signs of life, in monotonic seconds, and its watchers' latest reports."""

    __slots__ = ("longpolled_at", "polled_at", "heartbeat_at", "reports", "is_received")

    def __init__(self) -> None:
        self.longpolled_at = NEVER
        self.polled_at = NEVER
        self.heartbeat_at = NEVER
        # watcher ("" = one without a name) -> report; the latest is last
        self.reports: dict[str, WatcherReport] = {}
        self.is_received = False  # something has received for it; it is more than a name


class _Proposed:
    """A registration that is on its way to disk; None: a removal."""

    __slots__ = ("agent", "weight")

    def __init__(self, agent: Agent | None, weight: int) -> None:
        self.agent, self.weight = agent, weight


def encode_registration(agent: Agent) -> str:
    """The agent as JSON for the journal. `Registry.load` reads it back.

    The status is left out: it is presence, which is memory only.
    """
    fields = agent.to_json("")
    del fields["status"]
    return body.encode_text(fields)


class Registry:
    def __init__(
        self,
        journal: Journal,
        hub: Hub,
        series: WatcherSeries,
        presences_max: int,
        watchers: Watchers | None = None,
    ) -> None:
        self._journal, self._series, self._watchers = journal, series, watchers
        self.agents: dict[str, Agent] = {}
        self._coming: dict[str, _Proposed] = {}  # the latest of each agent
        self._places: dict[str, int] = {}  # agent -> its rising number in order of registration
        self._last_place = 0
        self._kept_weights: dict[str, int] = {}  # agent -> bytes of memory of its registration
        self._weights: dict[str, int] = {}  # the same, with what is on its way
        self._weight = 0  # the sum
        self._hub = hub
        self._presences: OrderedDict[str, Presence] = OrderedDict()
        self._presences_max = presences_max

    def load(self, registrations: Iterable[Mapping[str, Any]]) -> None:
        """Take over the agents of a store."""
        for fields in registrations:
            agent = Agent(
                fields["agentId"],
                fields["type"],
                fields["metadata"],
                fields["heartbeatIntervalMs"],
                fields["lastHeartbeat"],
            )
            self.registered(agent, body.weight(body.encode_text(fields)))

    def head(self, agent_id: str) -> Agent | None:
        """The agent as it will be when all pending writes are on disk."""
        coming = self._coming.get(agent_id)
        return self.agents.get(agent_id) if coming is None else coming.agent

    def listed(self, after: int) -> Iterator[tuple[int, Agent]]:
        """(place, agent) in order of registration, from the first one after that place."""
        for agent_id, agent in self.agents.items():
            if self._places[agent_id] > after:
                yield self._places[agent_id], agent

    def weight_with(self, agent_id: str, weight: int) -> int:
        """Bytes of memory of all registrations, if the agent's own takes `weight`."""
        return self._weight + weight - self._weights.get(agent_id, 0)

    def _weigh(self, agent_id: str, weight: int) -> None:
        self._weight = self.weight_with(agent_id, weight)
        self._weights[agent_id] = weight
        if not weight:
            del self._weights[agent_id]

    def _weigh_kept(self, agent_id: str) -> None:
        """Count what is kept of the agent, unless a change is on its way: that counts already."""
        if agent_id not in self._coming:
            self._weigh(agent_id, self._kept_weights.get(agent_id, 0))

    def propose(
        self, agent_id: str, agent: Agent | None, registration: str | None = None, weight: int = 0
    ) -> Commit:
        """Register the agent, or remove it (None), when that is on disk.

        `registration` is the agent as JSON.
        """
        row = RegistrationRow(agent_id, registration)
        commit = self._journal.propose(Record(agents=(row,), heads=(self.head(agent_id),)))
        if agent is not None:
            self._weigh(agent_id, weight)  # at once: a burst must not slip past the bound
        proposed = self._coming[agent_id] = _Proposed(agent, weight)
        commit.add_effect(partial(self._apply, agent_id, proposed))
        return commit

    def _apply(self, agent_id: str, proposed: _Proposed, commit: Commit) -> None:
        if self._coming.get(agent_id) is proposed:
            del self._coming[agent_id]
        if commit.result() is not None:
            self._weigh_kept(agent_id)
        elif proposed.agent is None:
            self.removed(agent_id)
        else:
            self.registered(proposed.agent, proposed.weight)

    def registered(self, agent: Agent, weight: int) -> None:
        """The registration is on disk, be it an own one or not."""
        if agent.agent_id not in self.agents:
            self._last_place += 1
            self._places[agent.agent_id] = self._last_place
        self.agents[agent.agent_id] = agent
        self._kept_weights[agent.agent_id] = weight
        self._weigh_kept(agent.agent_id)

    def removed(self, agent_id: str) -> None:
        """The removal is on disk. A receiver that is still there reports again."""
        self.agents.pop(agent_id, None)
        self._kept_weights.pop(agent_id, None)
        self._weigh_kept(agent_id)
        self._series.forget(agent_id)
        seen = self._presences.get(agent_id)
        if seen is not None:
            seen.is_received = False

    def has_room(self, agents_max: int) -> bool:
        """Return whether one more agent may register. Pending registrations count."""
        coming = sum(
            proposed.agent is not None and agent_id not in self.agents
            for agent_id, proposed in self._coming.items()
        )
        return len(self.agents) + coming < agents_max

    def presence(self, agent_id: str) -> Presence:
        """The presence of an agent that registers or is received for. The first call makes it."""
        known = self._named(agent_id)
        known.is_received = True
        return known

    def _named(self, agent_id: str) -> Presence:
        known = self._presences.get(agent_id)
        if known is None:
            # Names cost nothing, so the one that was not named for longest is evicted.
            if len(self._presences) >= self._presences_max:
                self._presences.popitem(last=False)
            known = self._presences[agent_id] = Presence()
        else:
            self._presences.move_to_end(agent_id)
        return known

    # Hot: once per ticket.
    def note_named(self, agent_id: str) -> None:
        """A sender named the agent. It is known from now on, also when it has no pending ticket.

        If the table is full, do not evict: a sender is weaker evidence that the agent exists than
        a receiver.
        """
        if agent_id not in self._presences and len(self._presences) < self._presences_max:
            self._named(agent_id)

    # Hot: once per ticket.
    def is_served(self, agent_id: str) -> bool:
        """Is the agent registered, or has a stream, a poll or a subscription received for it?

        Receivers count since the broker's start.
        """
        if agent_id in self.agents:
            return True
        seen = self._presences.get(agent_id)
        if seen is not None and seen.is_received:
            return True
        return agent_id in self._hub.polls or self._hub.streams(agent_id) > 0

    def take_report(self, agent_id: str, watcher: str, report: WatcherReport) -> None:
        reports = self.presence(agent_id).reports
        reports.pop(watcher, None)
        reports[watcher] = report
        if len(reports) > REPORTS_MAX:
            del reports[next(iter(reports))]

    def report(self, agent_id: str) -> WatcherReport:
        """The latest report of the agent's watcher.

        This does not count as naming the agent: a page that looks at it must evict no other.
        """
        known = self._presences.get(agent_id)
        if known is None or not known.reports:
            return NO_REPORT
        latest = list(known.reports.items())[::-1]
        return next(
            (report for watcher, report in latest if self._may_be_here(watcher)), latest[0][1]
        )

    def _may_be_here(self, watcher: str) -> bool:
        return not watcher or self._watchers is None or self._watchers.is_here(watcher)

    def drop_report(self, agent_id: str, watcher: str) -> None:
        """The watcher no longer serves the agent.

        If it is the only report, it stays: its session name is still useful.
        """
        known = self._presences.get(agent_id)
        if known is not None and len(known.reports) > 1:
            known.reports.pop(watcher, None)

    def drop_reports(self, watcher: str) -> None:
        """The watcher is gone. Where the last heartbeat came from it, the agent goes offline."""
        for agent_id, known in self._presences.items():
            if list(known.reports)[-1:] == [watcher]:
                known.heartbeat_at = NEVER
            self.drop_report(agent_id, watcher)

    def is_known(self, agent_id: str) -> bool:
        return (
            agent_id in self._presences
            or agent_id in self.agents
            or agent_id in self._hub.backlogs
            or bool(self._hub.streams(agent_id))
        )

    def connection(self, agent_id: str, now: float) -> str:
        """The tier that reaches the agent now: sse, longpoll, poll or none."""
        if self._hub.streams(agent_id):
            return "sse"
        seen = self._presences.get(agent_id)
        if agent_id in self._hub.polls or (
            seen is not None and now - seen.longpolled_at < POLL_WINDOW
        ):
            return "longpoll"
        return "poll" if self.is_polled(agent_id, now) else "none"

    def status(self, agent: Agent, now: float) -> str:
        """Either online or offline."""
        if self._hub.streams(agent.agent_id) or agent.agent_id in self._hub.polls:
            return "online"
        seen = self._presences.get(agent.agent_id)
        fresh = (
            seen is not None
            and now - seen.heartbeat_at < STALE_HEARTBEATS * agent.heartbeat_interval_ms / 1000
        )
        return "online" if fresh else "offline"

    def is_polled(self, agent_id: str, now: float) -> bool:
        """Whether the agent had a plain poll a moment ago, whatever else reaches it."""
        seen = self._presences.get(agent_id)
        return seen is not None and now - seen.polled_at < POLL_WINDOW

    def names(self) -> set[str]:
        """Every agent that a request named, and every agent that an open stream carries by name."""
        return self._presences.keys() | set(self._hub.streamed_agents())

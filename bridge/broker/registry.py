"""Who is registered, who is here, and what the watchers last said.

An agent is online while a stream or a long-poll of its stands, or while its
last heartbeat is younger than 2.5 of its intervals. Presence is kept for every
agent that somebody named, registered or not; it is memory only.

A report is its watcher's: of two watchers of one agent, the one that is here is
believed, and of two that are here the one that reported last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bridge.broker.hub import Hub
from bridge.broker.journal.base import Commit
from bridge.broker.watchers import Watchers
from bridge.ticket import Agent

STALE_HEARTBEATS = 2.5  # as on the event stream
POLL_WINDOW = 15.0  # seconds; a poll counts as presence on the debug pages for so long (WIRE)
NEVER = float("-inf")
REPORTS_MAX = 8  # watchers of one agent whose reports are kept


class Presence:
    """When an agent was last heard of, in monotonic seconds, and each of its watchers' latest report."""

    __slots__ = ("longpolled_at", "polled_at", "heartbeat_at", "reports", "is_received")

    def __init__(self) -> None:
        self.longpolled_at = NEVER
        self.polled_at = NEVER
        self.heartbeat_at = NEVER
        self.reports: dict[
            str, Mapping[str, Any]
        ] = {}  # by watcher ("" = one without a name), the latest last
        self.is_received = False  # something has received for it, and more than its name is known


class Registry:
    def __init__(self, hub: Hub, presences_max: int, watchers: Watchers | None = None) -> None:
        self._watchers = watchers
        self.agents: dict[str, Agent] = {}
        self._coming: dict[
            str, Agent | None
        ] = {}  # registrations (None: removals) on their way to disk
        self._places: dict[str, int] = {}  # of each registered agent in their order, rising
        self._last_place = 0
        self._weights: dict[str, int] = {}  # bytes of memory of each registration
        self._weight = 0  # of all
        self._hub = hub
        self._presences: OrderedDict[str, Presence] = OrderedDict()
        self._presences_max = presences_max

    def head(self, agent_id: str) -> Agent | None:
        """The agent as it will be when everything on its way is on disk."""
        return self._coming[agent_id] if agent_id in self._coming else self.agents.get(agent_id)

    def take(self, agent: Agent, weight: int) -> None:
        """The agent is registered already: a store held it."""
        self._put(agent)
        self._weigh(agent.agent_id, weight)

    def _put(self, agent: Agent) -> None:
        if agent.agent_id not in self.agents:
            self._last_place += 1
            self._places[agent.agent_id] = self._last_place
        self.agents[agent.agent_id] = agent

    def listed(self, after: int) -> Iterator[tuple[int, Agent]]:
        """The agents in the order of their registration, with their places, from the one after that place."""
        for agent_id, agent in self.agents.items():
            if self._places[agent_id] > after:
                yield self._places[agent_id], agent

    def weight_with(self, agent_id: str, weight: int) -> int:
        """Bytes of memory of all registrations, with the agent's own as it is to be."""
        return self._weight + weight - self._weights.get(agent_id, 0)

    def _weigh(self, agent_id: str, weight: int) -> None:
        self._weight = self.weight_with(agent_id, weight)
        self._weights[agent_id] = weight

    def propose(self, agent_id: str, agent: Agent | None, commit: Commit, weight: int = 0) -> None:
        """Register the agent, or remove it (None), once that is on disk."""
        if agent is not None:
            self._weigh(agent_id, weight)  # at once: a burst must not slip past the bound
        self._coming[agent_id] = agent
        commit.add_effect(partial(self._settle, agent_id, agent))

    def _settle(self, agent_id: str, agent: Agent | None, commit: Commit) -> None:
        if agent_id in self._coming and self._coming[agent_id] is agent:
            del self._coming[agent_id]
        if commit.result() is not None:
            self._forget_weight(agent_id)
            return
        if agent is None:
            self.agents.pop(agent_id, None)
            self._forget_weight(agent_id)
        else:
            self._put(agent)

    def _forget_weight(self, agent_id: str) -> None:
        """Unless the agent is registered, or is about to be."""
        if self.head(agent_id) is None:
            self._weight -= self._weights.pop(agent_id, 0)

    def has_room(self, agents_max: int) -> bool:
        """Whether one more agent may register; those on their way to disk count."""
        coming = sum(
            agent is not None and agent_id not in self.agents
            for agent_id, agent in self._coming.items()
        )
        return len(self.agents) + coming < agents_max

    def presence(self, agent_id: str) -> Presence:
        """The presence of an agent that registers or is received for; made here the first time."""
        known = self._named(agent_id)
        known.is_received = True
        return known

    def _named(self, agent_id: str) -> Presence:
        known = self._presences.get(agent_id)
        if known is None:
            # Names cost nothing to invent, so the one that was not named for longest gives way.
            if len(self._presences) >= self._presences_max:
                self._presences.popitem(last=False)
            known = self._presences[agent_id] = Presence()
        else:
            self._presences.move_to_end(agent_id)
        return known

    # Hot: once per ticket.
    def note_named(self, agent_id: str) -> None:
        """Somebody sends to the agent: it is known from now on, also when it has nothing pending any more.

        Where there is no room nobody gives way for it: who sends says less of an agent than who receives for it.
        """
        if agent_id not in self._presences and len(self._presences) < self._presences_max:
            self._named(agent_id)

    # Hot: once per ticket.
    def is_served(self, agent_id: str) -> bool:
        """Is the agent registered, or was it received for since the start: by a stream, a poll, a subscription?"""
        if agent_id in self.agents:
            return True
        seen = self._presences.get(agent_id)
        if seen is not None and seen.is_received:
            return True
        return agent_id in self._hub.polls or self._hub.streams(agent_id) > 0

    def forget_receiver(self, agent_id: str) -> None:
        """The agent is registered no more; what still receives for it will say so again."""
        seen = self._presences.get(agent_id)
        if seen is not None:
            seen.is_received = False

    def take_report(self, agent_id: str, watcher: str, report: Mapping[str, Any]) -> None:
        reports = self.presence(agent_id).reports
        reports.pop(watcher, None)
        reports[watcher] = report
        if len(reports) > REPORTS_MAX:
            del reports[next(iter(reports))]

    def report(self, agent_id: str) -> Mapping[str, Any]:
        """What the agent's watcher said last. To look is not to name: a page must not make others give way."""
        known = self._presences.get(agent_id)
        if known is None or not known.reports:
            return {}
        latest = list(known.reports.items())[::-1]
        return next(
            (report for watcher, report in latest if self._may_be_here(watcher)), latest[0][1]
        )

    def _may_be_here(self, watcher: str) -> bool:
        return not watcher or self._watchers is None or self._watchers.is_here(watcher)

    def drop_report(self, agent_id: str, watcher: str) -> None:
        """The watcher no longer serves the agent. What no other says of it stays: a session's name still helps."""
        known = self._presences.get(agent_id)
        if known is not None and len(known.reports) > 1:
            known.reports.pop(watcher, None)

    def drop_reports(self, watcher: str) -> None:
        """The watcher is gone. Where the last heartbeat was its, that says "online" no more."""
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
        """The tier by which the agent is reached now: sse, longpoll, poll or none."""
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
        """Whether the agent was polled plainly a moment ago, whatever else reaches it."""
        seen = self._presences.get(agent_id)
        return seen is not None and now - seen.polled_at < POLL_WINDOW

    def names(self) -> set[str]:
        """Every agent that was named, and those that open streams carry by name."""
        return self._presences.keys() | set(self._hub.streamed_agents())

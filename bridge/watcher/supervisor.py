"""`supervise`: many agents on one connection. Each agent has its own tasks, and its own failures.

    receiver       one stream (or long-poll, or poll) for all      ends only by a fault of our own
    subscription   subscribes our agents at the broker             ends only by a fault of our own
    members        one task for each agent                         never end the others
    stop           waits for stop()                                ends first in the normal case

    assign({agent: pane}) ─► new agent: a member, subscribed
                             other pane: the member's next life
                             agent gone: finishes its delivery, unsubscribed

If a member's tasks crash, the crash is logged and counted, and the member starts again after a
pause with full jitter. Its inbox outlives the crash (agent_tasks.py).
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Callable

from bridge.client.broker import BrokerClient
from bridge.errors import BridgeError
from bridge.settings import WatcherSettings
from bridge.tasks import run_together, stop_all
from bridge.watcher.agent_tasks import AgentTasks
from bridge.watcher.delays import reconnect_delays
from bridge.watcher.discovery.merge import Assignment, Roster
from bridge.watcher.lease import watcher_name
from bridge.watcher.receiver import Receiver
from bridge.watcher.recipient import Recipient
from bridge.watcher.sinks.base import Sink
from bridge.watcher.subscription import Subscription
from bridge.watcher.transport import SubscriberFeed

log = logging.getLogger("bridge.watcher")
MakeSink = Callable[[Assignment], Sink]


class Member:
    """One served agent."""

    def __init__(self, assignment: Assignment, tasks: AgentTasks) -> None:
        self.assignment = assignment
        self.tasks = tasks
        self.moved = asyncio.Event()
        self.crashes = 0
        self.task: asyncio.Future[None] | None = None


class Supervisor:
    """Serves the assigned agents until stopped. Made inside a running loop (3.9 binds events)."""

    def __init__(
        self,
        name: str,
        client: BrokerClient,
        make_sink: MakeSink,
        settings: WatcherSettings,
        agents_max: int,
    ) -> None:
        self._client = client
        self._make_sink = make_sink
        self._settings = settings
        self._agents_max = agents_max
        self._refused: set[str] = set()
        self._watcher = client.watcher = watcher_name()
        self._members: dict[str, Member] = {}
        # Tasks of dismissed members that still finish a delivery.
        self._leaving: dict[str, set[asyncio.Future[None]]] = {}
        self._recipients: dict[str, Recipient] = {}
        self._subscription = Subscription(
            name,
            client,
            self._recipients,
            settings,
            lambda: self._receiver.cursor,
            lambda: self._receiver.receiving,
        )
        feed = SubscriberFeed(client, name, lambda: self._recipients)
        self._receiver = Receiver(
            feed, self._recipients, settings, self._subscription.before_open, self._opened
        )
        self.on_open: Callable[[], None] = lambda: None  # called with each new connection
        # Once true, the connection may have skipped tickets of an agent that joins now.
        self._is_running = False
        self._stop = asyncio.Event()
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        log.info("supervising subscriber=%s broker=%s watcher=%s", name, client.url, self._watcher)

    @property
    def agents(self) -> dict[str, Assignment]:
        return {agent: member.assignment for agent, member in self._members.items()}

    async def run(self) -> None:
        """Return after stop(). Raise the error that ended all agents otherwise."""
        self._is_running = True
        try:
            await run_together(
                stop=self._wait_stop(),
                receiver=self._receiver.run(),
                subscription=self._subscription.keep(),
                fatal=self._wait_fatal(),
            )
        finally:
            await stop_all(
                *set().union(*self._leaving.values()),
                *(member.task for member in self._members.values() if member.task),
            )
            await self._client.aclose()

    def _opened(self) -> None:
        self._subscription.opened()
        self.on_open()

    def stop(self) -> None:
        """Finish the current deliveries, then let run() return."""
        self._stop.set()

    def assign(self, roster: Roster) -> None:
        """Serve exactly these agents. An unchanged agent is not interrupted.

        After stop() no agent is added.
        """
        if self._stop.is_set():
            return
        for agent in [agent for agent in self._members if agent not in roster]:
            self._dismiss(agent)
        self._refused.intersection_update(roster)
        for agent, assignment in roster.items():
            member = self._members.get(agent)
            if member is None:
                self._engage_if_room(assignment)
            elif member.assignment != assignment:
                log.info(
                    "moved agent=%s session=%s pane=%s", agent, assignment.session, assignment.pane
                )
                member.assignment = assignment
                member.moved.set()

    def _engage_if_room(self, assignment: Assignment) -> None:
        if len(self._members) < self._agents_max:
            self._refused.discard(assignment.agent)
            self._engage(assignment)
        elif assignment.agent not in self._refused:
            self._refused.add(assignment.agent)
            log.warning(
                "not served, there are %d agents already (BRIDGE_SUPERVISE_MAX) agent=%s",
                self._agents_max,
                assignment.agent,
            )

    def _engage(self, assignment: Assignment) -> None:
        agent = assignment.agent
        tasks = AgentTasks(
            agent,
            self._client,
            self._settings,
            self._watcher,
            self._receiver.tier,
            lambda: 1 / max(1, len(self._members)),
        )
        member = self._members[agent] = Member(assignment, tasks)
        if self._is_running:
            # Waiting tickets go before new ones, which may arrive at once if an earlier run has
            # subscribed this agent.
            tasks.recipient.fall_behind()
        self._recipients[agent] = tasks.recipient
        member.task = asyncio.ensure_future(self._attend(member))
        self._subscription.changed.set()

    def _dismiss(self, agent: str) -> None:
        log.info("no longer served agent=%s", agent)
        member = self._members.pop(agent)
        del self._recipients[agent]
        if member.task is not None:
            self._leaving.setdefault(agent, set()).add(member.task)
            member.task.add_done_callback(partial(self._left, agent))
            member.task.cancel()
        self._subscription.changed.set()

    def _left(self, agent: str, task: asyncio.Future[None]) -> None:
        self._leaving[agent].discard(task)
        if not self._leaving[agent]:
            del self._leaving[agent]

    async def _attend(self, member: Member) -> None:
        """Run one life after the other."""
        before = self._leaving.get(member.assignment.agent)
        if before:
            # An earlier member of this agent finishes a delivery. Its claims have our name too.
            await asyncio.wait(set(before))
        delays, clock = reconnect_delays(self._settings), asyncio.get_running_loop().time
        while True:
            member.moved.clear()
            began = clock()
            try:
                await run_together(
                    life=member.tasks.run(self._make_sink(member.assignment)),
                    moved=_wait(member.moved),
                )
                delays = reconnect_delays(self._settings)
                continue
            except BrokenPipeError as error:  # all agents share stdout
                if not self._fatal.done():
                    self._fatal.set_exception(error)
                return
            except BridgeError as error:
                member.crashes += 1
                log.warning(
                    "agent failed agent=%s failures=%d reason=%s",
                    member.assignment.agent,
                    member.crashes,
                    error,
                )
            except Exception:  # the outermost seam: one agent's bug must not end the others
                member.crashes += 1
                log.exception(
                    "agent crashed agent=%s crashes=%d", member.assignment.agent, member.crashes
                )
            if clock() - began >= self._settings.tier_holds / 1000:
                delays = reconnect_delays(self._settings)
            await asyncio.sleep(next(delays))

    async def _wait_stop(self) -> None:
        await self._stop.wait()
        log.info("stopping agents=%d", len(self._members))

    async def _wait_fatal(self) -> None:
        await self._fatal


async def _wait(event: asyncio.Event) -> None:
    await event.wait()

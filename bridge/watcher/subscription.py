"""Keeps the broker's list of agents under our subscriber name equal to the agents we serve.

We ask the broker for the name's agents before each connection, after a connection has held
for a while, and whenever our agents change. Missing agents are subscribed. Surplus agents are
unsubscribed, but never before a connection. So a broker that comes back with another store,
or without its memory, gets the list again, and the leftovers of an earlier run are removed.

Rule 1: an agent that joins after the cursor has moved reads its own backlog, and only after it
        is subscribed. Later tickets come through the connection, earlier ones are in the
        backlog.
Rule 2: another process may receive under the same name (a supervisor started twice). Then
        nothing is unsubscribed, because the agents may belong to that process. Each process
        sends its own watcher name, so the broker reports how many others receive. An older
        broker reports one count of all, from which our own connection is subtracted.
Rule 3: nothing is unsubscribed before the broker counts us. A supervisor that has subscribed
        but not yet connected cannot be told from a stale one. If it was taken for a stale one,
        it subscribes again when its connection has held. The receiver ignores tickets of agents
        that are not ours.
Rule 4: a refusal concerns one agent. It is tried again, and the others go on.
Rule 5: agents that another run subscribed are subscribed again, once, so that the broker
        records them as ours too. While other processes receive under a name, the broker
        removes only the subscriptions that belonged to an ended process alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from typing import Callable, NamedTuple

from bridge.client.broker import BrokerClient
from bridge.client.broker_requests import Json
from bridge.errors import BrokerUnreachable, PeerError, Refused
from bridge.settings import WatcherSettings
from bridge.tasks import within
from bridge.watcher.delays import reconnect_delays
from bridge.watcher.recipient import Recipient
from bridge.watcher.tiers import Tier
from bridge.watcher.transport.base import UNFIT_STATUSES

log = logging.getLogger("bridge.watcher")


class _Listed(NamedTuple):
    """What the broker says of our name."""

    agents: set[str]
    own: set[str]  # those that we subscribed; all of them if the broker records no owners
    others: int | None  # other processes that receive under the name; None = not known


class Subscription:
    """Made inside a running loop. `recipients` are our agents.

    `cursor` and `receiving` return the receiver's values.
    """

    def __init__(
        self,
        name: str,
        client: BrokerClient,
        recipients: Mapping[str, Recipient],
        settings: WatcherSettings,
        cursor: Callable[[], int],
        receiving: Callable[[], Tier | None],
    ) -> None:
        self.changed = asyncio.Event()  # to be set when `recipients` have changed
        self._name = name
        self._client = client
        self._recipients = recipients
        self._settings = settings
        self._cursor = cursor
        self._receiving = receiving
        self._joined: dict[str, Recipient] = {}
        self._dropped: set[str] = set()  # joined earlier, and no longer wanted
        self._turn = asyncio.Lock()
        self._has_company = False
        self._held: asyncio.TimerHandle | None = None

    async def before_open(self) -> None:
        """Subscribe before a connection; unsubscribe nothing. Raises BrokerUnreachable, Refused."""
        if not await self._settle():
            self.changed.set()  # `keep` tries again

    def opened(self) -> None:
        """A connection of ours is open: check again when it has held."""
        if self._held is not None:
            self._held.cancel()
        self._held = asyncio.get_running_loop().call_later(
            self._settings.tier_holds / 1000, self.changed.set
        )

    async def keep(self) -> None:
        """Follow the changes of `recipients` without end."""
        delays = reconnect_delays(self._settings)
        while True:
            await self._wait_change()
            try:
                is_settled = await self._settle()
            except (BrokerUnreachable, PeerError, Refused) as error:
                log.info("subscriptions not settled subscriber=%s reason=%s", self._name, error)
                is_settled = False
            if is_settled:
                delays = reconnect_delays(self._settings)
            else:
                await asyncio.sleep(next(delays))
                self.changed.set()

    async def _wait_change(self) -> None:
        """Wait for a change. Without a stream, also return at intervals.

        Between two polls or long-polls the broker does not count us. Another process with our name
        may then unsubscribe our agents, so we check regularly.
        """
        while not self.changed.is_set():
            try:
                await within(self._settings.probe_interval / 1000, self.changed.wait())
            except asyncio.TimeoutError:
                if self._receiving() is not Tier.STREAM:
                    return

    async def _settle(self) -> bool:
        """One pass. False: a request was refused."""
        async with self._turn:
            self.changed.clear()
            for agent in [agent for agent in self._joined if agent not in self._recipients]:
                del self._joined[agent]
                self._dropped.add(agent)
            self._dropped.difference_update(self._recipients)
            connection = self._receiving(), self._held
            listed = await self._list()
            # True if the broker has surely counted our present connection.
            is_sure = connection[0] is not None and connection == (self._receiving(), self._held)
            done = await self._each(
                self._join,
                listed.own,
                [
                    agent
                    for agent, recipient in self._recipients.items()
                    if agent not in listed.agents or self._joined.get(agent) is not recipient
                ],
            )
            done += await self._each(
                self._own,
                listed.own,
                [
                    agent
                    for agent in self._joined
                    if agent in listed.agents and agent not in listed.own
                ],
            )
            if is_sure:
                stale = self._stale(listed, connection[0])
                done += await self._each(self._leave, listed.agents, stale)
            return all(done)

    def _stale(self, listed: _Listed, tier: Tier | None) -> list[str]:
        """The agents to unsubscribe, while we receive on `tier` (rules 2 and 3)."""
        if listed.others is None or self._finds_company(listed.others):
            return []
        # Where no stream passes, another process may poll. The broker does not count plain polls,
        # and an older one counts one of several long-polls. So only agents that were ours go.
        is_counted = tier is Tier.STREAM
        return [
            agent
            for agent in listed.agents
            if agent not in self._recipients and (is_counted or agent in self._dropped)
        ]

    async def _list(self) -> _Listed:
        try:
            answer = await self._client.subscriber(self._name)
        except Refused as error:
            if error.status in UNFIT_STATUSES:
                return _Listed(set(), set(), None)
            raise
        agents, own = (
            set(found) if isinstance(found, list) else None
            for found in (answer.get("agents"), answer.get("own"))
        )
        listed = agents or set()
        return _Listed(listed, listed if own is None else own, self._others_in(answer))

    def _others_in(self, answer: Json) -> int | None:
        """How many other processes receive under the name."""
        others, receivers = answer.get("others"), answer.get("receivers")
        if isinstance(others, int):
            return others
        if isinstance(receivers, int):  # an older broker: our own connection is in the count
            return receivers - int(self._receiving() not in (None, Tier.POLL))
        return None

    async def _each(
        self, step: Callable[[str, bool], Awaitable[bool]], listed: set[str], agents: Iterable[str]
    ) -> list[bool]:
        """The step's result for each agent.

        All steps end before the first error is raised, so no step goes on unobserved.
        """
        outcomes = await asyncio.gather(
            *(step(agent, agent in listed) for agent in agents), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome is True for outcome in outcomes]

    async def _join(self, agent: str, is_own: bool) -> bool:
        if not is_own:
            try:
                await self._client.subscribe(agent, self._name)
            except Refused as error:
                if error.status not in UNFIT_STATUSES:
                    log.warning(
                        "subscription refused agent=%s status=%d reason=%s",
                        agent,
                        error.status,
                        error,
                    )
                    return False
                log.debug(
                    "the broker has no subscriptions: its agents are polled one by one agent=%s",
                    agent,
                )
        recipient = self._recipients.get(agent)
        if recipient is not None:
            self._joined[agent] = recipient
            if self._cursor():
                recipient.fall_behind()
        return True

    async def _own(self, agent: str, is_own: bool) -> bool:
        await self._client.subscribe(agent, self._name)
        return True

    async def _leave(self, agent: str, is_listed: bool) -> bool:
        await self._client.unsubscribe(agent, self._name)
        self._dropped.discard(agent)
        return True

    def _finds_company(self, others: int) -> bool:
        has_company = others > 0
        if has_company and not self._has_company:
            log.warning(
                "another process receives under the same name: both go on, and no ticket is typed "
                "twice; give each its own --name subscriber=%s",
                self._name,
            )
        self._has_company = has_company
        return has_company

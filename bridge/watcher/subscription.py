"""Keeps what is subscribed under our name what it should be.

Before each connection, when one has held for a while, and whenever the agents change, the broker is asked what the
name has. What is missing is subscribed. What is too much is given up, but never before a connection: so a broker that
came back with another store, or without its memory, is told anew, and what an earlier run left behind is cleared away.

Rule 1: an agent that joins when the cursor has moved reads its backlog by itself, and only once it is subscribed: what
        is sent after that comes through the connection, what was sent before lies in the backlog.
Rule 2: somebody else may receive under the same name (a supervisor started twice). Then nothing is given up: it may be
        his. Nor before we are counted ourselves: one who has subscribed and is about to connect looks like a run that
        is over, and so would we to him. Who was taken for one all the same finds out when his connection has held.
        Tickets of agents that are not ours are passed over by the intake.
Rule 3: one agent's refusal is its own matter: it is tried again, and the others go on.
Rule 4: what another run subscribed is subscribed again, once, so that the broker knows that it is ours too: it gives
        up by itself what only a process had that is gone, while others receive under its name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Callable

from bridge.backoff import full_jitter
from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, PeerError, Refused
from bridge.settings import WatcherSettings
from bridge.tasks import within
from bridge.watcher.arrivals import Arrivals
from bridge.watcher.ladder import Tier
from bridge.watcher.transport.base import UNFIT_STATUSES

log = logging.getLogger("bridge.watcher")


class Subscription:
    """Made inside a running loop. `recipients` are the agents that we want; `cursor` and `receiving` are the intake's."""

    def __init__(
        self,
        name: str,
        client: BrokerClient,
        recipients: Mapping[str, Arrivals],
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
        self._joined: dict[str, Arrivals] = {}
        self._dropped: set[str] = set()  # once joined, and not wanted any more
        self._turn = asyncio.Lock()
        self._has_company = False
        self._held: asyncio.TimerHandle | None = None

    async def before_open(self) -> None:
        """Nothing of ours is open; nothing is given up. Raises BrokerUnreachable, Refused."""
        if not await self._settle():
            self.changed.set()  # `keep` goes on trying

    def opened(self) -> None:
        """A connection of ours is open: look again when it has held."""
        if self._held is not None:
            self._held.cancel()
        self._held = asyncio.get_running_loop().call_later(
            self._settings.tier_holds / 1000, self.changed.set
        )

    async def keep(self) -> None:
        """Follow the changes of `recipients`, for ever."""
        delays = self._new_delays()
        while True:
            await self._wait_change()
            try:
                is_settled = await self._settle()
            except (BrokerUnreachable, PeerError, Refused) as error:
                log.info("subscriptions not settled subscriber=%s reason=%s", self._name, error)
                is_settled = False
            if is_settled:
                delays = self._new_delays()
            else:
                await asyncio.sleep(next(delays))
                self.changed.set()

    async def _wait_change(self) -> None:
        """Wait for a change. Who polls, plainly or long, is not counted all the time, may lose his agents to another one of his name,
        and looks now and then."""
        while not self.changed.is_set():
            try:
                await within(self._settings.probe_interval / 1000, self.changed.wait())
            except asyncio.TimeoutError:
                if self._receiving() is not Tier.STREAM:
                    return

    async def _settle(self) -> bool:
        """One pass. False: something was refused."""
        async with self._turn:
            self.changed.clear()
            for agent in [agent for agent in self._joined if agent not in self._recipients]:
                del self._joined[agent]
                self._dropped.add(agent)
            self._dropped.difference_update(self._recipients)
            connection = self._receiving(), self._held
            listed, own, receivers = await self._list()
            is_sure = connection[0] is not None and connection == (
                self._receiving(),
                self._held,
            )  # that the broker counted us, as we are
            done = await self._each(
                self._join,
                own,
                [
                    agent
                    for agent, arrivals in self._recipients.items()
                    if agent not in listed or self._joined.get(agent) is not arrivals
                ],
            )
            done += await self._each(
                self._own,
                own,
                [agent for agent in self._joined if agent in listed and agent not in own],
            )
            if is_sure and receivers is not None and not self._finds_company(receivers):
                is_counted = (
                    connection[0] is Tier.STREAM
                )  # of two who poll the broker may count one: then only what was ours is given up
                done += await self._each(
                    self._leave,
                    listed,
                    [
                        agent
                        for agent in listed
                        if agent not in self._recipients and (is_counted or agent in self._dropped)
                    ],
                )
            return all(done)

    async def _list(self) -> tuple[set[str], set[str], int | None]:
        """What is subscribed, what of it by us, and how many receive; None from a broker that does not tell.
        One that knows no owners lets all of it be ours."""
        try:
            answer = await self._client.subscriber(self._name)
        except Refused as error:
            if error.status in UNFIT_STATUSES:
                return set(), set(), None
            raise
        receivers = answer.get("receivers")
        agents, own = (
            set(found) if isinstance(found, list) else None
            for found in (answer.get("agents"), answer.get("own"))
        )
        listed = agents or set()
        return (
            listed,
            listed if own is None else own,
            receivers if isinstance(receivers, int) else None,
        )

    async def _each(
        self, step: Callable[[str, bool], Awaitable[bool]], listed: set[str], agents: Iterable[str]
    ) -> list[bool]:
        """What the step said of each. All of them end before the first error is raised: nothing goes on behind our back."""
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
                    "the broker knows no subscriptions: its agents are polled one by one agent=%s",
                    agent,
                )
        arrivals = self._recipients.get(agent)
        if arrivals is not None:
            self._joined[agent] = arrivals
            if self._cursor():
                arrivals.fall_behind()
        return True

    async def _own(self, agent: str, is_own: bool) -> bool:
        await self._client.subscribe(agent, self._name)
        return True

    async def _leave(self, agent: str, is_listed: bool) -> bool:
        await self._client.unsubscribe(agent, self._name)
        self._dropped.discard(agent)
        return True

    def _finds_company(self, receivers: int) -> bool:
        own = int(
            self._receiving() not in (None, Tier.POLL)
        )  # how many of them the broker counts because of us
        has_company = receivers > own
        if has_company and not self._has_company:
            log.warning(
                "another process receives under the same name: both go on, and no ticket is typed twice; give each its own --name subscriber=%s",
                self._name,
            )
        self._has_company = has_company
        return has_company

    def _new_delays(self) -> Iterator[float]:
        return full_jitter(
            self._settings.reconnect_base / 1000, self._settings.reconnect_max / 1000
        )

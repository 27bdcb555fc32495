"""Which agents a named shared stream carries, and what each is owed.

Rule 1: `owed` is a seq. An agent's pending tickets up to it are sent on every new
stream of the name, whatever the stream's cursor is. It is set when the agent is
subscribed, to the newest seq of that moment: the cursor was about other agents'
tickets. It stays until the tickets are acknowledged, because a stream that broke
may have delivered none of them.
Rule 2: the journal keeps subscriptions, like registrations. `subscribed` and
`unsubscribed` apply a row when it is on disk. The row alone says what is owed, so
that a restart changes nothing. Rows and tickets are applied in the order in which
they were proposed. So no stream can have passed a ticket after the row's seq
without the agent: every such ticket is published later than the row is applied.
Rule 3: several watchers of one name may subscribe the same agent, and each owns the
subscription. Ownership is memory only. `leave` returns what only a gone watcher owned.
Rule 4: each bound limits work. To open a stream or to answer a poll takes a look at
each agent of the name. A ticket's fan-out looks at each name that its agent has.
Rule 5: whose the streams and the long-polls of a name are is known by process (receivers.py).
"""

from __future__ import annotations

from functools import partial
from typing import Callable

from bridge.broker.journal.base import Commit, Journal, Record, SubscriptionRow
from bridge.broker.ledger import Ledger
from bridge.broker.receivers import Receivers
from bridge.broker.subscriber import StreamSubscriber
from bridge.broker.waiters import Polls
from bridge.errors import Reason, RequestError

# Seconds that a long-poll still counts after its end: a network round trip and a little work.
LINGER = 3.0
NAMES_MAX = 64  # names that may subscribe one agent; one is usual, two during a replacement


class Subscriptions:
    def __init__(
        self,
        journal: Journal,
        ledger: Ledger,
        polls: Polls,
        subscriptions_max: int,
        agents_max: int,
    ) -> None:
        """`subscriptions_max` is a bound on all names together, `agents_max` on one."""
        self._journal, self._ledger = journal, ledger
        self._owed: dict[str, dict[str, int]] = {}  # subscriber -> agent -> owed up to seq
        # (subscriber, agent) -> the latest row that is on its way to disk
        self._coming: dict[tuple[str, str], SubscriptionRow] = {}
        self._open: dict[str, dict[StreamSubscriber, str]] = {}  # with its watcher
        self._polled: dict[str, float] = {}  # subscriber -> its last poll, monotonic seconds
        self._count = 0  # of all names
        self._subscriptions_max, self._agents_max = subscriptions_max, agents_max
        self._owned: dict[str, set[tuple[str, str]]] = {}  # watcher -> (subscriber, agent)
        self._polls = polls
        self._receivers = Receivers()

    def load(self, rows: list[tuple[str, str, int]]) -> None:
        for name, agent_id, owed in rows:
            self._put(name, agent_id, owed)

    def agents(self, name: str) -> dict[str, int]:
        """The agents subscribed under the name, with the seq up to which each is owed."""
        return self._owed.get(name, {})

    def is_open(self, name: str) -> bool:
        return bool(self._open.get(name))

    def polled(self, name: str, watcher: str, now: float) -> None:
        """A long-poll of the watcher under the name has arrived or ended."""
        if name in self._owed:
            self._polled[name] = now
            self._receivers.polled(name, watcher, now + LINGER)

    def wait(
        self, name: str, watcher: str, monotonic: Callable[[], float],
        holds: Callable[[], bool], wake: Callable[[], None],
    ) -> Callable[[], None]:  # fmt: skip
        """A long-poll of the watcher waits until `holds`. Return a function that ends it, once."""
        cancel = self._polls.by_subscriber.wait_until(name, holds, wake)
        self._receivers.opened(name, watcher)

        def end() -> None:
            cancel()
            self._receivers.closed(name, watcher)
            self.polled(name, watcher, monotonic())

        return end

    def receivers(self, name: str, now: float) -> int:
        """The number of streams and long-polls that receive under the name.

        A subscriber that has just polled counts too: it is about to poll again.
        """
        waiting = self._polls.by_subscriber.count(name)
        return len(self._open.get(name, ())) + (
            waiting or int(now - self._polled.get(name, float("-inf")) < LINGER)
        )

    def others(self, name: str, watcher: str, now: float) -> int:
        """The number of processes that receive under the name beside `watcher`."""
        return self._receivers.others(name, watcher, now)

    def check_room(self, name: str, agent_id: str) -> None:
        """Raises RequestError at one of three bounds: of all, of the name, or of the agent."""
        agents = self._owed.get(name, {})
        if agent_id in agents:
            return
        most, of_one = self._subscriptions_max, self._agents_max
        bounds = (
            (
                self._count, most,
                f"there are {most} subscriptions already (BRIDGE_AGENTS_MAX); give some up",
            ),
            (
                len(agents), of_one,
                f"subscriber {name!r} has {of_one} agents already "
                "(BRIDGE_SUPERVISE_MAX); use another name",
            ),
            (
                len(self._polls.subscribers(agent_id)), NAMES_MAX,
                f"agent {agent_id!r} is subscribed under {NAMES_MAX} names already; give one up",
            ),
        )  # fmt: skip
        for count, allowed, detail in bounds:
            if count >= allowed:
                raise RequestError(Reason.SUBSCRIBERS_MAX, detail, retry_after=60)

    def subscribe(self, name: str, agent_id: str, watcher: str) -> Commit:
        """Subscribe the agent when that is on disk. `watcher` owns the subscription."""
        coming = self._coming.get((name, agent_id))
        owed = coming.owed_seq if coming is not None else self.agents(name).get(agent_id)
        if owed is None or not self.is_open(name):
            owed = self._ledger.seq  # else the open streams carry it, and their cursors are right
        return self._propose(SubscriptionRow(name, agent_id, owed), watcher)

    def unsubscribe(self, name: str, agent_id: str) -> Commit:
        """Give the agent up when that is on disk."""
        return self._propose(SubscriptionRow(name, agent_id, None), "")

    def _propose(self, row: SubscriptionRow, watcher: str) -> Commit:
        commit = self._journal.propose(Record(subscriptions=(row,)))
        self._coming[row.subscriber, row.agent_id] = row
        commit.add_effect(partial(self._apply, row, watcher))
        self._ledger.divide()
        return commit

    def _apply(self, row: SubscriptionRow, watcher: str, commit: Commit) -> None:
        name, agent_id, owed = row
        if self._coming.get((name, agent_id)) is row:
            del self._coming[name, agent_id]
        if commit.result() is not None:
            return
        if owed is None:
            self.unsubscribed(name, agent_id)
        else:
            self.own(watcher, name, agent_id)
            self.subscribed(name, agent_id, owed)

    def subscribed(self, name: str, agent_id: str, owed: int) -> None:
        """The subscription is on disk, be it an own one or not. Open streams carry the agent."""
        if self.agents(name).get(agent_id) != owed:
            self._put(name, agent_id, owed)
            self._polls.by_subscriber.wake_all(name)
        for stream in self.streams(name):
            stream.add(agent_id, owed)
            stream.catch_up()

    def _put(self, name: str, agent_id: str, owed: int) -> None:
        agents = self._owed.setdefault(name, {})
        self._count += agent_id not in agents
        agents[agent_id] = owed
        self._polls.subscribed(agent_id, name)

    def own(self, watcher: str, name: str, agent_id: str) -> None:
        if watcher and (watcher in self._owned or len(self._owned) < self._subscriptions_max):
            self._owned.setdefault(watcher, set()).add((name, agent_id))

    def owned(self, watcher: str) -> set[tuple[str, str]]:
        """(subscriber, agent) of all that the watcher has subscribed."""
        return self._owned.get(watcher, set())

    def leave(self, watcher: str) -> list[tuple[str, str]]:
        """Forget a gone watcher. Return what no other watcher owns."""
        left = self._owned.pop(watcher, set())
        return sorted(left.difference(*self._owned.values()))

    def unsubscribed(self, name: str, agent_id: str) -> None:
        """It is on disk that the name has given the agent up."""
        agents = self._owed.get(name, {})
        self._count -= agents.pop(agent_id, None) is not None
        self._polls.unsubscribed(agent_id, name)
        for owned in self._owned.values():
            owned.discard((name, agent_id))
        if not agents:
            self._owed.pop(name, None)
            self._polled.pop(name, None)
            self._receivers.forget(name)
        for subscriber in self._open.get(name, ()):
            subscriber.discard(agent_id)
        self._polls.by_subscriber.wake_all(name)

    def opened(self, name: str, subscriber: StreamSubscriber, watcher: str) -> None:
        self._open.setdefault(name, {})[subscriber] = watcher
        self._receivers.opened(name, watcher)

    def closed(self, name: str, subscriber: StreamSubscriber) -> None:
        streams = self._open[name]
        self._receivers.closed(name, streams.pop(subscriber))
        if not streams:
            del self._open[name]

    def streams(self, name: str) -> list[StreamSubscriber]:
        return list(self._open.get(name, ()))

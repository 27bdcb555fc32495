"""Callbacks by key: long-polls by agent or subscriber, waits for a reply or a stage by ticket id.

Each callback is called once: immediately if the turn has time left (pace.py), else in a later
turn. So thousands of waits for one ticket or one reply do not hold up other work.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Callable

from bridge.broker.pace import Pace


class Waiters:
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._waiting: dict[str, dict[Callable[[], None], None]] = {}  # in order of arrival

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    @property
    def total(self) -> int:
        """The number of callbacks that wait."""
        return sum(map(len, self._waiting.values()))

    def count(self, key: str) -> int:
        return len(self._waiting.get(key, ()))

    def wait(self, key: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` at the next `wake_all(key)`. Return a function that cancels it."""
        self._waiting.setdefault(key, {})[wake] = None

        def cancel() -> None:
            self._pace.cancel(wake)
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.pop(wake, None)
                if not waiting:
                    del self._waiting[key]

        return cancel

    def wait_until(
        self, key: str, holds: Callable[[], bool], wake: Callable[[], None]
    ) -> Callable[[], None]:
        """Call `wake` at the first `wake_all(key)` at which `holds()` is true.

        Return a function that cancels it.
        """

        cancel: Callable[[], None]

        def look() -> None:
            nonlocal cancel
            if holds():
                wake()
            else:
                cancel = self.wait(key, look)

        cancel = self.wait(key, look)
        return lambda: cancel()

    # Hot, as the other: once per ticket.
    def wake_all(self, key: str) -> None:
        for wake in self._waiting.pop(key, ()):
            if self._pace.is_over():
                self._pace.later(wake)
            else:
                wake()


class Polls(Waiters):
    """Long-polls by agent, and those by subscriber.

    A subscriber's poll waits under one key, however many agents it has. `wake_all` of an agent
    also wakes the polls of its subscribers.
    """

    def __init__(self, pace: Pace) -> None:
        super().__init__(pace)
        self.by_subscriber = Waiters(pace)
        self._subscribers: dict[str, set[str]] = {}  # agent -> names

    def __contains__(self, key: str) -> bool:
        """Does a poll wait for the agent, its own or a subscriber's?"""
        if key in self._waiting:
            return True
        return any(name in self.by_subscriber for name in self.subscribers(key))

    @property
    def is_empty(self) -> bool:
        return not self._waiting and self.by_subscriber.is_empty

    @property
    def total(self) -> int:
        return super().total + self.by_subscriber.total

    def subscribers(self, agent_id: str) -> Collection[str]:
        return self._subscribers.get(agent_id, ())

    def subscribed(self, agent_id: str, subscriber: str) -> None:
        self._subscribers.setdefault(agent_id, set()).add(subscriber)

    def unsubscribed(self, agent_id: str, subscriber: str) -> None:
        names = self._subscribers.get(agent_id, set())
        names.discard(subscriber)
        if not names:
            self._subscribers.pop(agent_id, None)

    def wake_all(self, key: str) -> None:
        if key in self._waiting:
            super().wake_all(key)
        for name in self._subscribers.get(key, ()):
            self.by_subscriber.wake_all(name)

"""Callbacks by key: long-polls by agent, waits for a reply or a stage by ticket id. Each is called once."""

from __future__ import annotations

from typing import Callable, Iterable


class Waiters:
    def __init__(self) -> None:
        self._waiting: dict[str, set[Callable[[], None]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    @property
    def total(self) -> int:
        """How many wait, each counted once, for however many keys it waits."""
        return len(set().union(*self._waiting.values()))

    def keys(self) -> Iterable[str]:
        """What somebody waits for."""
        return self._waiting.keys()

    def count(self, key: str) -> int:
        return len(self._waiting.get(key, ()))

    def wait(self, key: str, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` at the next `wake_all(key)`. Returns what cancels it."""
        self._waiting.setdefault(key, set()).add(wake)

        def cancel() -> None:
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.discard(wake)
                if not waiting:
                    del self._waiting[key]

        return cancel

    def wait_any(self, keys: Iterable[str], wake: Callable[[], None]) -> Callable[[], None]:
        """The same for several keys at once: woken by the first of them, and then no more."""

        def once() -> None:
            cancel()
            wake()

        cancels = [self.wait(key, once) for key in keys]

        def cancel() -> None:
            for each in cancels:
                each()

        return cancel

    def wait_until(self, key: str, holds: Callable[[], bool], wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` at the first `wake_all(key)` at which `holds()` is true. Returns what cancels it."""

        def look() -> None:
            nonlocal cancel
            if holds():
                wake()
            else:
                cancel = self.wait(key, look)

        cancel = self.wait(key, look)
        return lambda: cancel()

    def wake_all(self, key: str) -> None:
        for wake in self._waiting.pop(key, ()):
            wake()

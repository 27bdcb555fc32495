"""Who is to be woken for a key: long-polls by agent, reply waits by ticket id. Each is woken once."""

from __future__ import annotations

from typing import Callable


class Waiters:
    def __init__(self) -> None:
        self._waiting: dict[str, set[Callable[[], None]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._waiting

    @property
    def total(self) -> int:
        return sum(map(len, self._waiting.values()))

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

    def wake_all(self, key: str) -> None:
        for wake in self._waiting.pop(key, ()):
            wake()

"""Which watcher processes are here, by the name that each sends (`watcher`, added to the wire).

    opened / closed   a stream or a long-poll of the watcher begins or ends
    note              a plain poll or a report: a sign of life that holds for a while
    on_gone           called when there was none of these for `grace` seconds

When a watcher is gone, what it left is removed: its reports (registry.py), and the subscriptions
that only it owned (operations.py). A broken connection comes back within the grace.
All this is memory only. A watcher without a name, as older ones are, is not tracked, and
nothing of it is removed.
"""

from __future__ import annotations

import asyncio
from typing import Callable

from bridge.broker.clock import Clock

MIN_LOOK = 0.01  # seconds; a timer that fires early by rounding must not run in a tight loop


class _Watcher:
    __slots__ = ("open", "until")

    def __init__(self) -> None:
        self.open = 0  # connections
        self.until = 0.0  # monotonic seconds; the last sign of life holds until then


class Watchers:
    """The watchers that are here, within a bound."""

    def __init__(self, clock: Clock, grace: float, watchers_max: int) -> None:
        self._clock, self._grace, self._watchers_max = clock, grace, watchers_max
        self._known: dict[str, _Watcher] = {}
        self.on_gone: Callable[[str], None] = lambda watcher: None

    def is_here(self, watcher: str) -> bool:
        known = self._known.get(watcher)
        return known is not None and (known.open > 0 or self._clock.monotonic() < known.until)

    def note(self, watcher: str, seconds: float) -> None:
        known = self._take(watcher)
        if known is not None:
            known.until = max(known.until, self._clock.monotonic() + seconds)

    def opened(self, watcher: str) -> None:
        known = self._take(watcher)
        if known is not None:
            known.open += 1

    def closed(self, watcher: str, seconds: float = 0.0) -> None:
        """A connection ended. The watcher still counts as here for `seconds`.

        Between two long-polls there is no connection for a moment.
        """
        known = self._known.get(watcher)
        if known is not None and known.open:
            known.open -= 1
            known.until = self._clock.monotonic() + seconds

    def _take(self, watcher: str) -> _Watcher | None:
        """The watcher's record; None if it has no name or there is no room: names cost nothing."""
        known = self._known.get(watcher)
        if known is None and watcher and len(self._known) < self._watchers_max:
            known = self._known[watcher] = _Watcher()
            self._look_in(watcher, self._grace)
        return known

    def _look_in(self, watcher: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look, watcher)

    def _look(self, watcher: str) -> None:
        """Check for a gone watcher. Each known watcher has one timer."""
        known = self._known[watcher]
        left = self._grace if known.open else known.until + self._grace - self._clock.monotonic()
        if left > 0:
            self._look_in(watcher, max(left, MIN_LOOK))
            return
        del self._known[watcher]
        self.on_gone(watcher)

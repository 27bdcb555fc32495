"""Which watcher processes are here, by the name that they give themselves (`watcher`, an addition to the wire).

    opened / closed   a stream or a long-poll of its stands, stands no more
    note              a plain poll or a report: a sign of life that holds for a while
    on_gone           nothing was heard for `grace` seconds after the last of these

What a watcher left behind ends with it: its reports (registry.py), and the subscriptions that are its alone
(handlers/subscribers.py). A short absence is none: a connection that broke comes again within the grace.
Memory only. A watcher that gives no name, as older ones do, is not known here, and nothing of it ends.
"""

from __future__ import annotations

import asyncio
from typing import Callable

from bridge.broker.clock import Clock

MIN_LOOK = 0.01  # seconds; a timer that is early by a rounding must not run in a tight loop


class _Watcher:
    __slots__ = ("open", "until")

    def __init__(self) -> None:
        self.open = 0  # connections
        self.until = 0.0  # until when the last sign of life holds, monotonic seconds


class Watchers:
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
        """`seconds`: for how long the end of this one says nothing, as between two long-polls."""
        known = self._known.get(watcher)
        if known is not None and known.open:
            known.open -= 1
            known.until = self._clock.monotonic() + seconds

    def _take(self, watcher: str) -> _Watcher | None:
        """None where there is no name, or no room: names are free to invent."""
        known = self._known.get(watcher)
        if known is None and watcher and len(self._known) < self._watchers_max:
            known = self._known[watcher] = _Watcher()
            self._look_in(watcher, self._grace)
        return known

    def _look_in(self, watcher: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._look, watcher)

    def _look(self, watcher: str) -> None:
        """One timer for each watcher, for as long as it is known."""
        known = self._known[watcher]
        left = self._grace if known.open else known.until + self._grace - self._clock.monotonic()
        if left > 0:
            self._look_in(watcher, max(left, MIN_LOOK))
            return
        del self._known[watcher]
        self.on_gone(watcher)

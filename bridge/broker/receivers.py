"""Which processes receive under a name: whose its streams and long-polls are.

    opened / closed    a stream or a waiting long-poll of a process begins or ends
    polled             a long-poll came or ended: the process counts for a while longer
    others             how many processes receive beside one

Rule 1: the `watcher` that a process sends is its identity. Those that send none, as older ones do,
cannot be told apart, and count as one.
Rule 2: a process with an open connection counts. The open connections bound their number. Of the
others that polled, the POLLED_MAX newest of a name are remembered.
"""

from __future__ import annotations

POLLED_MAX = 64  # processes of a name; one is usual, two during a replacement


class Receivers:
    """Of all names. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, int]] = {}  # name -> watcher -> connections
        # name -> watcher -> counts until then; the watcher that polled last is the last one
        self._polled: dict[str, dict[str, float]] = {}

    def opened(self, name: str, watcher: str) -> None:
        watchers = self._open.setdefault(name, {})
        watchers[watcher] = watchers.get(watcher, 0) + 1

    def closed(self, name: str, watcher: str) -> None:
        watchers = self._open[name]
        watchers[watcher] -= 1
        if not watchers[watcher]:
            del watchers[watcher]
        if not watchers:
            del self._open[name]

    def polled(self, name: str, watcher: str, until: float) -> None:
        watchers = self._polled.setdefault(name, {})
        watchers.pop(watcher, None)
        watchers[watcher] = until
        if len(watchers) > POLLED_MAX:
            del watchers[next(iter(watchers))]

    def forget(self, name: str) -> None:
        """Forget the processes without a connection: the name has no agents any more."""
        self._polled.pop(name, None)

    def others(self, name: str, watcher: str, now: float) -> int:
        """How many processes beside `watcher` receive under the name."""
        here = set(self._open.get(name, ()))
        here.update(each for each, until in self._polled.get(name, {}).items() if now < until)
        return len(here - {watcher})

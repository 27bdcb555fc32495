"""Keeps the supervisor's roster up to date while it runs.

    command line > file > registry > sessions       if two name one agent, the earlier one wins

Each source has its own loop: look, and assign the merged roster when it has changed. A source
that fails (a file with a mistake, an unreachable broker) keeps its last roster. Its error is
logged once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Callable

from bridge.errors import BridgeError
from bridge.tasks import run_together, within
from bridge.watcher.discovery.merge import Roster, merge
from bridge.watcher.discovery.sources import Source

log = logging.getLogger("bridge.watcher")


class RosterUpdates:
    """Made inside a running loop. `known`: rosters that sources have returned already, by name."""

    def __init__(
        self,
        words: Roster,
        sources: Sequence[Source],
        assign: Callable[[Roster], None],
        known: Mapping[str, Roster],
    ) -> None:
        self._words = words
        self._sources = sources
        self._assign = assign
        self._rosters: dict[str, Roster] = {
            source.name: known.get(source.name, {}) for source in sources
        }
        self._complaints: dict[str, str] = {}
        self._wakes = {source.name: asyncio.Event() for source in sources}

    @property
    def roster(self) -> Roster:
        return merge(self._words, *self._rosters.values())

    def look_again(self) -> None:
        """Look at every source now."""
        for wake in self._wakes.values():
            wake.set()

    async def run(self) -> None:
        """Follow the sources without end."""
        if self._sources:
            await run_together(**{source.name: self._follow(source) for source in self._sources})
        await asyncio.Event().wait()

    async def _follow(self, source: Source) -> None:
        wake = self._wakes[source.name]
        while True:
            wake.clear()
            await self.look(source)
            try:
                await within(source.interval, wake.wait())
            except asyncio.TimeoutError:
                continue

    async def look(self, source: Source) -> None:
        try:
            found, complaint = await source.look(), ""
        except BridgeError as error:
            found, complaint = self._rosters[source.name], str(error)
        if complaint and complaint != self._complaints.get(source.name):
            log.error("agents stay as they are: %s", complaint)
        self._complaints[source.name] = complaint
        if found != self._rosters[source.name]:
            self._rosters[source.name] = dict(found)
            self._assign(self.roster)

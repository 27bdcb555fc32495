"""All panes of one tmux server, counted once for everybody who asks.

A hundred agents that each look whether their pane is still there would run tmux a hundred times. So one listing answers
whoever asks while it is fresh, and while one is under way those who come wait for it.
"""

from __future__ import annotations

import asyncio

from bridge.errors import PaneLost
from bridge.tasks import stop_all
from bridge.tmux.buffers import sweep
from bridge.tmux.command import Tmux
from bridge.tmux.identity import Listing, Pane
from bridge.tmux.pane import list_panes

RECENT = 0.5  # seconds: as old a listing may be by which a name becomes a pane; whoever types looks at the pane itself


class Census:
    """Used inside one event loop. `fresh`: seconds for which a listing says that a pane is there."""

    def __init__(self, tmux: Tmux, fresh: float = RECENT) -> None:
        self._tmux = tmux
        self._fresh = fresh
        self._latest: Listing | None = None
        self._ids: frozenset[tuple[int, int, str]] = frozenset()
        self._counted_at = 0.0
        self._counting: asyncio.Future[Listing] | None = None

    async def recent(self) -> Listing:
        """A listing by which a name may become a pane. Raises PaneLost, TmuxError."""
        return await self.listing(min(self._fresh, RECENT))

    async def confirm(self, pane: Pane) -> Listing:
        """A listing with that pane in it. Raises PaneLost when the pane is gone, TmuxError."""
        listing = await self.listing(self._fresh)
        if pane.key not in self._ids:
            raise PaneLost(f"pane {pane.label} is gone")
        return listing

    async def take(self, pane: Pane) -> None:
        """Whoever only looks takes nothing: that is tenancy.py's."""

    def held(self) -> set[str]:
        """Nor does it hold a ticket."""
        return set()

    async def listing(self, fresh: float) -> Listing:
        """A listing that is not older than that. Raises PaneLost when there is no server, TmuxError."""
        clock = asyncio.get_running_loop().time
        if self._latest is not None and clock() - self._counted_at <= fresh:
            return self._latest
        if self._counting is None or self._counting.done():
            self._counting = asyncio.ensure_future(self._count())
            self._counting.add_done_callback(
                lambda counted: counted.cancelled() or counted.exception()
            )  # whoever asked may have been told to stop
        return await asyncio.shield(self._counting)

    def forget(self) -> None:
        """The latest listing is known to be wrong."""
        self._latest = None

    async def aclose(self) -> None:
        if self._counting is not None:
            await stop_all(self._counting)

    async def _count(self) -> Listing:
        self._latest = None
        began = asyncio.get_running_loop().time()
        listing = await list_panes(self._tmux)
        if not self._ids.issuperset(ids := frozenset(row.key for row in listing.rows)):
            await sweep(
                self._tmux
            )  # panes that we did not know: somebody may have left a buffer behind for one of them
        self._latest, self._ids, self._counted_at = listing, ids, began
        return listing

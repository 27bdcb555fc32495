"""The list of all panes of one tmux server, shared by all callers.

A hundred agents that each check whether their pane still exists would run tmux a hundred times. So
one listing answers all callers while it is fresh. While one is being made, new callers wait for it.
"""

from __future__ import annotations

import asyncio

from bridge.errors import PaneLost
from bridge.tasks import stop_all
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.identity import Listing, Pane
from bridge.tmux.server.pane import list_panes
from bridge.tmux.server.paste_buffers import sweep

# Seconds: the greatest age of a listing that resolves a name. Before typing, the pane itself is
# looked at.
RECENT = 0.5


class PaneList:
    """Used inside one event loop.

    `fresh`: the age in seconds up to which a listing proves that a pane exists.
    """

    def __init__(self, tmux: Tmux, fresh: float = RECENT) -> None:
        self._tmux = tmux
        self._fresh = fresh
        self._latest: Listing | None = None
        self._ids: frozenset[tuple[int, int, str]] = frozenset()
        self._listed_at = 0.0
        self._listing: asyncio.Future[Listing] | None = None

    async def recent(self) -> Listing:
        """A listing that is fresh enough to resolve a name. Raises PaneLost, TmuxError."""
        return await self.listing(min(self._fresh, RECENT))

    async def confirm(self, pane: Pane) -> Listing:
        """A listing that contains the pane. Raises PaneLost when the pane is gone, TmuxError."""
        listing = await self.listing(self._fresh)
        if pane.key not in self._ids:
            raise PaneLost(f"pane {pane.label} is gone")
        return listing

    async def take(self, pane: Pane) -> None:
        """Nothing to do: only tenancy.py registers at a pane."""

    def held(self) -> set[str]:
        """No tickets: only tenancy.py has their ids."""
        return set()

    async def listing(self, fresh: float) -> Listing:
        """A listing that is at most `fresh` seconds old.

        Raises PaneLost when there is no server, TmuxError.
        """
        clock = asyncio.get_running_loop().time
        if self._latest is not None and clock() - self._listed_at <= fresh:
            return self._latest
        if self._listing is None or self._listing.done():
            self._listing = asyncio.ensure_future(self._list())
            # Retrieve the exception: all callers may have been cancelled.
            self._listing.add_done_callback(
                lambda listing: listing.cancelled() or listing.exception()
            )
        return await asyncio.shield(self._listing)

    def forget(self) -> None:
        """The latest listing is known to be wrong."""
        self._latest = None

    async def aclose(self) -> None:
        if self._listing is not None:
            await stop_all(self._listing)

    async def _list(self) -> Listing:
        self._latest = None
        began = asyncio.get_running_loop().time()
        listing = await list_panes(self._tmux)
        if not self._ids.issuperset(ids := frozenset(row.key for row in listing.rows)):
            # There are new panes: a watcher that died may have left a buffer for one of them.
            await sweep(self._tmux)
        self._latest, self._ids, self._listed_at = listing, ids, began
        return listing

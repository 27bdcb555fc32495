"""`--db :memory:`: the journal that keeps nothing.

Every write counts as "on disk" at the end of the loop's turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator

from bridge.broker.entry import Entry
from bridge.broker.journal.backup import StoreCopy
from bridge.broker.journal.base import Commit, Commits, Proposal, StoreContents
from bridge.broker.journal.group_commit import Group, GroupCommit
from bridge.errors import BridgeError


class MemoryJournal:
    def __init__(self) -> None:
        self._groups = GroupCommit(asyncio.get_running_loop(), self._write)

    def _write(self, group: Group) -> None:
        self._groups.written(group, None)

    def load(self, wall_ms: int, now: float) -> StoreContents:
        return StoreContents()

    def commits(self) -> Commits:
        return self._groups.commits

    # Hot: once per ticket.
    def propose(self, record: Proposal) -> Commit:
        return self._groups.joined().commit

    def find(self, ticket_id: str) -> Entry | None:
        return None

    def read_before(self, seq: int) -> Generator[Entry, None, None] | None:
        return None

    def prune(self, before_ms: int) -> None:
        """Nothing is kept here. The ledger's own memory is bounded."""

    def copy(self) -> StoreCopy | None:
        return None

    def look(self) -> None:
        """There are no files."""

    def lost(self) -> BridgeError | None:
        return None

    async def flush(self) -> None:
        await self._groups.flush()

    async def aclose(self) -> None:
        await self._groups.flush()

"""Where agents are listed, beside the command line: a file, the broker's registry, tmux sessions.

Each source is read at intervals, and returns the agents that it lists at that moment. If it
cannot be read it raises a BridgeError, and its last answer stays valid.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from typing import Protocol

from bridge.client.broker import BrokerClient
from bridge.errors import BadValue, PaneLost, UsageError
from bridge.ticket import check_name
from bridge.tmux.server.identity import Listing, PaneRow
from bridge.tmux.server.pane_list import PaneList
from bridge.watcher.discovery.merge import Assignment, Roster, read_file
from bridge.watcher.report import OWN

FILE_MAX = 4 << 20  # bytes: a thousand agents need 100 KiB


class Source(Protocol):
    name: str
    interval: float  # seconds between two looks

    async def look(self) -> Roster:
        """The agents that it lists now. Raises BridgeError."""


class FileSource:
    """A roster file. Read again when its modification time, size or inode has changed.

    The inode counts because editors write a new file and rename it.
    """

    def __init__(self, path: str, is_bare: bool, interval: float, may_share: bool = False) -> None:
        self.name = path
        self.interval = interval
        self._is_bare = is_bare
        self._may_share = may_share
        self._seen: tuple[int, int, int] | None = None
        self._roster: Roster = {}

    async def look(self) -> Roster:
        return self.read()

    def read(self) -> Roster:
        """Raises UsageError that names the file, and the line of a mistake."""
        try:
            status = os.stat(self.name)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._seen:
                self._seen = None
                self._roster = read_file(self._text(), self.name, self._is_bare, self._may_share)
                self._seen = stamp
        except OSError as error:
            raise UsageError(f"{self.name} cannot be read: {error.strerror}") from None
        return self._roster

    def _text(self) -> str:
        with open(self.name, "rb") as file:
            data = file.read(FILE_MAX + 1)
        if len(data) > FILE_MAX:
            raise UsageError(f"{self.name} is larger than {FILE_MAX} bytes")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise UsageError(f"{self.name} line {line}: this is no UTF-8 text") from None


class RegistrySource:
    """Agents that were registered with a session and a pane, if that session is on our tmux server.

    The predecessor's script registers agents so. Agents that only a watcher registered are left
    out: an agent that was removed from a file would otherwise still be served from here.
    An agent that was found once stays while it is registered, even if its session is gone.
    """

    name = "the broker's registry"

    def __init__(self, client: BrokerClient, pane_list: PaneList, interval: float) -> None:
        self.interval = interval
        self._client = client
        self._pane_list = pane_list
        self._roster: dict[str, Assignment] = {}

    async def look(self) -> Roster:
        registered = [
            assignment
            for entry in await self._client.agents()
            for assignment in [registered_pane(entry)]
            if assignment
        ]
        here = sessions_of(await listing_or_none(self._pane_list, self.interval))
        self._roster = {
            each.agent: each
            for each in registered
            if each.session in here or self._roster.get(each.agent) == each
        }
        return self._roster


def registered_pane(entry: Mapping[str, object]) -> Assignment | None:
    """The pane of a registration; None if it has none, or if a watcher of ours registered it."""
    metadata, agent = entry.get("metadata"), entry.get("agentId")
    if (
        not isinstance(metadata, dict)
        or not isinstance(agent, str)
        or OWN.items() <= metadata.items()
    ):
        return None
    session, pane = metadata.get("session"), metadata.get("paneId")
    if (
        not isinstance(session, str)
        or not session
        or isinstance(pane, bool)
        or not isinstance(pane, (str, int))
    ):
        return None
    return Assignment(agent, session, str(pane))


class SessionSource:
    """Each session `dev-NAME` is agent NAME, served in its first pane.

    A session that is gone is forgotten after `forget_after` seconds. The pane that was first when
    the session was first seen stays the agent's. If that pane is killed, another pane becomes
    first, but it is a neighbour. A session that is created again starts afresh.
    """

    def __init__(
        self, pattern: str, pane_list: PaneList, interval: float, forget_after: float
    ) -> None:
        before, star, after = pattern.partition("*")
        if not star or "*" in after:
            raise UsageError(
                f"--sessions {pattern!r} must hold one *, which stands for the agent's name: "
                "'dev-*'"
            )
        self.name = f"sessions {pattern}"
        self.interval = interval
        self._pattern = re.compile(re.escape(before) + "(.+)" + re.escape(after), re.DOTALL)
        self._pane_list = pane_list
        self._forget_after = forget_after
        self._roster: dict[str, Assignment] = {}
        self._seen_at: dict[str, float] = {}
        self._firsts: dict[str, PaneRow] = {}  # by agent: the session's first pane, as last seen

    async def look(self) -> Roster:
        listing = await listing_or_none(self._pane_list, self.interval / 2)
        now = asyncio.get_running_loop().time()
        for session, panes in panes_by_session(listing).items():
            match = self._pattern.fullmatch(session)
            if match and is_id(match[1]):
                first = self._firsts[match[1]] = first_pane(panes, self._firsts.get(match[1]))
                # Not "0": that names no pane if the session has several windows.
                self._roster[match[1]] = Assignment(match[1], session, first.place)
                self._seen_at[match[1]] = now
        for agent in [
            agent for agent, seen in self._seen_at.items() if now - seen > self._forget_after
        ]:
            del self._seen_at[agent], self._roster[agent], self._firsts[agent]
        return dict(self._roster)


def is_id(name: str) -> bool:
    try:
        return bool(check_name(name, "the agent's name"))
    except BadValue:
        return False


async def listing_or_none(pane_list: PaneList, fresh: float) -> Listing | None:
    """The panes; None when no server runs, which is not an error here. Raises TmuxError."""
    try:
        return await pane_list.listing(fresh)
    except PaneLost:
        return None


def sessions_of(listing: Listing | None) -> set[str]:
    return {row.session for row in listing.rows} if listing else set()


def panes_by_session(listing: Listing | None) -> dict[str, list[PaneRow]]:
    found: dict[str, list[PaneRow]] = {}
    for row in listing.rows if listing else ():
        found.setdefault(row.session, []).append(row)
    return found


def first_pane(panes: list[PaneRow], before: PaneRow | None) -> PaneRow:
    """The first pane of a session. `before`: the first pane at the last look."""
    first = min(panes, key=lambda row: (row.window_index, row.pane_index))
    if before is None or (before.key[:2], before.session_id) != (first.key[:2], first.session_id):
        return first
    return next((row for row in panes if row.pane_id == before.pane_id), before)

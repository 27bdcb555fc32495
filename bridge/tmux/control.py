"""The same `run` as command.Tmux, answered in half a millisecond instead of six.

    run ─► one plain line, and a connection? ─► ask ─► answer
               │no                               │broken, and the command only looks
               └──────────► a process ◄──────────┘

One connection for one tmux server. It is opened when it is first useful, only where `anchor` allows it, and given up
at once when that changes (a keeper task asks after every notification that matters, and every RECHECK seconds), when an
answer is late, or when tmux says what control mode does not say. Then processes take its place, and
another connection is tried with growing pauses. Every such change is one log line.

What has a body (stdin), a control character or a version switch is always a process. A command that CHANGES something and
whose answer was lost is not asked again by a process: it may be done. Its caller gets ControlBroken, a TmuxError, and
looks at the pane's marks, as after any crash.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Awaitable, Callable, Iterator, Optional

from bridge.backoff import full_jitter
from bridge.errors import ControlBroken, TmuxError
from bridge.tasks import stop_all, within
from bridge.tmux.anchor import CLIENTS, SESSIONS, choose_anchor, hook_among, read_grounds
from bridge.tmux.command import Tmux
from bridge.tmux.control_connection import ControlConnection
from bridge.tmux.control_wire import control_line
from bridge.tmux.gathering import only_looks

log = logging.getLogger("bridge.tmux")
RECHECK = 10.0  # seconds between two looks whether we may stay, or may come: options change without a notification
BACKOFF_BASE, BACKOFF_CAP = 1.0, 60.0  # seconds between two connections that broke
LINE_MAX = 16384  # characters of a line: a guarded sequence has 1500

Run = Callable[..., Awaitable[str]]


class ControlClient(Tmux):
    """One tmux server, through a control client where that is possible. Used inside one event loop; ended with `aclose`."""

    def __init__(self, socket_name: Optional[str] = None, socket_path: Optional[str] = None, deadline: float = 5.0, program: str = "tmux", policy: str = "auto") -> None:
        super().__init__(socket_name, socket_path, deadline, program)
        self._policy = policy
        self._connection: Optional[ControlConnection] = None
        self._keeper: Optional[asyncio.Future[None]] = None
        self._is_opening = False
        self._not_before = 0.0  # monotonic seconds; no connection is tried earlier
        self._delays = self._new_delays()
        self._said = ""  # why there is no connection, as it was logged last

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.broken

    async def run(self, *argv: str, stdin: Optional[bytes] = None) -> str:
        """Run one tmux invocation and return what it printed. Raises TmuxError that names the subcommand."""
        line = control_line(argv) if stdin is None and argv and not argv[0].startswith("-") else None
        connection = await self._reach() if line is not None and len(line) <= LINE_MAX else None
        if connection is None or line is None:
            return await super().run(*argv, stdin=stdin)
        try:
            return await connection.ask(argv[0], line)
        except ControlBroken:
            if not only_looks(argv):
                raise
        return await super().run(*argv)

    async def aclose(self) -> None:
        """Leave the server. May be called more than once."""
        self._policy = "off"
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await stop_all(keeper)

    async def _reach(self) -> Optional[ControlConnection]:
        """The connection; None when there is none and none can be had now."""
        if self.is_connected:
            return self._connection
        if self._policy == "off" or self._is_opening or time.monotonic() < self._not_before:
            return None
        self._is_opening = True
        try:
            return await self._open()
        except TmuxError as error:
            self._wait(str(error), next(self._delays))
            return None
        finally:
            self._is_opening = False

    async def _open(self) -> Optional[ControlConnection]:
        if self._keeper is not None and not self._keeper.done():
            return None  # the one before is still leaving
        session_id, objection = await self._anchor(super().run, "")
        if objection:
            self._wait(objection, RECHECK)
            return None
        connection = await ControlConnection.open(self._prefix, session_id, self._deadline)
        self._connection = connection
        self._keeper = asyncio.ensure_future(self._keep(connection))
        self._said = ""
        log.info("control client attached server=%r session=%s", self.server, session_id)
        return connection

    async def _keep(self, connection: ControlConnection) -> None:
        """Own the connection: leave when we may not stay, and clean up when it has broken."""
        since = time.monotonic()
        try:
            while not connection.broken:
                try:
                    await within(RECHECK, connection.news.wait())
                except asyncio.TimeoutError:
                    self._delays = self._new_delays()  # it has held
                connection.news.clear()
                objection = connection.broken or await self._objection_to_stay(connection)
                if objection:
                    break
            pause = next(self._delays) if connection.broken else RECHECK
            self._wait(connection.broken or objection, pause)
            log.debug("control client left after=%.1fs", time.monotonic() - since)
        finally:
            self._connection = None
            await connection.aclose()

    async def _objection_to_stay(self, connection: ControlConnection) -> str:
        async def ask(*argv: str) -> str:
            return await connection.ask(argv[0], control_line(argv) or "")

        try:
            return (await self._anchor(ask, connection.session_id))[1]
        except TmuxError as error:
            return str(error)

    async def _anchor(self, run: Run, only: str) -> tuple[str, str]:
        """(session to attach to, why not); `only` that session when it is given."""
        lines = (await run("list-sessions", "-F", SESSIONS, ";", "list-clients", "-F", CLIENTS)).split("\n")
        sessions = [session for session in read_grounds(lines) if only in ("", session.session_id)]
        session_id, objection = choose_anchor(sessions, self._policy)
        if objection or self._policy == "on":
            return session_id, objection
        hook = hook_among((await run("show-hooks", "-g", ";", "show-hooks", "-t", session_id)).split("\n"))
        return session_id, f"the hook {hook} would run for us" if hook else ""

    def _wait(self, reason: str, pause: float) -> None:
        self._not_before = time.monotonic() + pause
        if reason != self._said and self._policy != "off":
            self._said = reason
            log.info("no control client, tmux is run for each call server=%r reason=%s", self.server, reason)

    def _new_delays(self) -> Iterator[float]:
        return full_jitter(BACKOFF_BASE, BACKOFF_CAP)

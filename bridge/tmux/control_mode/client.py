"""The same methods as client.Tmux, answered in half a millisecond instead of six.

    query ─► one plain line, and a connection? ─► ask ─► answer
                 │no                               │broken: a query may be repeated
                 └──────────► a process ◄──────────┘

There is one connection for one tmux server. It is opened when it is first useful, and only where
session_choice.py allows it. With the policy "auto" it waits at the gate of attachment.py until a
person has typed.

It is closed immediately when one of these happens:

- session_choice.py no longer allows it: a keeper task checks after every relevant notification,
  and every RECHECK seconds
- an answer is late
- tmux sends a line that is no control mode

Then processes take its place, and a new connection is tried after growing pauses. Every such change
is one log line.

A command with a body (stdin) or a control character always runs in a process. If the answer of
`run` or `run_guarded` is lost, no process repeats it: the change may be done. Its caller gets
ControlBroken, a TmuxError, and reads the pane's marks, as after any crash.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator
from typing import Callable

from bridge.backoff import full_jitter
from bridge.errors import ControlBroken, TmuxError
from bridge.tasks import stop_all, within
from bridge.tmux.control_mode.attachment import Attachment
from bridge.tmux.control_mode.connection import ControlConnection
from bridge.tmux.control_mode.session_choice import (
    CLIENTS,
    SESSIONS,
    Grounds,
    choose_anchor,
    hook_among,
    read_grounds,
)
from bridge.tmux.control_mode.wire import control_line
from bridge.tmux.server.client import Tmux

log = logging.getLogger("bridge.tmux")
TYPED_STEP = 2.0  # seconds between two checks whether a person has typed
# Seconds between two checks whether our client may stay attached, or may attach: options change
# without a notification.
RECHECK = 10.0
BACKOFF_BASE, BACKOFF_CAP = 1.0, 60.0  # seconds between two connections that broke
LINE_MAX = 16384  # characters of a line: a guarded sequence has 1500

Query = Callable[..., Awaitable[str]]


class ControlClient(Tmux):
    """One tmux server, through a control client where that is possible.

    Used inside one event loop; ends with `aclose`.
    """

    def __init__(
        self,
        socket_name: str | None = None,
        socket_path: str | None = None,
        deadline: float = 5.0,
        program: str = "tmux",
        policy: str = "auto",
    ) -> None:
        super().__init__(socket_name, socket_path, deadline, program)
        self._policy = policy
        self._connection: ControlConnection | None = None
        self._keeper: asyncio.Future[None] | None = None
        # The connection that waits at its gate.
        self._comer: tuple[ControlConnection, Attachment] | None = None
        self._is_opening = False
        self._not_before = 0.0  # monotonic seconds; no connection is tried earlier
        self._delays = self._new_delays()
        self._logged_reason = ""  # the last logged reason why there is no connection

    @property
    def is_connected(self) -> bool:
        return self._connection is not None and not self._connection.broken

    async def query(self, *argv: str) -> str:
        try:
            answer = await self._ask(argv)
        except ControlBroken:
            answer = None
        return await super().query(*argv) if answer is None else answer

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        answer = await self._ask(argv) if stdin is None else None
        return await super().run(*argv, stdin=stdin) if answer is None else answer

    async def run_guarded(self, *argv: str) -> str:
        answer = await self._ask(argv)
        return await super().run_guarded(*argv) if answer is None else answer

    async def _ask(self, argv: tuple[str, ...]) -> str | None:
        """The answer over the connection. None: the command needs a process."""
        line = control_line(argv)
        connection = await self._reach() if line is not None and len(line) <= LINE_MAX else None
        if connection is None or line is None:
            return None
        return await connection.ask(argv[0], line)

    async def aclose(self) -> None:
        """Leave the server. May be called more than once."""
        self._policy = "off"
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            await stop_all(keeper)
        await self._turn_away()

    async def _reach(self) -> ControlConnection | None:
        """The connection; None when there is none and none can be opened now."""
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

    async def _open(self) -> ControlConnection | None:
        if self._keeper is not None and not self._keeper.done():
            return None  # the previous connection is still closing
        anchor, objection = await self._anchor(super().query, "")
        if anchor is None:
            await self._turn_away()
            self._wait(objection, RECHECK)
            return None
        connection = await self._attach(anchor)
        if self._policy == "off":  # `aclose` was called meanwhile
            await self._turn_away()
            if connection is not None:
                await connection.aclose()
            return None
        if connection is not None:
            self._connection = connection
            self._keeper = asyncio.ensure_future(self._keep(connection))
            self._logged_reason = ""
            log.info("control client attached server=%r session=%s", self.server, anchor.session_id)
        return connection

    async def _attach(self, anchor: Grounds) -> ControlConnection | None:
        """None: our client waits at the gate until a person has typed. Raises ControlBroken."""
        session_id = anchor.session_id
        if self._policy == "on":
            return await ControlConnection.open(self._prefix, session_id, self._deadline)
        if self._comer is not None and (
            self._comer[0].broken or self._comer[0].session_id != session_id
        ):
            await self._turn_away()
        if self._comer is None:
            gate = Attachment(session_id)
            self._comer = (
                await ControlConnection.come(self._prefix, gate, session_id, self._deadline),
                gate,
            )
        connection, gate = self._comer
        objection = anchor.objection(self._policy, connection.came_at)
        if objection:
            self._wait(objection, TYPED_STEP)
            return None
        self._comer = None
        try:
            await super().run(*gate.open)
            await connection.confirm()
        except BaseException:
            await connection.aclose()
            raise
        return connection

    async def _turn_away(self) -> None:
        """Close the connection that waits at a gate."""
        comer, self._comer = self._comer, None
        if comer is None:
            return
        connection, gate = comer
        try:
            if not connection.broken:
                await super().run(*gate.close)
        except TmuxError as error:
            log.debug("the gate did not close reason=%s", error)
        finally:
            await connection.aclose()

    async def _keep(self, connection: ControlConnection) -> None:
        """Own the connection: close it when it may not stay, and clean up when it has broken."""
        since = time.monotonic()
        try:
            while not connection.broken:
                try:
                    await within(RECHECK, connection.news.wait())
                except asyncio.TimeoutError:
                    self._delays = self._new_delays()  # it works: start the backoff again
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
            return (await self._anchor(ask, connection.session_id, connection.came_at))[1]
        except TmuxError as error:
            return str(error)

    async def _anchor(
        self, query: Query, only: str, came_at: int = 0
    ) -> tuple[Grounds | None, str]:
        """(where to attach, or why not); only in the session `only`, if that is given."""
        lines = (
            await query("list-sessions", "-F", SESSIONS, ";", "list-clients", "-F", CLIENTS)
        ).split("\n")
        sessions = [session for session in read_grounds(lines) if only in ("", session.session_id)]
        anchor, objection = choose_anchor(sessions, self._policy, came_at)
        if anchor is None or self._policy == "on":
            return anchor, objection
        hooks = await query("show-hooks", "-g", ";", "show-hooks", "-t", anchor.session_id)
        hook = hook_among(hooks.split("\n"))
        return (None, f"the hook {hook} would run for us") if hook else (anchor, "")

    def _wait(self, reason: str, pause: float) -> None:
        self._not_before = time.monotonic() + pause
        if reason != self._logged_reason and self._policy != "off":
            self._logged_reason = reason
            log.info(
                "no control client, tmux is run for each call server=%r reason=%s",
                self.server,
                reason,
            )

    def _new_delays(self) -> Iterator[float]:
        return full_jitter(BACKOFF_BASE, BACKOFF_CAP)

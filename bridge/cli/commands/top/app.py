"""The tasks of `top`, and their owner.

    feed: follow, look, look_closer ─► changed ─► paint (at most once per `top_refresh`)
    keys, resizes ────────────────────────────► paint at once
    tick ─► changed, each second while something moves, else every ten seconds

The space key holds the picture: it then shows a copy of the model, and the other keys
still work.
"""

from __future__ import annotations

import asyncio
import copy
import signal
import sys
import time
from dataclasses import replace
from typing import Any

from bridge.cli.commands.top.detail import frame
from bridge.cli.commands.top.feed import Updates
from bridge.cli.commands.top.line import Paper
from bridge.cli.commands.top.model import Model
from bridge.cli.commands.top.screen import Screen
from bridge.cli.commands.top.ui import Rows, Ui, press
from bridge.client.broker import BrokerClient
from bridge.settings import TopSettings, WatcherSettings
from bridge.tasks import run_together

TICK, IDLE_TICK = 1.0, 10.0  # seconds; ages and charts move with time, unless they are empty
ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}  # 128 + the signal's number


class App:
    def __init__(
        self, client: BrokerClient, settings: TopSettings, stream: WatcherSettings, ui: Ui
    ) -> None:
        self._settings = settings
        self._ui = ui
        self._rows = Rows()
        self._model = Model(client.url, settings.top_tickets)
        self._held: tuple[Model, float] | None = None
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._status = 0
        self._error: BaseException | None = None
        self._feed = Updates(client, self._model, settings, stream, self._changed.set)

    async def run(self) -> int:
        """Run until `q`, a signal or the end of the terminal. Raises if there is no broker."""
        await self._feed.first_look()
        with Screen(self._settings.escape_delay) as screen:
            self._listen(screen)
            try:
                jobs = {
                    "follow": self._feed.follow(),
                    "look": self._feed.look(),
                    "closer": self._feed.look_closer(),
                }
                await run_together(
                    **jobs, tick=self._tick(), paint=self._paint_all(screen), over=self._wait_over()
                )
            finally:
                asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        if self._error is not None:
            raise self._error
        return self._status

    def _listen(self, screen: Screen) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._fail)
        loop.add_reader(sys.stdin.fileno(), self._on_keys, screen)
        # The handler of curses for SIGWINCH would not wake the event loop.
        for number in (signal.SIGWINCH, signal.SIGCONT):
            loop.add_signal_handler(number, self._on_resize, screen)
        for number, status in ENDS.items():
            loop.add_signal_handler(number, self._end, status)

    def _end(self, status: int) -> None:
        self._status = status
        self._over.set()

    def _fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep the exception of a callback. `run` raises it after the terminal is restored."""
        self._error = (
            self._error or context.get("exception") or RuntimeError(context.get("message"))
        )
        self._over.set()

    async def _wait_over(self) -> None:
        await self._over.wait()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK if self._model.is_moving(time.time()) else IDLE_TICK)
            self._changed.set()

    async def _paint_all(self, screen: Screen) -> None:
        while True:
            self._paint(screen)
            await asyncio.sleep(self._settings.top_refresh / 1000)
            await self._changed.wait()

    def _paint(self, screen: Screen) -> None:
        self._changed.clear()
        width, height = screen.size
        model, now = self._held or (self._model, time.time())
        picture = frame(
            model, self._ui, self._feed.detail, Paper(width, height, screen.charset, now)
        )
        self._rows, self._ui = picture.rows, replace(self._ui, scroll=picture.scroll)
        screen.paint(picture.lines)

    def _on_keys(self, screen: Screen) -> None:
        try:
            pressed = screen.keys()
        except EOFError:
            self._end(ENDS[signal.SIGHUP])
            return
        for key in pressed:
            self._ui = press(self._ui, key, self._rows)
        if self._ui.is_over:
            self._over.set()
        if pressed:
            self._hold()
            self._feed.show(self._ui)
            self._paint(screen)

    def _hold(self) -> None:
        if not self._ui.is_paused:
            self._held = None
        elif self._held is None:
            held = copy.copy(self._model)
            held.agents, held.tickets = dict(held.agents), held.tickets.copy()
            self._held = (held, time.time())

    def _on_resize(self, screen: Screen) -> None:
        screen.resize()
        self._paint(screen)

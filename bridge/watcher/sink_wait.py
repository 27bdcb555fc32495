"""Wait until the sink can take a ticket, and report the reason of a long wait.

    wait_ready ─► ready: health HEALTHY
        ├─ not ready for `explain_after`: health BUSY, the reason is noted and logged
        └─ pane lost: health LOST, try again after a pause with full jitter

Rule 1: a new reason is logged at once, a known one every EXPLAIN_EVERY seconds.
Rule 2: a lost pane is an error only with `exit_on_loss`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Callable

from bridge.errors import BridgeError, PaneLost, PaneUnfit, TmuxError
from bridge.settings import WatcherSettings
from bridge.tasks import stop_all
from bridge.watcher.delays import retry_delays
from bridge.watcher.inbox import Inbox, InboxItem
from bridge.watcher.report import BUSY, HEALTHY, LOST, Vitals
from bridge.watcher.sinks.base import Sink

log = logging.getLogger("bridge.watcher")
EXPLAIN_EVERY = 30.0  # seconds between two log lines with the same reason


class SinkWait:
    """The wait for one sink. `head` returns the ticket that is due, as Delivery sees it."""

    def __init__(
        self,
        inbox: Inbox,
        sink: Sink,
        head: Callable[[], InboxItem | None],
        vitals: Vitals,
        settings: WatcherSettings,
    ) -> None:
        self._inbox = inbox
        self._sink = sink
        self._head = head
        self._vitals = vitals
        self._settings = settings
        self._unfit = ""  # the last logged reason why a pane was not taken

    async def look(self) -> None:
        """Check the pane while there is nothing to deliver."""
        try:
            await self._sink.check()
            if self._vitals.health != HEALTHY:
                self._vitals.note(health=HEALTHY)
        except (PaneLost, TmuxError) as error:
            self._lose(error)

    async def wait_ready(self) -> None:
        """Wait for the sink. A lost pane is looked for with backoff."""
        delays = retry_delays(self._settings)
        while True:
            try:
                if await self._wait_and_explain():
                    self._vitals.go_on()
                self._vitals.note(health=HEALTHY)
                return
            except (PaneLost, TmuxError) as error:
                self._lose(error)
            await asyncio.sleep(next(delays))

    async def _wait_and_explain(self) -> bool:
        """Wait for the sink, and log the reason of a long wait (rule 1). True if one was logged."""
        waiting = asyncio.ensure_future(self._sink.wait_ready(self._inbox.held))
        clock, limit = asyncio.get_running_loop().time, self._settings.explain_after / 1000
        logged_at = float("-inf")
        try:
            while not (await asyncio.wait({waiting}, timeout=limit))[0]:
                reason = await self._sink.reason()
                if self._vitals.health == HEALTHY:
                    # No await before the reason is noted: one report carries both.
                    self._vitals.note(health=BUSY)
                if reason and (self._head_waits(reason) or clock() - logged_at > EXPLAIN_EVERY):
                    log.info(
                        "waiting for the pane session=%s pane=%s queued=%d reason=%s",
                        self._vitals.session,
                        self._vitals.pane,
                        len(self._inbox),
                        reason,
                    )
                    logged_at = clock()
            waiting.result()
            return logged_at > float("-inf")
        finally:
            await stop_all(waiting)

    def _head_waits(self, reason: str) -> bool:
        """Note the reason for the report. True when it is a new one."""
        head = self._head()
        return head is not None and self._vitals.wait(head.ticket.ticket_id, reason)

    def _lose(self, error: BridgeError) -> None:
        self._head_waits(str(error))
        is_new, is_unfit = self._vitals.health != LOST, isinstance(error, PaneUnfit)
        if is_new or is_unfit and str(error) != self._unfit:
            log.warning(
                "pane lost session=%s pane=%s reason=%s",
                self._vitals.session,
                self._vitals.pane,
                error,
            )
        self._unfit = str(error) if is_unfit else self._unfit
        if is_new:
            self._vitals.note(health=LOST, session_failure=True)
        if self._settings.exit_on_loss:
            raise error

"""Sends a file to a peer, piece by piece. Its memory is bounded like that of a stream.

    start ──► a piece ──► room for another? ──yes──► the next one, queued (loop_budget.py)
                               └──no──► when the peer has read: `drained`

The transport's buffer holds at most BRIDGE_SSE_OUTBOX bytes and a piece. A peer that reads nothing
is cut after the write deadline, like any other peer. So is one that only trickles: the next backup
waits for this one (write_progress.py).

The loop reads the pieces. 64 KiB take 16 µs from the kernel's page cache, where a file that was
just written mostly is, and 70 µs from a solid-state disk.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Callable

from bridge.broker.answers import Download
from bridge.broker.fronts.loop_budget import LoopBudget
from bridge.broker.fronts.write_progress import ReadRate

log = logging.getLogger("bridge.broker")

PIECE = 65536  # bytes


class FileSender:
    """One Download on one connection. `on_end` is called when all of it is written."""

    def __init__(
        self, download: Download, transport: asyncio.Transport, budget: LoopBudget,
        now: float, on_piece: Callable[[], None], on_end: Callable[[], None],
    ) -> None:  # fmt: skip
        self.is_full = False  # the transport's buffer
        self._download, self._left = download, download.size
        self._transport, self._budget = transport, budget
        self._on_piece, self._on_end = on_piece, on_end
        self._rate = ReadRate(now)
        self._is_closed = False

    def start(self, is_head: bool) -> None:
        """Begin, after the response head is written. The answer to HEAD has no body."""
        if is_head:
            self._left = 0
        self._go_on()

    def drained(self) -> None:
        """The buffer has room again."""
        self.is_full = False
        self._go_on()

    def is_too_slow(self, now: float, window: float) -> bool:
        """Return whether the peer only trickles. Ask while the buffer is full."""
        unread = self._left + self._transport.get_write_buffer_size()
        return self._rate.is_low(now, self._download.size - unread, window)

    def close(self) -> None:
        """The peer has all of it, or is gone."""
        if not self._is_closed:
            self._is_closed = True
            self._download.close()

    def _go_on(self) -> None:
        if self._left:
            self._budget.queue(self._step)
        elif not self._is_closed:
            self.close()
            self._on_end()

    def _step(self) -> None:
        if self._is_closed or self._transport.is_closing():
            return
        try:
            piece = self._download.read(min(PIECE, self._left))
            if not piece:
                raise OSError(f"the file ended {self._left} bytes early")
        except OSError as error:  # the head is sent: only a cut can still report the failure
            log.error("download failed error=%s", error)
            self._transport.abort()
            return
        self._left -= len(piece)
        self._transport.write(piece)
        self._on_piece()
        if not self.is_full:
            self._go_on()

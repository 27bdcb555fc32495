"""`--print`: the ticket as one line of JSON on standard output, written before it is acknowledged.

A thread writes, so that a slow reader of the pipe does not delay the renewal of leases. It is
a daemon thread, and writes directly to the file descriptor. A pipe without a reader must not
delay the end of the process, neither by a join nor by the lock of sys.stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import time
from collections.abc import Iterable
from typing import Callable, NamedTuple, TextIO

from bridge.fifo_semaphore import FifoSemaphore
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339


class _Line(NamedTuple):
    data: bytes
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[None]


class PrintSink:
    """Always ready. One sink may serve many agents.

    Lines are ASCII only, so that no terminal and no locale can garble them.
    """

    session = ""
    pane = "print"

    def __init__(self, out: TextIO) -> None:
        self._descriptor = out.fileno()
        self._lines: queue.SimpleQueue[_Line] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """Always ready: at a full pipe the write waits."""

    async def deliver(self, ticket: Ticket, time_left: Callable[[], float]) -> dict[str, object]:
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._write_all, name="bridge-print", daemon=True
            )
            self._thread.start()
        loop = asyncio.get_running_loop()
        line = _Line(json.dumps(ticket.to_json()).encode() + b"\n", loop, loop.create_future())
        self._lines.put(line)
        await line.written
        return {"form": "print", "submittedAt": rfc3339(int(time.time() * 1000)), "verified": True}

    def owes(self, ticket_id: str) -> bool:
        return False

    def turn(self) -> FifoSemaphore:
        return FifoSemaphore(1)  # shared with no other agent

    async def leave(self) -> None:
        """Nothing is reserved."""

    async def check(self) -> None:
        """Nothing can be lost."""

    async def reason(self) -> str:
        return ""

    def _write_all(self) -> None:
        """The thread's main loop."""
        while True:
            line = self._lines.get()
            if line.written.cancelled():
                continue  # the delivery was stopped before the write: the ticket stays pending
            error = self._write(line.data)
            try:
                line.loop.call_soon_threadsafe(_settle, line.written, error)
            except RuntimeError:
                return  # the loop is closed: the process ends

    def _write(self, data: bytes) -> OSError | None:
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError as error:
            return error
        return None


def _settle(written: asyncio.Future[None], error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)

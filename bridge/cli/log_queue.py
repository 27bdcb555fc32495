"""Log through a queue and a thread, so that a blocked stderr cannot stall the event loop.

A terminal that is paused with Ctrl-S, or a pipe without a reader, takes 64 KiB; the next
write blocks. When the queue is full, lines are dropped and counted. The thread writes to
the file descriptor itself: it may still be blocked there when the interpreter exits, and
must not hold the lock of sys.stderr then.
"""

from __future__ import annotations

import logging
import os
import queue
import threading

LINES_MAX = 2000  # lines in the queue: some hundred kilobytes
LAST_WORDS = 1.0  # seconds; how long the end of the process waits for queued lines


class PatientHandler(logging.Handler):
    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(LINES_MAX)
        self._lost = 0
        self._thread = threading.Thread(target=self._write_all, name="bridge-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._lost += 1

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            if line is not None:
                self._write(line)
            if self._lost and (line is None or self._lines.empty()):
                self._write_lost()
            if line is None:
                return

    def _write_lost(self) -> None:
        lost, self._lost = self._lost, 0
        self._write(
            self.format(
                logging.LogRecord(
                    "bridge",
                    logging.WARNING,
                    __file__,
                    0,
                    "log lines lost, stderr was blocked count=%d",
                    (lost,),
                    None,
                )
            )
        )

    def _write(self, line: str) -> None:
        data = (line + "\n").encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._lost += 1  # stderr is closed, so there is no place to report it

    def close(self) -> None:
        """Write the queued lines, for at most LAST_WORDS. Called by logging at the process' end."""
        try:
            self._lines.put_nowait(None)
            self._thread.join(LAST_WORDS)
        except queue.Full:
            self._lost += 1  # blocked: waiting would not help
        super().close()

"""Log lines that wait for nobody: a thread writes them, and a full queue drops them and counts.

A terminal that somebody paused with Ctrl-S, or a pipe that nobody reads, takes
64 KiB and then blocks whoever writes; that must not be the loop that delivers
tickets. The thread writes to the descriptor itself: at the interpreter's end it
may still be blocked there, and must not hold the lock of sys.stderr then.
"""

from __future__ import annotations

import logging
import os
import queue
import threading

LINES_MAX = 2000  # that may wait: some hundred kilobytes
LAST_WORDS = 1.0  # seconds that the end of the process waits for what is still to be written


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
                self._tell_lost()
            if line is None:
                return

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, 0
        self._write(
            self.format(
                logging.LogRecord(
                    "bridge",
                    logging.WARNING,
                    __file__,
                    0,
                    "log lines lost, nobody read them count=%d",
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
            self._lost += 1  # nobody is there to be told

    def close(self) -> None:
        """Write what waits, for a moment; called by logging at the process' end."""
        try:
            self._lines.put_nowait(None)
            self._thread.join(LAST_WORDS)
        except queue.Full:
            self._lost += 1  # blocked: there is nobody to wait for
        super().close()

"""Has a program written to this terminal? From inotify(7) on Linux, without polling.

Every write(2) of a program to its terminal is an IN_MODIFY of /dev/pts/N. Our own typing is not,
because tmux writes to the other side. So a caller that waits for a pane looks once, and then only
after the program has written something. This needs no tmux command and no client that a person
could notice, and works in any session, attached or not.

    arm(tty) ─► look ─► not ready ─► wait_stir(armed) ─► look again

Arm BEFORE the look: a write after the beginning of the look then wakes us. Each watch fires once
(IN_ONESHOT). So a program that floods its screen costs one event for each look, and the look
decides how soon the next one follows.

Where there is no inotify (macOS, some sandboxes) `arm` returns None and the caller polls.
BRIDGE_TEST_NO_INOTIFY=1 switches inotify off, for tests. It is read once.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import struct
from typing import Optional

log = logging.getLogger("bridge.tmux")
IN_MODIFY, IN_ONESHOT, IN_Q_OVERFLOW = 0x2, 0x80000000, 0x4000
_EVENT = struct.Struct("iIII")  # wd, mask, cookie, length of the following name
HAS_INOTIFY = not os.environ.get("BRIDGE_TEST_NO_INOTIFY")
_READ = 65536  # bytes of events at a time; one event has 16

Armed = Optional["asyncio.Future[None]"]


class TtyEvents:
    """One inotify instance for any number of terminals, in one event loop; ends with `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._libc: ctypes.CDLL | None = None
        self._descriptor = -1
        # Watch descriptor -> a future that is done when the watch fires; one for each terminal.
        self._armed: dict[int, asyncio.Future[None]] = {}

    def arm(self, tty: str) -> Armed:
        """A future that is done after the next write of a program to `tty`; None: not known."""
        if not self._open() or self._libc is None or self._loop is None:
            return None
        watch = self._libc.inotify_add_watch(
            self._descriptor, os.fsencode(tty), ctypes.c_uint32(IN_MODIFY | IN_ONESHOT)
        )
        if watch < 0:
            return None
        armed = self._armed.get(watch)
        if armed is None or armed.done():
            armed = self._armed[watch] = self._loop.create_future()
        return armed

    def has_stirred(self, armed: asyncio.Future[None]) -> bool:
        """Has it fired by now? Pending inotify events are read first."""
        self._read_events()
        return armed.done()

    async def wait_stir(self, armed: Armed, tty: str, timeout: float, quiet: float) -> bool:
        """Wait until it fires, then until nothing is written for `quiet` seconds.

        It waits `timeout` seconds at most, in all. False: nothing was written. The pause lets tmux
        draw what was written, and joins the pieces of a program that writes in several steps.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        if not await _is_done(armed, timeout):
            return False
        while clock() < deadline:
            again = self.arm(tty)
            # A fixed pause, not until it fires: a flood of writes would keep us busy.
            await asyncio.sleep(min(quiet, max(0.0, deadline - clock())))
            if again is None or not again.done():
                break
        return True

    def close(self) -> None:
        if self._loop is not None and self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
        self._descriptor, self._armed = -1, {}

    def _open(self) -> bool:
        """Open inotify on first use, inside the loop. Tried once."""
        if self._loop is not None:
            return self._descriptor >= 0
        self._loop = asyncio.get_running_loop()
        if not HAS_INOTIFY:
            return False
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, AttributeError):  # no such library, no such function
            self._descriptor = -1
        if self._descriptor < 0:
            log.debug("no inotify here: panes are polled")
            return False
        self._loop.add_reader(self._descriptor, self._read_events)
        return True

    def _read_events(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        offset = 0
        while offset + _EVENT.size <= len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, offset)
            offset += _EVENT.size + length
            fired = list(self._armed) if mask & IN_Q_OVERFLOW else [watch]
            for each in fired:
                armed = self._armed.pop(each, None)
                if armed is not None and not armed.done():
                    armed.set_result(None)


async def _is_done(armed: Armed, timeout: float) -> bool:
    """Has it fired within `timeout`? Without a watch, wait that long and return False."""
    if armed is None or timeout <= 0:
        await asyncio.sleep(max(0.0, timeout))
        return False
    return bool((await asyncio.wait({armed}, timeout=timeout))[0])

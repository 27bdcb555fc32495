"""The protocol between a service and its service manager: sd_notify(3) and sd_listen_fds(3).

    manager ─► us   $LISTEN_FDS, $LISTEN_PID, $LISTEN_FDNAMES: listening sockets, from descriptor 3
                    $NOTIFY_SOCKET: where to report; $WATCHDOG_USEC: the longest silence allowed
    us ─► manager   READY=1, WATCHDOG=1, STOPPING=1, STATUS=text: one datagram each time

Rule 1: without these variables every call here does nothing, so callers need not check for a
manager.
Rule 2: the variables are taken out of the environment: a program that bridge starts is not a
service of that manager.
Rule 3: only the event loop feeds the watchdog. If the loop hangs, or if the service is not well,
the feeding stops and the manager can restart the service.
Rule 4: a manager that does not listen never stops the service. It is logged once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import MutableMapping
from contextlib import ExitStack
from typing import Callable

from bridge.errors import UsageError

log = logging.getLogger("bridge.systemd")

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
# Sockets; no broker needs more. A mistyped number must not make us look at a million descriptors.
PASSED_MAX = 64
WATCHDOG_MAX = (1 << 64) - 1  # microseconds, as sd_watchdog_enabled(3) has them
FED_PER_PERIOD = 2  # sd_watchdog_enabled(3): notify at half of the time
PATIENCE = 1.0  # seconds that a datagram may wait for room in the manager's queue


class ServiceManager:
    """The manager that started this process. Feeding its watchdog needs a running loop."""

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._interval = watchdog / FED_PER_PERIOD
        self._is_deaf = False
        self._is_well: Callable[[], bool] = lambda: True

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> ServiceManager:
        """Take the variables out of `environ`. Raises UsageError when they make no sense."""
        address, usec, pid = (
            environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        if address and address[0] not in "/@":
            raise UsageError(
                f"NOTIFY_SOCKET is {address!r}; "
                "it must be a path, or @ and an abstract name (sd_notify(3))"
            )
        is_ours = address and usec and pid in ("", str(os.getpid()))
        return cls(
            address, _whole_number("WATCHDOG_USEC", usec, WATCHDOG_MAX) / 1e6 if is_ours else 0.0
        )

    def ready(self, status: str, is_well: Callable[[], bool] = lambda: True) -> None:
        """Report that the service works. Feed the watchdog while the loop runs and `is_well`."""
        self._is_well = is_well
        self._notify("READY=1", _status(status))
        if self._interval:
            self._feed()

    def stopping(self) -> None:
        self._notify("STOPPING=1", _status("stopping"))

    def _feed(self) -> None:
        if self._is_well():
            self._notify("WATCHDOG=1")
        asyncio.get_running_loop().call_later(self._interval, self._feed)

    def _notify(self, *variables: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                line.settimeout(PATIENCE)
                line.sendto("\n".join(variables).encode(), self._address)
        except OSError as error:
            if not self._is_deaf:
                log.warning("cannot notify the service manager error=%s", error)
            self._is_deaf = True


def take_listeners(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening TCP sockets that were passed to this process.

    Raises UsageError if another kind of descriptor was passed.
    """
    count, pid, names = (
        environ.pop(name, "") for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
    )
    if not count or pid != str(os.getpid()):
        # sd_listen_fds(3): the sockets were for another process; we inherited the variables only.
        return []
    passed = _whole_number("LISTEN_FDS", count, PASSED_MAX)
    named = names.split(":") + [""] * passed
    with ExitStack() as opened:
        listeners = [
            opened.enter_context(_listener(FIRST_DESCRIPTOR + number, named[number]))
            for number in range(passed)
        ]
        opened.pop_all()  # all of them are valid, and belong to the caller now
    return listeners


def _listener(descriptor: int, name: str) -> socket.socket:
    where = f"descriptor {descriptor}" + (f" ({name})" if name else "")
    try:
        os.set_inheritable(descriptor, False)
        passed = socket.socket(fileno=descriptor)
    except OSError as error:
        raise UsageError(
            f"LISTEN_FDS passes {where}, which is no socket: {error.strerror}"
        ) from None
    wrong = _unfit(passed)
    if wrong:
        passed.close()
        raise UsageError(
            f"LISTEN_FDS passes {where}, which is {wrong}; "
            "a broker needs listening TCP sockets, as ListenStream=127.0.0.1:5050 makes them"
        )
    return passed


def _unfit(passed: socket.socket) -> str | None:
    """Why a broker cannot listen on this socket, in words; None if it can."""
    if passed.family not in (socket.AF_INET, socket.AF_INET6):
        return "a Unix socket" if passed.family == socket.AF_UNIX else "no internet socket"
    if passed.type != socket.SOCK_STREAM:
        return "no stream socket"
    if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "not listening (Accept=yes in the socket unit?)"
    return None


def _whole_number(variable: str, text: str, high: int) -> int:
    if not (
        text.isascii() and text.isdigit() and len(text) <= len(str(high)) and int(text) <= high
    ):
        raise UsageError(
            f"{variable} is {text!r}; "
            f"a service manager sets it to a whole number, here up to {high}"
        )
    return int(text)


def _status(words: str) -> str:
    # A line end would begin a new assignment.
    return "STATUS=" + " ".join(words.split())

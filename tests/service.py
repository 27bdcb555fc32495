"""A service manager, played for real: a datagram socket that listens, and sockets that are passed through exec(2)."""

from __future__ import annotations

import socket
import sys

from raw_http import PATIENCE
from running import Broker, package_launcher

# What systemd does between fork and exec: the sockets go to 3, 4, ..., and the process learns that they are its own.
ACTIVATE = """
import fcntl, os, sys
passed = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in sys.argv[1].split(",") if number]
for number, copy in enumerate(passed, 3):
    os.dup2(copy, number, inheritable=True)
    os.close(copy)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """NOTIFY_SOCKET's other end; `said` holds every datagram so far."""

    def __init__(self, address: str) -> None:
        self.address, self.said = address, []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE)

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_) -> None:
        self._socket.close()

    def hear(self) -> list[str]:
        """The next datagram's lines."""
        self.said.append(self._socket.recv(4096).decode())
        return self.said[-1].split("\n")

    def hear_until(self, line: str) -> list[str]:
        lines = self.hear()
        while line not in lines:
            lines = self.hear()
        return lines

    def hears_within(self, seconds: float) -> bool:
        """Wait so long for a datagram."""
        self._socket.settimeout(seconds)
        try:
            return bool(self.hear())
        except (BlockingIOError, socket.timeout):
            return False
        finally:
            self._socket.settimeout(PATIENCE)

    def hear_all(self) -> None:
        """What is there now."""
        while self.hears_within(0.0):
            pass


def listener(
    address=("127.0.0.1", 0), family=socket.AF_INET, kind=socket.SOCK_STREAM, backlog=4096
) -> socket.socket:
    """What a socket unit makes; with backlog 0 it does not listen."""
    opened = socket.socket(family, kind)
    opened.bind(address)
    if backlog:
        opened.listen(backlog)
    return opened


class ActivatedBroker(Broker):
    """A broker that is given `passed`, as its socket unit would."""

    def __init__(self, db, passed, **settings) -> None:
        numbers = ",".join(str(each.fileno()) for each in passed)
        super().__init__(
            [sys.executable, "-c", ACTIVATE, numbers, *package_launcher()],
            db,
            **{"LISTEN_FDS": len(passed), **settings},
        )
        self.pass_fds = tuple(each.fileno() for each in passed)

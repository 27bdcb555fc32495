"""A fake service manager: a socket for sd_notify(3), and sockets passed through exec(2)."""

from __future__ import annotations

import socket
import sys

from raw_http import PATIENCE
from running import Broker, package_launcher

# What systemd does between fork and exec: it moves the sockets to descriptors 3, 4, ... and sets
# LISTEN_PID to the id of the new process (sd_listen_fds(3)).
ACTIVATE = """
import fcntl, os, sys
numbers = [int(number) for number in sys.argv[1].split(",") if number]
passed = [fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in numbers]
for number, copy in enumerate(passed, 3):
    os.dup2(copy, number, inheritable=True)
    os.close(copy)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """The receiving end of NOTIFY_SOCKET. `said` holds every datagram so far."""

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
        """Receive the next datagram; return its lines."""
        self.said.append(self._socket.recv(4096).decode())
        return self.said[-1].split("\n")

    def hear_until(self, line: str) -> list[str]:
        lines = self.hear()
        while line not in lines:
            lines = self.hear()
        return lines

    def hears_within(self, seconds: float) -> bool:
        """True if a datagram arrives within `seconds`."""
        self._socket.settimeout(seconds)
        try:
            return bool(self.hear())
        except (BlockingIOError, socket.timeout):
            return False
        finally:
            self._socket.settimeout(PATIENCE)

    def hear_all(self) -> None:
        """Receive the datagrams that are queued now."""
        while self.hears_within(0.0):
            pass


def listener(
    address=("127.0.0.1", 0), family=socket.AF_INET, kind=socket.SOCK_STREAM, backlog=4096
) -> socket.socket:
    """A socket as a socket unit creates it. With `backlog=0` it does not listen."""
    opened = socket.socket(family, kind)
    opened.bind(address)
    if backlog:
        opened.listen(backlog)
    return opened


class ActivatedBroker(Broker):
    """A broker that inherits the sockets `passed`, as from its socket unit."""

    def __init__(self, db, passed, **settings) -> None:
        numbers = ",".join(str(each.fileno()) for each in passed)
        super().__init__(
            [sys.executable, "-c", ACTIVATE, numbers, *package_launcher()],
            db,
            **{"LISTEN_FDS": len(passed), **settings},
        )
        self.pass_fds = tuple(each.fileno() for each in passed)


def refusal(broker: Broker) -> str:
    """The single line that a broker writes when it refuses to start."""
    broker.spawn()
    assert broker.wait() == 2, broker.said()
    assert len(broker.stderr) == 1 and broker.said().startswith("bridge: "), broker.said()
    return broker.said()

"""Where the broker listens: at the address of its settings, or on sockets that a service manager passed.

A passed socket outlives us: the manager keeps it, connections that nobody has
accepted wait in it, and the next broker serves them. So we close our end and
never shut the socket down, which would end it for the manager too.

asyncio.start_server accepts; its callback hands each transport on at once.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Callable

from bridge.errors import UsageError
from bridge.settings import BrokerSettings
from bridge.tasks import stop_accepting

log = logging.getLogger("bridge.broker")
ACCEPT_BACKLOG = 4096  # connections that may wait in the kernel: a herd of watchers after a restart
# Of them in one turn of the loop. They are counted some turns later; until then each has a
# descriptor that server.py keeps free for it.
ACCEPTS_PER_TURN = 16
WILDCARDS = {
    "0.0.0.0": "127.0.0.1",
    "::": "[::1]",
    "": "127.0.0.1",
}  # how to reach who listens everywhere

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Listening:
    """From `open` to `close`; `settings` name the real addresses, also where the sockets were passed."""

    def __init__(self, settings: BrokerSettings, passed: Sequence[socket.socket]) -> None:
        # One that listens everywhere comes first: its address says by which names the broker may be called.
        self._passed = sorted(passed, key=lambda each: each.getsockname()[0] not in WILDCARDS)
        self._servers: list[asyncio.base_events.Server] = []
        self.settings = _named_after(self._passed, settings) if passed else settings

    async def open(self, accept: Accept) -> str:
        """Listen; return the URL. Raises UsageError when the address cannot be bound."""
        host, port = self.settings.host, self.settings.port
        ways: list[dict[str, Any]] = [{"sock": each} for each in self._passed] or [
            {"host": host, "port": port}
        ]
        try:
            self._servers = [
                await asyncio.start_server(accept, backlog=ACCEPTS_PER_TURN, **way) for way in ways
            ]
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"cannot listen on {host} port {port}: {reason}; give another --host or --port"
            ) from None
        for listener in self._sockets():
            _deepen_backlog(listener)
            address = listener.getsockname()[0]
            if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
                log.warning(
                    "listening beyond this machine, and there is no authentication: whoever reaches this address can send address=%s",
                    address,
                )
        port = self._sockets()[0].getsockname()[1]
        host = WILDCARDS.get(host, host)
        return (
            f"http://[{host}]:{port}"
            if ":" in host and not host.startswith("[")
            else f"http://{host}:{port}"
        )

    async def close(self) -> None:
        """Accept no more. What has been accepted is with its callback when this returns."""
        await stop_accepting(*self._servers)

    def _sockets(self) -> list[Any]:
        return [listener for server in self._servers for listener in server.sockets]


def _named_after(passed: Sequence[socket.socket], settings: BrokerSettings) -> BrokerSettings:
    """The first one gives host and port; the broker goes by the others' addresses too (guard.py)."""
    addresses = [each.getsockname()[:2] for each in passed]
    names = ",".join([settings.allowed_hosts, *(host for host, _ in addresses)])
    return replace(settings, host=addresses[0][0], port=addresses[0][1], allowed_hosts=names)


def _deepen_backlog(listener: Any) -> None:
    """asyncio's one number is both the kernel's backlog and the accepts of one turn; the first should be large, the second small."""
    with socket.socket(fileno=os.dup(listener.fileno())) as same:
        same.listen(ACCEPT_BACKLOG)

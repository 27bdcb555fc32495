"""Where the broker listens: its configured address, or sockets that a service manager passed.

A passed socket outlives this process. The manager keeps it, connections that
are not yet accepted wait in it, and the next broker serves them. So the broker
closes its descriptor and never calls shutdown(2), which would end the socket
for the manager too.

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
# Connections that may wait in the kernel: after a restart all watchers connect at once.
ACCEPT_BACKLOG = 4096
# Connections that one turn of the loop accepts. The broker counts them some turns later; until
# then each uses one of the descriptors that server.py reserves.
ACCEPTS_PER_TURN = 16
# A wildcard address, and the address at which this machine can reach it.
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Listener:
    """Listens from `open` to `close`. `settings` holds the real address, of passed sockets too."""

    def __init__(self, settings: BrokerSettings, passed: Sequence[socket.socket]) -> None:
        # A wildcard address comes first: it decides under which names the broker may be called.
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
        for accepting in self._sockets():
            _deepen_backlog(accepting)
            address = accepting.getsockname()[0]
            if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
                log.warning(
                    "listening beyond this machine without authentication: "
                    "every host that reaches this address can send address=%s",
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
        """Stop accepting. When this returns, each accepted connection has reached its callback."""
        await stop_accepting(*self._servers)

    def _sockets(self) -> list[Any]:
        return [accepting for server in self._servers for accepting in server.sockets]


def _named_after(passed: Sequence[socket.socket], settings: BrokerSettings) -> BrokerSettings:
    """Host and port of the first socket. The addresses of all are allowed names."""
    addresses = [each.getsockname()[:2] for each in passed]
    names = ",".join([settings.allowed_hosts, *(host for host, _ in addresses)])
    return replace(settings, host=addresses[0][0], port=addresses[0][1], allowed_hosts=names)


def _deepen_backlog(accepting: Any) -> None:
    """Give the kernel a larger backlog than asyncio does.

    asyncio uses one number for the kernel's backlog, which should be large, and for the accepts
    of one turn, which should be few.
    """
    with socket.socket(fileno=os.dup(accepting.fileno())) as same:
        same.listen(ACCEPT_BACKLOG)

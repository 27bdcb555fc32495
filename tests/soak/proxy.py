"""A TCP proxy with the faults of real networks, drawn from a seed.

    watcher, publisher ─► Proxy ─► broker

Each connection draws one fault when it is accepted, and the number of bytes after which the fault
strikes. `heal` closes all connections with a fault and passes everything on from then. The proxy
runs its own event loop in a thread.

    none        all bytes pass
    slow        each slice is delayed
    refuse      RST at once
    mute        accepted, but no byte ever passes
    truncate    a clean end after N bytes of the answer
    reset       RST after N bytes, in either direction
    drop        N bytes pass, then silence without an error
    deaf        the request passes, its answer never does
    hoard       a buffering proxy: the answer passes only when it is complete
"""

from __future__ import annotations

import asyncio
import collections
import random
import socket
import struct
import threading

from bridge.tasks import stop_accepting

# Weights among the connections that have a fault.
FAULTS = {
    "slow": 12,
    "refuse": 6,
    "truncate": 6,
    "reset": 8,
    "drop": 6,
    "mute": 4,
    "deaf": 4,
    "hoard": 4,
}
SICKNESS = (0.05, 0.2, 0.5, 0.8)  # share of connections that have a fault; a run uses one of these
# Bytes after which a fault strikes: within heads, bodies and events.
LIMITS = (0, 1, 17, 90, 300, 700, 1500, 4000)
SLICE = 65536
RST = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() resets (tcp(7))


class Proxy:
    """Listens on `port`; connects each accepted connection to the port `target` of that moment."""

    def __init__(self, seed: object) -> None:
        self.target = 0
        self.port = 0
        self.counts: collections.Counter[str] = collections.Counter()
        self._random = random.Random(f"proxy {seed}")
        self._sickness = self._random.choice(SICKNESS)
        self._tasks: dict[asyncio.Task, str] = {}
        self._loop = asyncio.new_event_loop()
        # With -X dev the loop would otherwise warn about slow callbacks on a busy machine.
        self._loop.slow_callback_duration = 60.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Proxy:
        ready = threading.Event()
        self._loop.call_soon(lambda: self._loop.create_task(self._listen(ready)))
        self._thread.start()
        assert ready.wait(10), "the proxy did not start"
        return self

    def heal(self) -> None:
        """Draw no faults from now on, and close all connections that have one."""
        self._loop.call_soon_threadsafe(self._heal)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _listen(self, ready: threading.Event) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        ready.set()

    def _heal(self) -> None:
        self._sickness = 0.0
        for task, fault in self._tasks.items():
            if fault not in ("none", "slow"):
                task.cancel()

    async def _stop(self) -> None:
        await stop_accepting(self._server)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_sick = self._random.random() < self._sickness
        fault = self._random.choices(list(FAULTS), list(FAULTS.values()))[0] if is_sick else "none"
        limit = self._random.choice(LIMITS)
        self.counts[fault] += 1
        task = asyncio.current_task()
        self._tasks[task] = fault
        try:
            await self._suffer(fault, limit, reader, writer)
        except (OSError, Strike):
            reset(writer)
        except asyncio.CancelledError:
            reset(writer)  # not raised again, because start_server's callback would print it
        finally:
            del self._tasks[task]
            writer.close()

    async def _suffer(
        self, fault: str, limit: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if fault == "refuse":
            raise Strike
        if fault == "mute":
            await asyncio.sleep(3600)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        strike_up = fault in ("reset", "drop") and self._random.random() < 0.5
        try:
            up = self._pass(
                reader, up_writer, fault if strike_up or fault == "slow" else "none", limit
            )
            down = self._pass(
                up_reader, writer, "none" if strike_up else fault, 0 if fault == "deaf" else limit
            )
            await both(up, down)
        finally:
            up_writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: str, limit: int
    ) -> None:
        """Pass bytes on until their end, or until the fault strikes."""
        passed, hoard = 0, b""
        while True:
            data = await reader.read(SLICE)
            if fault == "hoard":
                hoard += data
                if data:
                    continue
                data = hoard
            if fault == "slow":
                await asyncio.sleep(self._random.uniform(0.0, 0.4))
            if fault in ("truncate", "reset", "drop", "deaf") and passed + len(data) > limit:
                writer.write(data[: limit - passed])
                await writer.drain()
                await strike(fault, writer)
            writer.write(data)
            await writer.drain()
            passed += len(data)
            if not data or reader.at_eof():
                writer.write_eof()
                return


class Strike(Exception):
    """Reset the connection now."""


async def strike(fault: str, writer: asyncio.StreamWriter) -> None:
    if fault == "reset":
        raise Strike
    if fault == "truncate":
        writer.write_eof()
    await asyncio.sleep(3600)  # silence until the other side times out or `heal` closes it


async def both(*passes) -> None:
    """Run both directions; an error in one ends the other, too."""
    tasks = [asyncio.ensure_future(each) for each in passes]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
    writer.transport.abort()

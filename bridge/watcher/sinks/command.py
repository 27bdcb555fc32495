"""`--exec CMD`: the ticket as JSON on the stdin of a shell command; taken when it exits 0.

The command runs in its own session. Ctrl-C on the watcher does not reach it, so the current
ticket is finished. At the timeout, the command and its children are killed together.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Callable

from bridge.errors import DeliveryFailed
from bridge.fifo_semaphore import FifoSemaphore
from bridge.tasks import within
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339

PIPE_ENDS = 1.0  # seconds; a process that left the command's session may hold the pipe open


class CommandSink:
    """Runs the command once per ticket."""

    session = ""
    pane = "exec"

    def __init__(self, command: str, timeout: float) -> None:
        self._command = command
        self._timeout = timeout

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """Always ready: each ticket starts the command anew."""

    async def deliver(self, ticket: Ticket, time_left: Callable[[], float]) -> dict[str, object]:
        child = await self._start(ticket)
        try:
            await within(
                self._timeout, child.communicate(json.dumps(ticket.to_json()).encode() + b"\n")
            )
        except asyncio.TimeoutError:
            raise DeliveryFailed(
                f"`{self._command}` did not end within {self._timeout:g} s and was killed"
            ) from None
        finally:
            if child.returncode is None:
                await kill_group(child)
            await end_stdin(child)
        if child.returncode != 0:
            raise DeliveryFailed(
                f"`{self._command}` ended with {describe_end(child.returncode or 0)}"
            )
        return {"form": "exec", "submittedAt": rfc3339(int(time.time() * 1000)), "verified": True}

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

    async def _start(self, ticket: Ticket) -> asyncio.subprocess.Process:
        # A value in an environment cannot contain NUL.
        ticket_id = ticket.ticket_id.replace("\0", "")
        environment = {**os.environ, "BRIDGE_TICKET_ID": ticket_id}
        try:
            return await asyncio.create_subprocess_shell(
                self._command,
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
                env=environment,
            )
        except OSError as error:
            raise DeliveryFailed(f"`{self._command}` could not be started: {error}") from None


async def kill_group(child: asyncio.subprocess.Process) -> None:
    """Kill the command and its children, and reap it."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended just before
    await child.wait()


async def end_stdin(child: asyncio.subprocess.Process) -> None:
    """Close the command's stdin. A command need not read its ticket.

    Before Python 3.11 asyncio logs a broken pipe here, although it has no caller to report it to.
    """
    assert child.stdin is not None
    child.stdin.close()
    with suppress(OSError, asyncio.TimeoutError):
        await within(PIPE_ENDS, child.stdin.wait_closed())


def describe_end(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

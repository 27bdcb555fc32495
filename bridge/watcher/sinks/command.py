"""`--exec CMD`: the ticket as JSON on the stdin of a shell command; taken when it exits 0.

The command runs in a session of its own: Ctrl-C on the watcher does not reach
it, so that a ticket under way is finished, and what it leaves running when its
time is up is killed with it.
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
from bridge.tasks import within
from bridge.ticket import Ticket
from bridge.timestamp import rfc3339
from bridge.turns import Turns

PIPE_ENDS = 1.0  # seconds; what has left the command's session may hold the pipe open


class CommandSink:
    """Runs the command once per ticket."""

    session = ""
    pane = "exec"

    def __init__(self, command: str, timeout: float) -> None:
        self._command = command
        self._timeout = timeout

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """Nothing to wait for: the command is started per ticket."""

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

    def turn(self) -> Turns:
        return Turns(1)  # shared with no other agent

    async def leave(self) -> None:
        """Nothing was taken."""

    async def check(self) -> None:
        """Nothing that could be lost."""

    async def reason(self) -> str:
        return ""

    async def _start(self, ticket: Ticket) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "BRIDGE_TICKET_ID": ticket.ticket_id.replace("\0", ""),
        }  # an environment holds no NUL
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
    """End the command and all that it started, and take note of its end."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this very moment
    await child.wait()


async def end_stdin(child: asyncio.subprocess.Process) -> None:
    """A command need not read its ticket. Before Python 3.11 asyncio logs a broken pipe that it was not asked for."""
    assert child.stdin is not None
    child.stdin.close()
    with suppress(OSError, asyncio.TimeoutError):
        await within(PIPE_ENDS, child.stdin.wait_closed())


def describe_end(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"

"""`--print`: the ticket as one line of JSON on standard output, flushed before it is acknowledged."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Callable, Iterable, TextIO

from bridge.ticket import Ticket
from bridge.turns import Turns
from bridge.timestamp import rfc3339


class PrintSink:
    """Always ready. ASCII only, so that no terminal and no locale can spoil a line."""

    session = ""
    pane = "print"

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._turn = threading.Lock()  # one sink may serve many agents

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        """A full pipe makes the write wait, not this."""

    async def deliver(self, ticket: Ticket, is_ours: Callable[[], bool]) -> dict[str, object]:
        # In a thread: whoever reads the pipe may be slow, and leases must be renewed meanwhile.
        await asyncio.get_running_loop().run_in_executor(None, self._write, json.dumps(ticket.to_json()) + "\n")
        return {"form": "print", "submittedAt": rfc3339(int(time.time() * 1000)), "verified": True}

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

    def _write(self, line: str) -> None:
        with self._turn:
            self._out.write(line)
            self._out.flush()

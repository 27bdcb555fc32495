"""Two streams in one order: a ticket's own line first, its stages after it.

    the line was printed, or the ticket is older than this command
                                 -> print a stage at once
    stage "accepted", and the line was not printed yet
                                 -> hold it, and the stages that follow
    the ticket's line comes      -> print it, then the held stages without "accepted"
    the line does not come in time (the broker does not replay a ticket that was
    acknowledged meanwhile)      -> print the held stages, "accepted" too

A line to print is a function to call, so this file holds no format.
Bound: beyond `stages_held` tickets, the one held longest is released at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Callable

from bridge.settings import TailSettings

Print = Callable[[], None]


@dataclass
class _Held:
    until: float  # monotonic seconds
    accepted: Print
    later: list[Print] = field(default_factory=list)


class Interleaved:
    def __init__(self, settings: TailSettings) -> None:
        self._hold, self._bound = settings.stage_hold / 1000, settings.stages_held
        self._printed: OrderedDict[str, None] = OrderedDict()
        self._held: OrderedDict[str, _Held] = OrderedDict()  # in the order of `until`
        self._has_held = asyncio.Event()

    async def run(self) -> None:
        """Release in time the stages whose line did not come.

        A task, so that its owner gets the BrokenPipeError when stdout has no reader.
        """
        while True:
            await self._has_held.wait()
            await asyncio.sleep(self._hold)
            self.release_due(time.monotonic())

    def ticket(self, ticket_id: str, line: Print) -> None:
        line()
        self._remember(ticket_id)
        held = self._held.pop(ticket_id, None)
        for later in held.later if held is not None else ():
            later()

    def stage(self, ticket_id: str, is_accepted: bool, line: Print, now: float) -> None:
        if ticket_id in self._held:
            self._held[ticket_id].later.append(line)
        elif not is_accepted:
            line()
        elif ticket_id not in self._printed:
            self._held[ticket_id] = _Held(now + self._hold, line)
            self._has_held.set()
            if len(self._held) > self._bound:
                self._give_up(next(iter(self._held)))

    def release_due(self, now: float) -> None:
        for ticket_id in [ticket_id for ticket_id, held in self._held.items() if held.until <= now]:
            self._give_up(ticket_id)
        if not self._held:
            self._has_held.clear()

    def _give_up(self, ticket_id: str) -> None:
        """Print the stages without the line, which did not come in time."""
        held = self._held[ticket_id]
        self.ticket(ticket_id, held.accepted)

    def _remember(self, ticket_id: str) -> None:
        self._printed[ticket_id] = None
        while len(self._printed) > self._bound:
            self._printed.popitem(last=False)

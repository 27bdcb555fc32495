"""The sink that matters: a tmux pane. All knowledge of panes is in bridge.tmux."""

from __future__ import annotations

import asyncio
from typing import Callable, Iterable

from bridge.bucket import TokenBucket
from bridge.ticket import Ticket
from bridge.tmux.injector import Injector
from bridge.tmux.tenancy import Tenancy
from bridge.turns import Turns


class PaneSink:
    """Paces injections and hands them to the injector. `tenancy`: what the injector finds its pane by."""

    def __init__(self, injector: Injector, tenancy: Tenancy, session: str, pane: str, injections_per_minute: int) -> None:
        self.session = session
        self.pane = pane
        self._injector = injector
        self._tenancy = tenancy
        self._bucket = TokenBucket(injections_per_minute, injections_per_minute / 60, asyncio.get_running_loop().time()) if injections_per_minute else None

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        await self._injector.wait_ready(held)

    async def deliver(self, ticket: Ticket, is_ours: Callable[[], bool]) -> dict[str, object]:
        await self._pace()
        return dict((await self._injector.inject(ticket, is_ours)).to_json())

    def owes(self, ticket_id: str) -> bool:
        return self._injector.owes(ticket_id)

    def turn(self) -> Turns:
        return self._tenancy.turn()

    async def leave(self) -> None:
        await self._tenancy.leave()

    async def check(self) -> None:
        await self._injector.check()

    async def reason(self) -> str:
        verdict = await self._injector.explain()
        return "" if verdict.ready else verdict.reason

    async def _pace(self) -> None:
        while self._bucket is not None:
            wait = self._bucket.take(asyncio.get_running_loop().time())
            if not wait:
                return
            await asyncio.sleep(wait)

"""The main sink: a tmux pane. All knowledge of panes is in bridge.tmux.

A ticket for an agent program is delivered when the program has taken its text. A shell or a
REPL gets a command, `show TICKET`. Its ticket is delivered when that `show` has reported to
the broker that it ran in the same pane:

    typed ─► shown here? ──yes──► delivered, verified
                 │no, for `shown_wait`
                 └──► Unconfirmed: the sender sees the reason, and the command is typed again
                      at the next ready look, `show_tries` times at most

There is no such report if the command of --shell-command is not ours, or the broker is too
old. Such a ticket is acknowledged as not verified, with the reason.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Callable

from bridge.client.broker import BrokerClient
from bridge.errors import Uncertain, Unconfirmed
from bridge.fifo_semaphore import FifoSemaphore
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.injection.evidence import Evidence
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.tenancy import Tenancy
from bridge.token_bucket import TokenBucket

# `python3 -I /opt/bridge.pyz show {id}`, `python3 -m bridge show {id}`
_OURS = re.compile(r"bridge[^ ]* show ")
CANNOT_TELL = "the command of --shell-command does not report what it has shown"
TOO_OLD = "this broker does not record what was shown"


class PaneSink:
    """Paces injections, runs the injector, and asks the broker what was shown.

    `tenancy` is the record of the pane's users that the injector also uses.
    """

    def __init__(
        self,
        injector: Injector,
        tenancy: Tenancy,
        session: str,
        pane: str,
        injections_per_minute: int,
        client: BrokerClient,
        settings: TmuxSettings,
    ) -> None:
        self.session = session
        self.pane = pane
        self._injector = injector
        self._tenancy = tenancy
        self._client = client
        self._settings = settings
        # By ticket id: how often its command was typed, while `show` has not reported.
        self._typed: dict[str, int] = {}
        now = asyncio.get_running_loop().time()
        rate = injections_per_minute
        self._bucket = TokenBucket(rate, rate / 60, now) if rate else None

    async def wait_ready(self, held: Callable[[], Iterable[str]]) -> None:
        self._tenancy.hold(held)
        await self._injector.wait_ready(held)

    async def deliver(self, ticket: Ticket, time_left: Callable[[], float]) -> dict[str, object]:
        await self._pace()
        tries = self._typed.get(ticket.ticket_id, 0)
        if tries and await self._client.wait_shown(ticket.ticket_id, 0):
            tries = 0  # it ran after all: only confirm the command that was typed
        may_type_again = 0 < tries < self._settings.show_tries
        evidence = await self._injector.inject(ticket, time_left, again=may_type_again)
        if evidence.form != "agent":
            evidence = await self._confirm(ticket, evidence, tries + 1)
        self._typed.pop(ticket.ticket_id, None)
        return evidence.to_json()

    async def _confirm(self, ticket: Ticket, evidence: Evidence, tries: int) -> Evidence:
        """The evidence, after `show` has reported that it ran here.

        Raises Unconfirmed, Uncertain, BrokerUnreachable, Refused.
        """
        if not _OURS.search(self._injector.template):
            return replace(evidence, verified=False, note=CANNOT_TELL)
        shown = await self._client.wait_shown(ticket.ticket_id, self._settings.shown_wait / 1000)
        if shown is None:
            return replace(evidence, verified=False, note=TOO_OLD)
        if any(
            evidence.is_from_here(str(one.get("pane", "")), str(one.get("tty", "")))
            for one in shown
        ):
            self._injector.note_ran()
            return replace(evidence, verified=True)
        self._typed[ticket.ticket_id] = tries
        what = (
            f"`{self._injector.command(ticket)}` was typed into {evidence.pane}, "
            "and has not reported that it ran"
        )
        if tries >= self._settings.show_tries:
            times = f"{tries} times" if tries > 1 else "once"
            # The text before the colon differs from Unconfirmed's, so it is reported as a new
            # reason (report.py, Waiting).
            raise Uncertain(
                f"unconfirmed, and is not typed again: {what} ({times}); "
                f"run it there, or `ack {ticket.ticket_id}`"
            )
        raise Unconfirmed(f"unconfirmed: {what}; look at the pane: did it fail there?")

    def owes(self, ticket_id: str) -> bool:
        return self._injector.owes(ticket_id)

    def turn(self) -> FifoSemaphore:
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

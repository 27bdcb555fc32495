"""What comes from the broker into the Model: looks at everything, events, and what a detail asks for.

    opened ─► look ─► (an event, or time) ─► look ...     a look replaces what events have changed
    lost ───► the model says so ──► backoff ─► opened

Rule 1: first /events is opened, then /overview asked: a change after the opening is told.
Rule 2: looks cost the broker something, so they are rare while nothing moves, and the longer one takes
        the longer the pause after it.
Rule 3: a broker that streams nothing (503) is looked at without events.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Callable

from bridge.cli.top.detail import Detail
from bridge.cli.top.model import Link, Model, TicketLine
from bridge.cli.top.ui import Ui, View
from bridge.cli.why import gather
from bridge.client.broker import ABSENT, BrokerClient
from bridge.client.following import Following
from bridge.client.http import EventStream
from bridge.client.observation import AgentView, Missed, Overview, StageEvent, decode_event
from bridge.errors import BridgeError, BrokerUnreachable, PeerError, Refused
from bridge.settings import TopSettings, WatcherSettings
from bridge.tasks import within
from bridge.wire.sse import Event

PAUSE_OF_LOOK = 20  # times as long as a look took, nothing is asked: at most a twentieth of the broker's time is ours
SEARCHED = 50  # tickets of an agent that its view lists; as many at the start


async def first_overview(client: BrokerClient, agents_max: int) -> Mapping[str, Any]:
    """The overview as the broker puts it. Raises Refused, in words that say so where the broker has none."""
    try:
        return await client.overview_json(limit=agents_max)
    except Refused as error:
        if error.status not in ABSENT:
            raise
        raise Refused(
            404,
            f"the broker at {client.url} is older than this command: it has no /overview; `agents` and `status` work with it",
            {"status": 404},
        ) from None


class Feed:
    """Owns no task; `run` and `run_details` are jobs of the app. `changed` is called after each change of the model."""

    def __init__(
        self,
        client: BrokerClient,
        model: Model,
        settings: TopSettings,
        stream: WatcherSettings,
        changed: Callable[[], None],
    ) -> None:
        self.detail = Detail()
        self._client, self._model, self._settings, self._stream, self._changed = (
            client,
            model,
            settings,
            stream,
            changed,
        )
        self._is_due = asyncio.Event()  # a look at everything
        self._wants_detail = asyncio.Event()
        self._shown: tuple[View, str | None] = (View.MAIN, None)
        self._polls = ""  # why there are no events (rule 3)

    # the listener of /events

    def opened(self) -> None:
        self._model.take_link(Link.LIVE, time.time())
        self._is_due.set()
        self._wants_detail.set()
        self._changed()

    def heard(self, event: Event) -> None:
        told = decode_event(event.event, event.data)
        if isinstance(told, StageEvent):
            self._model.take_stage(told, time.time())
            self._note_detail(told.ticket_id, told.agent_id)
        elif isinstance(told, AgentView):
            self._model.take_agent(told)
            self._note_detail(told.agent_id)
        elif isinstance(told, Missed):
            self._model.take_missed(told.events)
        else:
            return
        self._is_due.set()
        self._changed()

    def lost(self, reason: str) -> None:
        self._model.take_link(Link.LOST, time.time(), reason)
        self._changed()

    # jobs

    async def first_look(self) -> None:
        """Raises BrokerUnreachable, Refused: with no broker at the start there is nothing to show."""
        self._model.take_overview(
            Overview.from_json(await first_overview(self._client, self._settings.top_agents))
        )
        self._model.take_found((await self._client.search(limit=SEARCHED)).tickets)

    async def follow(self) -> None:
        """Events, for as long as there are any to be had."""
        try:
            first = await self._client.stream_events()
        except Refused as error:
            if error.status != 503:
                raise
            self._polls = str(error)
            self._model.take_link(Link.POLLING, time.time(), self._polls)
            await asyncio.Event().wait()
        except BrokerUnreachable as error:
            self.lost(str(error))
            first = None
        await Following(self._open, self._stream, self).run(first)

    async def _open(self) -> EventStream:
        return await self._client.stream_events()

    async def look(self) -> None:
        """Everything, again and again."""
        while True:
            began = time.monotonic()
            try:
                self._model.take_overview(
                    await self._client.overview(limit=self._settings.top_agents)
                )
                if self._polls:
                    self._model.take_link(Link.POLLING, time.time(), self._polls)
            except (BrokerUnreachable, PeerError, Refused) as error:
                if self._polls:
                    self._model.take_link(Link.LOST, time.time(), str(error))
                # else the stream ends as well, and is what tells us when it is back
            self._changed()
            await asyncio.sleep(
                max(self._settings.top_overview / 1000, PAUSE_OF_LOOK * (time.monotonic() - began))
            )
            await self._wait_due()

    async def _wait_due(self) -> None:
        if self._polls:
            return
        try:
            await within(self._settings.top_idle / 1000, self._is_due.wait())
        except asyncio.TimeoutError:
            pass
        self._is_due.clear()

    async def look_closer(self) -> None:
        """What the view of an agent or of a ticket needs, when it is opened and when something about it happened."""
        while True:
            await self._wants_detail.wait()
            self._wants_detail.clear()
            view, name = self._shown
            if view is View.MAIN or name is None:
                continue
            try:
                detail = await (self._agent(name) if view is View.AGENT else self._ticket(name))
            except BridgeError as error:
                detail = Detail(name, error=str(error))
            if self._shown == (view, name):
                self.detail = detail
                self._changed()
            await asyncio.sleep(self._settings.top_refresh / 1000)

    async def _agent(self, name: str) -> Detail:
        found = await self._client.search(agent=name, limit=SEARCHED)
        return Detail(name, tickets=tuple(map(TicketLine.from_ticket, found.tickets)))

    async def _ticket(self, name: str) -> Detail:
        return Detail(name, facts=await gather(self._client, name))

    def show(self, ui: Ui) -> None:
        """The person looks at this now."""
        shown = (
            ui.view,
            ui.agent if ui.view is View.AGENT else ui.ticket if ui.view is View.TICKET else None,
        )
        if shown != self._shown:
            self._shown = shown
            self._wants_detail.set()

    def _note_detail(self, *names: str) -> None:
        if self._shown[1] in names:
            self._wants_detail.set()

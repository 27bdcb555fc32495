"""From the broker into the Model: overviews, events, and the details of one agent or ticket.

    opened ─► overview ─► (an event, or time) ─► overview ...   it replaces all rows
    lost ───► the model shows it ──► backoff ─► opened

Rule 1: /events is opened before /overview is read, so that no change falls between the two.
Rule 2: an overview costs the broker time. So it is read rarely while nothing moves, and the
pause after it is proportional to the time that it took.
Rule 3: without streams at the broker (503), overviews are polled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Callable

from bridge.cli.commands.top.detail import Detail
from bridge.cli.commands.top.model import Link, Model, TicketLine
from bridge.cli.commands.top.ui import Ui, View
from bridge.cli.commands.why import gather
from bridge.client.broker import ABSENT, BrokerClient
from bridge.client.http import EventStreamReader
from bridge.client.observation import AgentView, Missed, Overview, StageEvent, decode_event
from bridge.client.reconnecting import ReconnectingStream
from bridge.errors import BridgeError, BrokerUnreachable, PeerError, Refused
from bridge.settings import TopSettings, WatcherSettings
from bridge.tasks import within
from bridge.wire.sse import Event

# The pause after an overview, as a multiple of the time that it took. So `top` uses at most
# a twentieth of the broker's time.
PAUSE_OF_LOOK = 20
SEARCHED = 50  # tickets in the view of an agent, and in the main view at the start


async def first_overview(client: BrokerClient, agents_max: int) -> Mapping[str, Any]:
    """The overview as JSON. Raises Refused, with a clear text for a broker that has none."""
    try:
        return await client.overview_json(limit=agents_max)
    except Refused as error:
        if error.status not in ABSENT:
            raise
        raise Refused(
            404,
            f"the broker at {client.url} is older than this command: it has no /overview; "
            "use `agents` and `status` instead",
            {"status": 404},
        ) from None


class Updates:
    """Owns no task: the app runs `follow`, `look` and `look_closer`.

    `changed` is called after each change of the model.
    """

    def __init__(
        self,
        client: BrokerClient,
        model: Model,
        settings: TopSettings,
        stream: WatcherSettings,
        changed: Callable[[], None],
    ) -> None:
        self.detail = Detail()
        self._client = client
        self._model = model
        self._settings = settings
        self._stream = stream
        self._changed = changed
        self._is_due = asyncio.Event()  # an overview
        self._wants_detail = asyncio.Event()
        self._shown: tuple[View, str | None] = (View.MAIN, None)
        self._polls = ""  # why there are no events (rule 3)

    # The callbacks of /events.

    def opened(self) -> None:
        self._model.take_link(Link.LIVE, time.time())
        self._is_due.set()
        self._wants_detail.set()
        self._changed()

    def heard(self, event: Event) -> None:
        live = decode_event(event.event, event.data)
        if isinstance(live, StageEvent):
            self._model.take_stage(live, time.time())
            self._note_detail(live.ticket_id, live.agent_id)
        elif isinstance(live, AgentView):
            self._model.take_agent(live)
            self._note_detail(live.agent_id)
        elif isinstance(live, Missed):
            self._model.take_missed(live.events)
        else:
            return
        self._is_due.set()
        self._changed()

    def lost(self, reason: str) -> None:
        self._model.take_link(Link.LOST, time.time(), reason)
        self._changed()

    # The jobs.

    async def first_look(self) -> None:
        """The first overview. Raises BrokerUnreachable, Refused: there is nothing to show yet."""
        self._model.take_overview(
            Overview.from_json(await first_overview(self._client, self._settings.top_agents))
        )
        self._model.take_found((await self._client.search(limit=SEARCHED)).tickets)

    async def follow(self) -> None:
        """Follow /events, unless the broker has no streams (rule 3)."""
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
        await ReconnectingStream(self._open, self._stream, self).run(first)

    async def _open(self) -> EventStreamReader:
        return await self._client.stream_events()

    async def look(self) -> None:
        """Read the overview again and again (rule 2)."""
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
                # Else the stream ends too, and `opened` follows when the broker is back.
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
        """Read the detail of an agent or a ticket, when its view opens and after each event."""
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
        """Note which view is open now, so that `look_closer` reads its detail."""
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

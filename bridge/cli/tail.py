"""`tail [AGENT]`: tickets as they are sent, one line each, until interrupted.

It reads the shared stream, also for one agent: an agent's own stream would make
that agent look as if somebody received for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any, Optional

from bridge.backoff import full_jitter
from bridge.cli.asking import add_broker_flags, add_json_flag, ask, checked_id
from bridge.cli.flags import add_flags, load
from bridge.cli.text import Page, excerpt, one_line
from bridge.client.broker import BrokerClient
from bridge.client.http import EventStream
from bridge.errors import BrokerUnreachable, ConnectionLost, StreamError
from bridge.settings import WatcherSettings
from bridge.ticket import Ticket

EXCERPT = 120  # characters of a body on a line
STALE_HEARTBEATS = 2.5  # WIRE, Event streams


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", nargs="?", help="only this agent's tickets")
    parser.add_argument("--after", type=int, default=0, metavar="SEQ", help="begin after this cursor (default: with what is pending)")
    add_json_flag(parser)
    add_flags(parser, WatcherSettings, "the stream", only=frozenset({"sse_heartbeat", "reconnect_base", "reconnect_max"}))
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT") if args.agent is not None else None
    ask(args, lambda client: Tail(client, load(WatcherSettings, args), Page(), agent, args.json, args.after).run())
    return 0


class Tail:
    """Follows the shared stream across reconnects. The first connection must succeed."""

    def __init__(self, client: BrokerClient, settings: WatcherSettings, page: Page, agent: Optional[str], is_json: bool, after: int) -> None:
        self._client = client
        self._silence = STALE_HEARTBEATS * settings.sse_heartbeat / 1000
        self._settings = settings
        self._page = page
        self._agent = agent
        self._is_json = is_json
        self._cursor = after

    async def run(self) -> None:
        stream = await self._client.stream_all(self._cursor)
        while True:
            try:
                await self._follow(stream)
            except asyncio.TimeoutError:
                self._page.complain(f"the stream was silent for {self._silence:g} s; connecting again")
            except (ConnectionLost, StreamError) as error:
                self._page.complain(f"{error}; connecting again")
            finally:
                await stream.aclose()
            stream = await self._reopen()

    async def _reopen(self) -> EventStream:
        for delay in full_jitter(self._settings.reconnect_base / 1000, self._settings.reconnect_max / 1000):
            await asyncio.sleep(delay)
            try:
                return await self._client.stream_all(self._cursor)
            except BrokerUnreachable:
                continue
        raise AssertionError("full_jitter never ends")

    async def _follow(self, stream: EventStream) -> None:
        while True:
            for event in await stream.read_events(self._silence):
                if event.event == "ticket":
                    self._print(decode(event.data))

    def _print(self, fields: dict[str, Any]) -> None:
        ticket = Ticket.from_json(fields)
        self._cursor = max(self._cursor, ticket.seq)
        if self._agent not in (None, ticket.agent_id):
            return
        if self._is_json:
            self._page.json(fields, is_compact=True)
            return
        head = f"{ticket.created_at} {ticket.seq} {ticket.origin} > {ticket.agent_id} {ticket.ticket_id}"
        self._page.line(f"{self._page.paint(one_line(head), 'dim')} {excerpt(ticket.payload, EXCERPT)}")


def decode(data: str) -> dict[str, Any]:
    """The ticket of one event of the shared stream: {agentId, ticket}."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"an event holds no JSON: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("ticket"), dict):
        raise StreamError("an event holds no ticket")
    return {**fields["ticket"], "agentId": fields["ticket"].get("agentId", fields.get("agentId"))}

"""`tail [AGENT]`: print tickets and their stages as they happen, until interrupted.

    GET /tickets/stream ─► whole tickets, by cursor: no pending one is missed ──┐
                                                                                ├─► Interleaved
    GET /events ─► stages, agents: live only, missed while not connected ───────┘      └─► lines

Rule 1: the ticket's own line stands for its stage "accepted"; its other stages follow it.
Rule 2: reading is not receiving. So `tail` never opens an agent's own stream: the agent
would then seem to have a watcher.
Rule 3: without /events at the broker, or with `--no-stages`, only tickets are printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Awaitable
from typing import Any, Callable

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask, checked_id, whole
from bridge.cli.flags import add_flags, load
from bridge.cli.local_time import clock, local, since
from bridge.cli.safe_text import Page, evidence_words, excerpt, one_line
from bridge.cli.stream_merge import Interleaved
from bridge.client.broker import BrokerClient
from bridge.client.http import EventStreamReader
from bridge.client.observation import AgentView, Missed, StageEvent, decode_event
from bridge.client.reconnecting import ReconnectingStream
from bridge.errors import BrokerUnreachable, Refused, StreamError
from bridge.settings import TailSettings, WatcherSettings
from bridge.tasks import run_together
from bridge.ticket import Ticket
from bridge.wire.sse import Event

EXCERPT = 120  # characters of a body on a line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", nargs="?", help="only this agent's tickets")
    parser.add_argument(
        "--thread", metavar="ID", help="only tickets of this thread (metadata.threadId)"
    )
    parser.add_argument(
        "--after",
        type=whole(0),
        default=0,
        metavar="SEQ",
        help="begin after the ticket with this seq (default: with the pending tickets)",
    )
    parser.add_argument(
        "--no-stages", action="store_true", help="print only tickets, not their stages"
    )
    add_json_flag(parser)
    add_flags(
        parser,
        WatcherSettings,
        "the stream",
        only=frozenset({"sse_heartbeat", "reconnect_base", "reconnect_max"}),
    )
    add_flags(parser, TailSettings, "the order")
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT") if args.agent is not None else None
    try:
        ask(args, lambda client: tail(client, args, agent))
    except asyncio.CancelledError:  # by cancel_on_interrupt
        raise KeyboardInterrupt from None
    return 0


def cancel_on_interrupt() -> None:
    """Let Ctrl-C cancel the current task.

    Before Python 3.11, KeyboardInterrupt may be raised anywhere, even between the creation
    of a coroutine and its await; asyncio then prints a warning at the end.
    """
    task = asyncio.current_task()
    if task is not None and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)


async def tail(client: BrokerClient, args: argparse.Namespace, agent: str | None) -> None:
    """Run until cancelled. Raises Refused, BrokerUnreachable, if the first connection fails."""
    cancel_on_interrupt()
    settings, printer = load(WatcherSettings, args), Printer(Page(), args.json, agent, args.thread)
    order = Interleaved(load(TailSettings, args))
    tickets = TicketLines(order, printer, args.after)
    first = await client.stream_all(args.after)
    stages = StageLines(order, printer, lambda: client.stream_events(agent, args.thread))
    try:
        if not args.no_stages:
            await stages.open()  # before the first ticket is read, so that no stage is missed
    except BaseException:
        await first.aclose()
        raise
    jobs = {
        "tickets": ReconnectingStream(
            lambda: client.stream_all(tickets.cursor), settings, tickets
        ).run(first)
    }
    if stages.is_served:
        jobs.update(order=order.run(), stages=stages.follow(settings))
    await run_together(**jobs)


class TicketLines:
    """Reads the shared stream; keeps its cursor."""

    def __init__(self, order: Interleaved, printer: Printer, after: int) -> None:
        self.cursor = after
        self._order, self._printer = order, printer

    def opened(self) -> None:
        """Nothing to do: with its cursor, the stream has missed nothing."""

    def heard(self, event: Event) -> None:
        if event.event != "ticket":
            return
        fields = decode(event.data)
        ticket = Ticket.from_json(fields)
        self.cursor = max(self.cursor, ticket.seq)
        if self._printer.wants(ticket):
            self._order.ticket(ticket.ticket_id, lambda: self._printer.ticket(ticket, fields))

    def lost(self, reason: str) -> None:
        self._printer.complain(f"{reason}; connecting again")


class StageLines:
    """Reads /events, unless the broker has none (rule 3)."""

    def __init__(
        self,
        order: Interleaved,
        printer: Printer,
        open_stream: Callable[[], Awaitable[EventStreamReader]],
    ) -> None:
        self.is_served = False
        self._order, self._printer, self._open_stream = order, printer, open_stream
        self._first: EventStreamReader | None = None
        self._was_lost = False

    async def open(self) -> None:
        try:
            self._first = await self._open_stream()
        except Refused as error:
            self._end(error)
            return
        except BrokerUnreachable:
            pass  # `follow` tries again
        self.is_served = True

    async def follow(self, settings: WatcherSettings) -> None:
        try:
            await ReconnectingStream(self._open_stream, settings, self).run(self._first)
        except Refused as error:
            self._end(error)
            await asyncio.Event().wait()

    def _end(self, error: Refused) -> None:
        self._printer.complain(f"tickets only: the broker sends no stages ({error})")

    def opened(self) -> None:
        if self._was_lost:
            self._printer.missed(
                "connected again; stages and tickets that are finished already may be missing",
                None,
            )

    def heard(self, event: Event) -> None:
        live = decode_event(event.event, event.data)
        if isinstance(live, StageEvent):
            self._order.stage(
                live.ticket_id,
                live.stage == "accepted",
                lambda: self._printer.stage(live, event.data),
                time.monotonic(),
            )
        elif isinstance(live, AgentView):
            self._printer.agent(live, event.data)
        elif isinstance(live, Missed):
            self._printer.missed(
                f"the broker dropped {live.events} events, because they were read too slowly",
                live.events,
            )

    def lost(self, reason: str) -> None:
        self._was_lost = True


class Printer:
    """Selects tickets and stages, and prints them as text or as JSON."""

    def __init__(self, page: Page, is_json: bool, agent: str | None, thread: str | None) -> None:
        self._page, self._is_json, self._agent, self._thread = page, is_json, agent, thread
        self.complain = page.complain

    def wants(self, ticket: Ticket) -> bool:
        in_thread = self._thread is None or self._thread == ticket.metadata.get("threadId")
        return in_thread and self._agent in (None, ticket.agent_id)

    def ticket(self, ticket: Ticket, fields: dict[str, Any]) -> None:
        if self._is_json:
            self._page.json(fields, is_compact=True)
            return
        self._line(
            ticket.created_at,
            f"{ticket.seq} {ticket.origin} > {ticket.agent_id} {ticket.ticket_id}",
            excerpt(ticket.payload, EXCERPT),
        )

    def stage(self, event: StageEvent, data: str) -> None:
        if self._is_json:
            self._page.json({"event": "stage", **json.loads(data)}, is_compact=True)
            return
        words = (
            [event.stage]
            + ([f"by {event.by}"] if event.by else [])
            + evidence_words(event.evidence)
        )
        text = excerpt(" ".join(words), EXCERPT) + (
            f" {excerpt(event.preview, EXCERPT)}" if event.preview is not None else ""
        )
        self._line(
            event.at, f"{event.seq} {event.origin} > {event.agent_id} {event.ticket_id}", text
        )

    def agent(self, agent: AgentView, data: str) -> None:
        if self._thread is not None:
            return  # an agent belongs to no thread
        if self._is_json:
            self._page.json({"event": "agent", **json.loads(data)}, is_compact=True)
            return
        facts = [
            f"{agent.status}{f' ({agent.connection})' if agent.is_connected else ''}",
            agent.health,
            f"{agent.pending} pending" if agent.pending else "",
        ]
        now = time.time()
        waits = (
            f"; waits: {agent.waiting.reason} {since(agent.waiting.since_at, now)}"
            if agent.waiting
            else ""
        )
        text = one_line(agent.agent_id + " is " + ", ".join(filter(None, facts)) + waits)
        self._page.line(f"{self._page.paint(clock(now, now, milliseconds=True), 'dim')} {text}")

    def missed(self, text: str, events: int | None) -> None:
        self.complain(text)
        if self._is_json:
            self._page.json({"event": "missed", "events": events}, is_compact=True)

    def _line(self, at: str, head: str, text: str) -> None:
        dim = one_line(f"{local(at, time.time(), milliseconds=True)} {head}")
        self._page.line(f"{self._page.paint(dim, 'dim')} {text}")


def decode(data: str) -> dict[str, Any]:
    """The ticket of one event of the shared stream: {agentId, ticket}."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StreamError(f"an event is not JSON: {error}") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("ticket"), dict):
        raise StreamError("an event has no ticket")
    return {**fields["ticket"], "agentId": fields["ticket"].get("agentId", fields.get("agentId"))}

"""`why TICKET`: show a ticket's history, its state, and what it waits for.

    GET /tickets/{id} ─► history ─┐
    GET /overview?agent= ─────────┼─► Facts ─► find_status (ticket_status.py) ─► lines
    GET /search?agent=&status= ──┘
         the last two only for a pending ticket; an older broker is asked for the status of
         the agent instead

Reading is not receiving: no request here makes an agent seem to have a watcher.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from typing import Any

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    add_ticket_argument,
    ask,
    ticket_argument,
)
from bridge.cli.fit_text import hanging, page_width
from bridge.cli.local_time import local, read_at, span
from bridge.cli.safe_text import Page, evidence_words, excerpt, one_line
from bridge.cli.ticket_status import Before, Facts, Moment, TicketStatus, find_aside, find_status
from bridge.client.broker import ABSENT, BrokerClient
from bridge.client.observation import AgentView, Overview
from bridge.errors import Refused
from bridge.ticket import PENDING, Ticket
from bridge.timestamp import rfc3339

BEFORE_PAGES = 8  # pages of the search for the tickets before this one; then "or more"
PAGE = 200  # tickets of a page; the broker's maximum
ASIDE_LOOKS = 50  # how many of the oldest are checked for having been set aside
NOTE_COLUMN = 12  # where notes begin, after the name of a stage
TEXT_SHOWN = 60  # characters of the body, to recognise the ticket


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    ticket_id = ticket_argument(args)
    facts = ask(args, lambda client: gather(client, ticket_id))
    now, page = time.time(), Page()
    status = find_status(facts, now)
    if args.json:
        page.json(to_json(facts, status))
        return 0
    for style, text in describe_ticket(facts, status, now, page_width()):
        page.line(page.paint(text, style) if style else text)
    return 0


# Asking


async def gather(client: BrokerClient, ticket_id: str) -> Facts:
    """All facts about one ticket. Raises Refused (404: no such ticket), BrokerUnreachable."""
    fields = await client.ticket(ticket_id)
    ticket = Ticket.from_json(fields)
    moments = read_moments(fields)
    if ticket.status != PENDING:
        return Facts(ticket, moments)
    overview, before = await asyncio.gather(
        _overview(client, ticket.agent_id), count_before(client, ticket)
    )
    agent = overview.agents[0] if overview is not None and overview.agents else None
    if overview is None:
        agent = await _old_view(client, ticket.agent_id)
    is_there = agent is not None and agent.is_connected
    names = () if is_there else tuple(str(each.get("agentId")) for each in await client.agents())
    started = (
        time.time() - overview.uptime_ms / 1000
        if overview is not None and overview.uptime_ms
        else None
    )
    up_since = "" if started is None else rfc3339(int(started * 1000))
    return Facts(ticket, moments, agent, before, names, up_since, overview is not None)


async def _overview(client: BrokerClient, agent: str) -> Overview | None:
    """The overview of one agent; without agents when the broker has no such agent.

    None from a broker that has no overview.
    """
    try:
        return await client.overview(agent)
    except Refused as error:
        if error.status not in ABSENT:
            raise
    try:
        return Overview(uptime_ms=(await client.overview(limit=1)).uptime_ms)
    except Refused as error:
        if error.status not in ABSENT:
            raise
    return None


async def _old_view(client: BrokerClient, agent: str) -> AgentView | None:
    try:
        return AgentView.from_status(agent, await client.agent_status(agent))
    except Refused as error:
        if error.status not in ABSENT:
            raise
    return None


async def count_before(client: BrokerClient, ticket: Ticket) -> Before | None:
    """The pending tickets of the same agent that its watcher types first.

    The oldest ones are checked, and left out if the watcher has set them aside. None from a
    broker that cannot search.
    """
    found: list[Ticket] = []
    cursor: int | None = None if not ticket.is_urgent else ticket.seq
    try:
        for _ in range(BEFORE_PAGES):
            page = await client.search(
                agent=ticket.agent_id, status=PENDING, before=cursor, limit=PAGE
            )
            found += [each for each in page.tickets if turn(each) < turn(ticket)]
            cursor = page.next_before
            if cursor is None:
                break
    except Refused as error:
        if error.status not in ABSENT:
            raise
        return None
    found.sort(key=turn)
    for _ in range(ASIDE_LOOKS):
        if not found or cursor is not None or not await _is_aside(client, found[0].ticket_id):
            break
        del found[0]
    return Before(
        len(found), found[0].ticket_id if found and cursor is None else "", cursor is None
    )


async def _is_aside(client: BrokerClient, ticket_id: str) -> bool:
    return find_aside(read_moments(await client.ticket(ticket_id))) is not None


def read_moments(fields: Mapping[str, Any]) -> tuple[Moment, ...]:
    return tuple(
        Moment.from_json(moment)
        for moment in fields.get("history") or ()
        if isinstance(moment, dict)
    )


def turn(ticket: Ticket) -> tuple[bool, int]:
    """The order in which a watcher types (watcher/inbox.py): urgent ones first, then by seq."""
    return (not ticket.is_urgent, ticket.seq)


# In words


def describe_ticket(
    facts: Facts, status: TicketStatus, now: float, width: int
) -> list[tuple[str, str]]:
    """(style, line): sender and receiver, each stage with its time and evidence, and the state.

    Safe to print.
    """
    ticket = facts.ticket
    head = f"{ticket.ticket_id}: {ticket.origin} > {ticket.agent_id}"
    lines = [
        ("bold", hanging("", one_line(head), width)),
        ("dim", hanging("", excerpt(ticket.payload, TEXT_SHOWN), width)),
    ]
    before: Moment | None = None
    for moment in facts.moments:
        clock = local(moment.at, now, milliseconds=True)
        label = one_line(f"{clock}  {moment.stage}".ljust(len(clock) + 2 + NOTE_COLUMN))
        lines.append(("", hanging(label + "  ", one_line(notes(moment, before)), width).rstrip()))
        before = moment
    lines.append(
        (
            "green" if ticket.status != PENDING else "yellow",
            hanging("now  ", one_line(status.text), width),
        )
    )
    if status.mend:
        lines.append(("dim", hanging("try  ", one_line(status.mend), width)))
    return lines


def notes(moment: Moment, before: Moment | None) -> str:
    """How long the stage took, its `by`, and its evidence, unless it repeats the stage before."""
    words = []
    here, there = read_at(moment.at), read_at(before.at) if before else None
    if here is not None and there is not None:
        words.append("+" + span(here - there))
    if moment.by:
        words.append(f"by {moment.by}")
    if moment.stage == "shown":
        words.append(moment.place)
    elif before is None or moment.evidence != before.evidence:
        words += evidence_words(moment.evidence)
    return "  ".join(words)


def to_json(facts: Facts, status: TicketStatus) -> Mapping[str, Any]:
    ticket, before = facts.ticket, facts.before
    return {
        "ticketId": ticket.ticket_id,
        "agentId": ticket.agent_id,
        "originAgent": ticket.origin,
        "status": ticket.status,
        "history": [_moment_json(moment) for moment in facts.moments],
        "now": {
            "state": status.state,
            "text": status.text,
            "sinceAt": status.since_at or None,
            "try": status.mend or None,
        },
        "ticketsBefore": before.count if before else None,
    }


def _moment_json(moment: Moment) -> Mapping[str, Any]:
    """As an entry of a ticket's `history` (HTTP_API.md, Ticket)."""
    optional = {"by": moment.by or None, "evidence": moment.evidence}
    return {
        "stage": moment.stage,
        "at": moment.at,
        **{name: value for name, value in optional.items() if value is not None},
    }

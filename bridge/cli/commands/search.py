"""`search [TEXT]`: list tickets that contain a text, newest first.

The broker reads a bounded number of rows for each request, and returns where to continue.
This command continues until it has `--limit` tickets, or until no rows are left.
"""

from __future__ import annotations

import argparse
import time

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask, checked_id, whole
from bridge.cli.local_time import local
from bridge.cli.safe_text import Page, excerpt
from bridge.client.broker import BrokerClient
from bridge.ticket import STATUSES, Ticket

EXCERPT = 60  # characters of a body in a list
PAGE = 200  # tickets in one response; the broker's maximum
LIMIT = 50  # tickets in the list


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="a text in the ticket's JSON, in upper or lower case (without it: all tickets)",
    )
    parser.add_argument("--agent", metavar="AGENT", help="only tickets to this agent")
    parser.add_argument("--origin", metavar="ORIGIN", help="only tickets from this sender")
    parser.add_argument(
        "--thread", metavar="ID", help="only tickets of this thread (metadata.threadId)"
    )
    parser.add_argument(
        "--status",
        choices=STATUSES,
        help="only tickets with this status",
    )
    parser.add_argument(
        "--before", type=whole(0), metavar="SEQ", help="only tickets with a lower seq than this"
    )
    parser.add_argument(
        "--limit",
        type=whole(1),
        default=LIMIT,
        metavar="N",
        help=f"at most N tickets (default {LIMIT})",
    )
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    filters = {
        name: checked_id(value, f"--{name}")
        for name, value in (("agent", args.agent), ("origin", args.origin))
        if value is not None
    }
    tickets = ask(
        args,
        lambda client: find(
            client,
            args.text,
            args.before,
            args.limit,
            thread=args.thread,
            status=args.status,
            **filters,
        ),
    )
    page, now = Page(), time.time()
    if args.json:
        page.json([ticket.to_json() for ticket in tickets])
        return 0
    rows = [
        (
            each.seq,
            each.ticket_id,
            each.origin,
            each.agent_id,
            each.status,
            local(each.created_at, now),
            excerpt(each.payload, EXCERPT),
        )
        for each in tickets
    ]
    page.table(("SEQ", "TICKET", "FROM", "TO", "STATUS", "SENT", "TEXT"), rows)
    return 0


async def find(
    client: BrokerClient, text: str | None, before: int | None, limit: int, **filters: str | None
) -> list[Ticket]:
    found: list[Ticket] = []
    while True:
        page = await client.search(text, before, min(PAGE, limit - len(found)), **filters)
        found += page.tickets
        before = page.next_before
        if before is None or len(found) >= limit:
            return found[:limit]

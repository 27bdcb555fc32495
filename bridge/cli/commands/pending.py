"""`pending AGENT`: list the tickets that an agent has not received yet, oldest first."""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask, checked_id, whole
from bridge.cli.safe_text import Page, excerpt

EXCERPT = 60  # characters of a body in a list


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id")
    parser.add_argument(
        "--after",
        type=whole(0),
        default=0,
        metavar="SEQ",
        help="only tickets with a higher seq than this",
    )
    parser.add_argument("--limit", type=whole(1), metavar="N", help="at most N tickets")
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT")
    tickets = ask(
        args, lambda client: client.pending(agent, args.after, limit=args.limit, observe=True)
    )
    page = Page()
    if args.json:
        page.json([ticket.to_json() for ticket in tickets])
        return 0
    rows = [
        (
            ticket.seq,
            ticket.ticket_id,
            ticket.origin,
            ticket.created_at,
            excerpt(ticket.payload, EXCERPT),
        )
        for ticket in tickets
    ]
    page.table(("SEQ", "TICKET", "FROM", "SINCE", "TEXT"), rows)
    return 0

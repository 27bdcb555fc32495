"""`drop TICKET`: end a pending ticket.

It stays in the store. A request that waits for its reply ends.
"""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    add_reason_flag,
    add_ticket_argument,
    ask,
    ticket_argument,
)
from bridge.cli.main import OK, REFUSED
from bridge.cli.safe_text import Page, one_line
from bridge.ticket import DROPPED


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    add_reason_flag(parser, "dropped by hand")
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    ticket_id = ticket_argument(args)
    answer = ask(args, lambda client: client.drop(ticket_id, args.reason))
    status, page = str(answer.get("status")), Page()
    if args.json:
        page.json(answer)
    elif status == DROPPED:
        page.line(f"{one_line(ticket_id)} is dropped")
    else:
        page.complain(f"{one_line(ticket_id)} is {one_line(status)} already; it was not dropped")
    return OK if status == DROPPED else REFUSED

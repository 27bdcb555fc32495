"""`ack TICKET`: acknowledge a ticket by hand.

For example a ticket that a watcher reports as uncertain.
"""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    add_ticket_argument,
    ask,
    ticket_argument,
)
from bridge.cli.safe_text import Page, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    ticket_id = ticket_argument(args)
    answer = ask(args, lambda client: client.acknowledge(ticket_id, evidence={"form": "by hand"}))
    page = Page()
    if args.json:
        page.json(answer)
    else:
        page.line(
            f"{one_line(str(answer.get('ticketId')))} is {one_line(str(answer.get('status')))}"
        )
    return 0

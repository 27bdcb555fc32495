"""`reply TICKET [TEXT | -]`: answer a ticket. A request that waits for the reply gets it."""

from __future__ import annotations

import argparse
import os

from bridge.cli.broker_options import (
    add_broker_flags,
    add_ticket_argument,
    ask,
    pairs,
    ticket_argument,
)
from bridge.cli.commands.send import payload_of


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="the answer; with - or none, standard input"
    )
    parser.add_argument(
        "--payload-json",
        action="store_true",
        help="TEXT is JSON: send its value instead of a string",
    )
    parser.add_argument(
        "--from", dest="origin", metavar="ORIGIN", help="your name (default: $BRIDGE_AGENT)"
    )
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        help="add this to the reply's metadata; may be repeated",
    )
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    if args.id64 is not None and args.ticket is not None and args.text is None:
        # In `reply --id64 X TEXT` the only positional argument is the text.
        args.ticket, args.text = None, args.ticket
    metadata = pairs(args.metadata)
    origin = args.origin or os.environ.get("BRIDGE_AGENT")
    if origin:
        metadata["origin"] = origin
    ticket_id, payload = ticket_argument(args), payload_of(args)
    ask(args, lambda client: client.reply(ticket_id, payload, metadata))
    return 0

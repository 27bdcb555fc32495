"""`unregister AGENT`: remove a registration.

The agent's tickets stay, and are still delivered to a watcher that receives them.
"""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import add_broker_flags, ask, checked_id
from bridge.cli.safe_text import Page, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id")
    parser.epilog = f"{parser.epilog}\n\n{WATCHED}"
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT")
    ask(args, lambda client: client.unregister(agent))
    Page().line(f"{one_line(agent)} is not registered any more")
    return 0


WATCHED = """A running watcher registers its agent again: stop the watcher first.
`purge AGENT` ends the agent's pending tickets."""

"""`unregister AGENT`: removes a registration. Its tickets stay, and go on to whatever receives for it."""

from __future__ import annotations

import argparse

from bridge.cli.asking import add_broker_flags, ask, checked_id
from bridge.cli.text import Page, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="its id")
    parser.epilog = f"{parser.epilog}\n\n{WATCHED}"
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT")
    ask(args, lambda client: client.unregister(agent))
    Page().line(f"{one_line(agent)} is not registered any more")
    return 0


WATCHED = """A watcher of the agent registers it again with its next report: stop the watcher first.
What is pending for it is ended with `purge AGENT`."""

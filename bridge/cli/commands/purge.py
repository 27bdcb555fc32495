"""`purge AGENT`: end all pending tickets of an agent.

The command asks first in a terminal; elsewhere it needs --yes.
"""

from __future__ import annotations

import argparse
import sys

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    add_reason_flag,
    ask,
    checked_id,
)
from bridge.cli.main import OK, REFUSED
from bridge.cli.safe_text import Page, one_line
from bridge.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask first; required without a terminal"
    )
    add_reason_flag(parser, "purged by hand")
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent, page = checked_id(args.agent, "AGENT"), Page()
    if not args.yes and not sys.stdin.isatty():
        raise UsageError("purge ends tickets for good; without a terminal to ask it needs --yes")
    status = ask(args, lambda client: client.agent_status(agent))
    count = int(status.get("pendingMessages") or 0)
    if count and not args.yes and not confirms(f"End {tickets(count)} of {one_line(agent)}?"):
        page.complain("nothing was ended")
        return REFUSED
    dropped = ask(args, lambda client: client.purge(agent, args.reason)) if count else 0
    if args.json:
        page.json({"agentId": agent, "dropped": dropped})
    else:
        page.line(
            f"{tickets(dropped)} of {one_line(agent)} {'was' if dropped == 1 else 'were'} dropped"
        )
    return OK


def tickets(count: int) -> str:
    return f"{count} pending ticket{'s' * (count != 1)}"


def confirms(question: str) -> bool:
    """Ask on stderr, since stdout may be a file. Any answer but `y` or `yes` means no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")

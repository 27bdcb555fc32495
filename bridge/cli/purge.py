"""`purge AGENT`: ends every ticket that is pending for an agent, after a question on a terminal, or with --yes."""

from __future__ import annotations

import argparse
import sys

from bridge.cli.asking import add_broker_flags, add_json_flag, add_reason_flag, ask, checked_id
from bridge.cli.main import OK, REFUSED
from bridge.cli.text import Page, one_line
from bridge.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="whose tickets")
    parser.add_argument(
        "--yes", action="store_true", help="do not ask first; needed without a terminal"
    )
    add_reason_flag(parser, "purged by hand")
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent, page = checked_id(args.agent, "AGENT"), Page()
    if not args.yes and not sys.stdin.isatty():
        raise UsageError("purge ends tickets for good; say --yes where no terminal can be asked")
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
    """The question on standard error, since standard output may be a file; anything but y or yes is no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")

"""`show TICKET`: the whole ticket, safe to read in a terminal; what a shell pane is told to run.

Everything that the broker vouches for comes first, the body last and to the
end: so no line of a body can pass for a line of ours.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import Any, Mapping

from bridge.cli.asking import add_broker_flags, add_json_flag, add_ticket_argument, ask, ticket_argument
from bridge.cli.flags import add_flags, load
from bridge.cli.naming import broker_words
from bridge.cli.text import Page, evidence_words, one_line, payload_text, visible
from bridge.client.broker import BrokerClient
from bridge.errors import BrokerUnreachable, Refused
from bridge.self_command import own_words
from bridge.settings import ClientSettings, ShowSettings
from bridge.tmux.forms import id_words

RETRY = 0.25  # seconds between two questions to a broker that is away


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    parser.add_argument("--body", action="store_true", help="print the body alone")
    add_json_flag(parser)
    add_broker_flags(parser)
    add_flags(parser, ShowSettings, "a broker that is away")


def run(args: argparse.Namespace) -> int:
    ticket_id = ticket_argument(args)
    patience = load(ShowSettings, args).patience / 1000
    ticket = ask(args, lambda client: ask_patiently(client, ticket_id, patience))
    page = Page()
    if args.json:
        page.json(ticket)
        return 0
    if not args.body:
        print_head(page, ticket, broker_words(load(ClientSettings, args).broker_url))
    page.line(visible(payload_text(ticket.get("payload"))))
    return 0


async def ask_patiently(client: BrokerClient, ticket_id: str, patience: float) -> Mapping[str, Any]:
    """The ticket, from a broker that may be restarting. Raises BrokerUnreachable, Refused."""
    deadline, is_told = time.monotonic() + patience, False
    while True:
        try:
            return await client.ticket(ticket_id)
        except (BrokerUnreachable, Refused) as error:
            if time.monotonic() >= deadline or (isinstance(error, Refused) and error.status != 503):
                raise
            if not is_told:
                print(f"bridge: {error}; trying for {patience:g} s", file=sys.stderr, flush=True)
        is_told = True
        await asyncio.sleep(RETRY)


def print_head(page: Page, ticket: Mapping[str, Any], broker: str) -> None:
    for name, value in head_lines(ticket, broker):
        page.line(f"{page.paint(name.ljust(9), 'dim')} {one_line(value)}")
    told: object = None
    for moment in ticket.get("history") or ():
        # An acknowledgement repeats the evidence of the injection: once is enough.
        page.line(f"{page.paint('history'.ljust(9), 'dim')} {one_line(describe_moment(moment, moment.get('evidence') != told))}")
        told = moment.get("evidence")
    response = ticket.get("response")
    if isinstance(response, dict):
        page.line(page.paint("reply", "dim"))
        for line in visible(payload_text(response.get("payload"))).split("\n"):
            page.line("    " + line)
    size = visible(payload_text(ticket.get("payload"))).count("\n") + 1
    page.line(page.paint(f"---- the message, {size} line{'s' if size > 1 else ''}, to the end of this output ----", "dim"))


def head_lines(ticket: Mapping[str, Any], broker: str) -> list[tuple[str, str]]:
    ticket_id = str(ticket.get("ticketId"))
    lines = [
        ("ticket", ticket_id),
        ("from", str(ticket.get("originAgent") or "?")),
        ("to", str(ticket.get("agentId") or ticket.get("targetAgent") or "?")),
        ("status", str(ticket.get("status"))),
    ]
    for key, value in (ticket.get("metadata") or {}).items():
        if key != "origin":
            lines.append(("metadata", f"{key} = {payload_text(value)}"))
    if ticket.get("expectReply") and ticket.get("response") is None:
        lines.append(("answer", f'{own_words()} reply {id_words(ticket_id)} "..."{broker}'))
    return lines


def describe_moment(moment: Mapping[str, Any], with_evidence: bool) -> str:
    words = [str(moment.get("at") or ""), str(moment.get("stage") or "")]
    if moment.get("by"):
        words.append(f"by {moment['by']}")
    return " ".join(words + (evidence_words(moment.get("evidence")) if with_evidence else []))

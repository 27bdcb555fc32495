"""`show TICKET`: print a ticket, safe to read in a terminal. Watchers type it into shells.

The broker's own fields come first, and the body comes last. So no line of a body can be
mistaken for a line of the head. The head's lines are cut, and lines of metadata are few: a
long head would scroll its beginning away.

Once a terminal has the whole ticket, this command reports the stage `shown` to the broker.
Only then is a ticket delivered whose command was typed into a shell. Nothing is reported
when stdout is a pipe or a file, or when the broker has no such stage.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Callable, TextIO, TypeVar

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    add_ticket_argument,
    ask,
    ticket_argument,
)
from bridge.cli.flags import add_flags, load
from bridge.cli.safe_text import Page, evidence_words, one_line, payload_text, visible
from bridge.cli.self_command_words import broker_words
from bridge.client.broker import ABSENT, BrokerClient
from bridge.errors import BrokerUnreachable, Refused
from bridge.self_command import own_words
from bridge.settings import ClientSettings, ShowSettings
from bridge.tmux.injection.ticket_text import id_words

T = TypeVar("T")
RETRY = 0.25  # seconds between two requests to a broker that does not answer
LINE_MAX = 1000  # characters of one line of the head: some rows of a terminal
METADATA_MAX = 20  # lines of metadata


def configure(parser: argparse.ArgumentParser) -> None:
    add_ticket_argument(parser)
    parser.add_argument("--body", action="store_true", help="print only the body")
    add_json_flag(parser)
    add_broker_flags(parser)
    add_flags(parser, ShowSettings, "a broker that does not answer")


def run(args: argparse.Namespace) -> int:
    ticket_id = ticket_argument(args)
    patience = load(ShowSettings, args).patience / 1000
    ask(args, lambda client: show(client, ticket_id, patience, args))
    return 0


async def show(
    client: BrokerClient, ticket_id: str, patience: float, args: argparse.Namespace
) -> None:
    """Print the ticket, then report `shown`.

    Raises BrokerUnreachable, Refused, as long as nothing was printed.
    """
    page = Page()

    def complain(error: Exception) -> None:
        page.complain(f"{error}; trying for {patience:g} s")

    ticket = await ask_patiently(lambda: client.ticket(ticket_id), patience, complain)
    print_ticket(page, ticket, args)
    if sys.stdout.isatty():
        try:
            await ask_patiently(
                lambda: client.shown(ticket_id, **place(sys.stdout)), patience, lambda error: None
            )
        except (BrokerUnreachable, Refused) as error:
            if not (isinstance(error, Refused) and error.status in ABSENT):
                page.complain(f"could not report to the broker that this was shown: {error}")


def place(out: TextIO) -> dict[str, str]:
    """This terminal: the tmux pane from the environment, and the device."""
    found = {"pane": os.environ.get("TMUX_PANE", "")}
    try:
        found["tty"] = os.ttyname(out.fileno())
    except OSError:
        pass  # the terminal has no name in our /dev: it is of another mount namespace
    return found


async def ask_patiently(
    question: Callable[[], Awaitable[T]], patience: float, on_wait: Callable[[Exception], None]
) -> T:
    """Ask a broker that may be restarting. Raises BrokerUnreachable, Refused."""
    deadline, is_reported = time.monotonic() + patience, False
    while True:
        try:
            return await question()
        except (BrokerUnreachable, Refused) as error:
            if time.monotonic() >= deadline or (isinstance(error, Refused) and error.status != 503):
                raise
            if not is_reported:
                on_wait(error)
        is_reported = True
        await asyncio.sleep(RETRY)


def print_ticket(page: Page, ticket: Mapping[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        page.json(ticket)
        return
    if not args.body:
        print_head(page, ticket, broker_words(load(ClientSettings, args).broker_url))
    page.line(visible(payload_text(ticket.get("payload"))))


def print_head(page: Page, ticket: Mapping[str, Any], broker: str) -> None:
    for name, value in head_lines(ticket, broker):
        page.line(f"{page.paint(name.ljust(9), 'dim')} {one_line(value)}")
    printed: object = None
    for moment in ticket.get("history") or ():
        # An acknowledgement repeats the evidence of the injection; print it once.
        text = one_line(describe_moment(moment, moment.get("evidence") != printed))
        page.line(f"{page.paint('history'.ljust(9), 'dim')} {text}")
        printed = moment.get("evidence")
    response = ticket.get("response")
    if isinstance(response, dict):
        page.line(page.paint("reply", "dim"))
        for line in visible(payload_text(response.get("payload"))).split("\n"):
            page.line("    " + line)
    size = visible(payload_text(ticket.get("payload"))).count("\n") + 1
    lines = f"{size} line{'s' if size > 1 else ''}"
    page.line(page.paint(f"---- the message, {lines}, to the end of this output ----", "dim"))


def head_lines(ticket: Mapping[str, Any], broker: str) -> list[tuple[str, str]]:
    ticket_id = str(ticket.get("ticketId"))
    lines = [
        ("ticket", ticket_id),
        ("from", bounded(str(ticket.get("originAgent") or "?"))),
        ("to", str(ticket.get("agentId") or ticket.get("targetAgent") or "?")),
        ("status", str(ticket.get("status"))),
    ]
    metadata = [
        (key, value) for key, value in (ticket.get("metadata") or {}).items() if key != "origin"
    ]
    lines += [
        ("metadata", bounded(f"{key} = {payload_text(value)}"))
        for key, value in metadata[:METADATA_MAX]
    ]
    if len(metadata) > METADATA_MAX:
        lines.append(("metadata", f"(cut, {len(metadata) - METADATA_MAX} more; --json shows all)"))
    if ticket.get("expectReply") and ticket.get("response") is None:
        lines.append(("answer", f'{own_words()} reply {id_words(ticket_id)} "..."{broker}'))
    return lines


def bounded(text: str) -> str:
    """The text, or its beginning and its length: a peer's text must not scroll the head away."""
    return (
        text
        if len(text) <= LINE_MAX
        else f"{text[:LINE_MAX]}… (cut, {len(text)} characters; --json shows all)"
    )


def describe_moment(moment: Mapping[str, Any], with_evidence: bool) -> str:
    words = [str(moment.get("at") or ""), str(moment.get("stage") or "")]
    if moment.get("by"):
        words.append(f"by {moment['by']}")
    return bounded(
        " ".join(words + (evidence_words(moment.get("evidence")) if with_evidence else []))
    )

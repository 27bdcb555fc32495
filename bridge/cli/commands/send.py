"""`send AGENT [TEXT | -]`: send one ticket; print its id, or with --wait the reply.

A script must know whether the ticket was accepted, even if stdout cannot be written.
Everything that may fail comes before the first write to stdout. So exit status 141 (stdout
closed) means accepted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import Mapping
from typing import Any

from bridge.backoff import full_jitter
from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    ask,
    checked_id,
    checked_name,
    pairs,
    read_text,
    whole,
)
from bridge.cli.safe_text import Page, one_line, payload_text, visible
from bridge.cli.self_command_words import alike
from bridge.client.broker import BrokerClient
from bridge.errors import BridgeError, BrokerUnreachable, UsageError
from bridge.ticket import ENDED

NO_REPLY = 7  # exit status
TIMEOUT_MS = 30000  # the default of a ticket's timeoutMs
ACCEPTED = """accepted or not:
  Exit status 0, 7 (no reply in time) and 141 (stdout is closed) mean: the ticket was accepted.
  In doubt, send again with the same --ticket-id: that creates no second ticket."""
# Of each request while waiting. Below common proxy limits, like the watcher's long-poll.
ONE_WAIT_MS = 25000


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "agent", metavar="AGENT", help="the agent to send to; it need not be registered"
    )
    parser.add_argument(
        "text", metavar="TEXT", nargs="?", help="the message; with - or none, standard input"
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait for the reply, at most --timeout-ms, and print it (exit status 7: no reply)",
    )
    parser.add_argument(
        "--payload-json",
        action="store_true",
        help="TEXT is JSON: send its value instead of a string",
    )
    add_ticket_flags(parser)
    add_json_flag(parser)
    add_broker_flags(parser)
    parser.epilog = f"{parser.epilog}\n\n{ACCEPTED}"


def add_ticket_flags(parser: argparse.ArgumentParser) -> None:
    """The ticket's fields beside its payload (HTTP_API.md, POST /agents/{id}/send)."""
    parser.add_argument(
        "--from",
        dest="origin",
        metavar="ORIGIN",
        help="the sender, which gets the reply (default: $BRIDGE_AGENT, else ui)",
    )
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        help="add this to the ticket's metadata; may be repeated",
    )
    parser.add_argument(
        "--urgent",
        action="store_true",
        help="deliver it before the tickets that wait (metadata.priority)",
    )
    parser.add_argument("--no-reply", action="store_true", help="expect no reply")
    parser.add_argument(
        "--timeout-ms",
        type=whole(0),
        metavar="N",
        help=f"how long to wait for the reply, in ms (default {TIMEOUT_MS})",
    )
    parser.add_argument(
        "--ttl-ms",
        type=whole(1),
        metavar="N",
        help="ms until the ticket expires, if it is not delivered before (default: never)",
    )
    parser.add_argument(
        "--ticket-id",
        metavar="ID",
        help="the ticket's id, chosen by you; sending it again creates no second ticket",
    )


def run(args: argparse.Namespace) -> int:
    if args.wait and args.no_reply:
        raise UsageError("--wait and --no-reply exclude each other")
    options = {
        "metadata": metadata_of(args),
        "expectReply": False if args.no_reply else None,
        "timeoutMs": args.timeout_ms,
        "ttlMs": args.ttl_ms,
        "ticketId": checked_id(args.ticket_id, "--ticket-id")
        if args.ticket_id is not None
        else None,
    }
    agent, payload = checked_name(args.agent, "AGENT"), payload_of(args)

    async def conversation(
        client: BrokerClient,
    ) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
        accepted = await client.send(agent, payload, **options)
        if accepted.get("known") is False:  # reported before --wait, which may take long
            Page().complain(await unknown(client, agent, str(accepted.get("ticketId"))))
        waited = (
            await wait_reply(client, str(accepted.get("ticketId")), args.timeout_ms or TIMEOUT_MS)
            if args.wait
            else None
        )
        return accepted, waited

    accepted, replied = ask(args, conversation)
    try:
        return print_outcome(args, accepted, replied)
    except OSError as error:  # errno decides the exit status
        ticket_id = one_line(str(accepted.get("ticketId")))
        raise OSError(
            error.errno, f"{error.strerror}; the ticket {ticket_id} was accepted"
        ) from None


async def unknown(client: BrokerClient, agent: str, ticket_id: str) -> str:
    """The warning about a ticket to an agent that the broker does not know."""
    try:
        names = [str(each.get("agentId")) for each in await client.agents()]
    except BridgeError:
        names = []  # the ticket was accepted; a suggestion is not worth an error
    guess = "".join(f", {one_line(name)}" for name in alike(agent, names))[2:]
    meant = f"; did you mean {guess}?" if guess else ""
    return (
        f"no agent {one_line(agent)} is registered or watched; the ticket waits for it"
        f"{meant} (`drop {one_line(ticket_id)}` withdraws the ticket)"
    )


def metadata_of(args: argparse.Namespace) -> dict[str, str]:
    metadata = pairs(args.metadata)
    metadata["origin"] = (
        args.origin or metadata.get("origin") or os.environ.get("BRIDGE_AGENT") or "ui"
    )
    checked_id(metadata["origin"], "--from")
    return {**metadata, "priority": "urgent"} if args.urgent else metadata


def payload_of(args: argparse.Namespace) -> object:
    text = read_text(args.text)
    if not args.payload_json:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the payload is not JSON: {error}") from None


async def wait_reply(
    client: BrokerClient, ticket_id: str, timeout_ms: int
) -> Mapping[str, Any] | None:
    """The ticket with its reply, or the ticket that ended without one; None after the timeout.

    A broker that restarts in the meantime is asked again.
    """
    clock, delays = asyncio.get_running_loop().time, full_jitter(0.25, 2.0)
    deadline = clock() + timeout_ms / 1000
    while clock() < deadline:
        try:
            left_ms = max(1, int(1000 * (deadline - clock())))
            replied = await client.wait_reply(ticket_id, min(left_ms, ONE_WAIT_MS))
            if replied is not None and (
                replied.get("response") is not None or replied.get("status") in ENDED
            ):
                return replied
        except BrokerUnreachable:
            pause = next(delays)
            if clock() + pause >= deadline:
                raise
            await asyncio.sleep(pause)
    return None


def print_outcome(
    args: argparse.Namespace, accepted: Mapping[str, Any], replied: Mapping[str, Any] | None
) -> int:
    page = Page()
    if args.json:
        page.json(replied or accepted)
    elif replied is not None and replied.get("response") is None:
        ticket_id, status = str(replied.get("ticketId")), str(replied.get("status"))
        page.complain(f"{one_line(ticket_id)} is {one_line(status)}; no reply to it will come")
    elif replied is not None:
        page.line(visible(payload_text(replied["response"].get("payload"))))
    elif not args.wait:
        page.line(one_line(str(accepted.get("ticketId"))))
    if args.wait and replied is None:
        ticket_id = one_line(str(accepted.get("ticketId")))
        page.complain(f"no reply to {ticket_id} in time; a reply may still come, see `show`")
    return NO_REPLY if args.wait and (replied is None or replied.get("response") is None) else 0

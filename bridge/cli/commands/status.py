"""`status [AGENT]`: show the state of the broker, or of one agent."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask, checked_id
from bridge.cli.safe_text import Page, one_line, payload_text
from bridge.client.broker import ABSENT, BrokerClient
from bridge.errors import Refused


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "agent", metavar="AGENT", nargs="?", help="show this agent instead of the broker"
    )
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent = checked_id(args.agent, "AGENT") if args.agent is not None else None
    found = ask(
        args,
        lambda client: agent_status(client, agent) if agent is not None else broker_status(client),
    )
    page = Page()
    if args.json:
        page.json(found)
        return 0
    if agent is not None:
        page.line(page.paint(one_line(agent), "bold"))
    lines = flatten(found)
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        page.line(f"{name.ljust(width)}  {one_line(payload_text(value))}")
    return 0


async def broker_status(client: BrokerClient) -> Mapping[str, Any]:
    return {"url": client.url, **await client.health(), "connections": await client.connections()}


async def agent_status(client: BrokerClient, agent: str) -> Mapping[str, Any]:
    """The agent's status, and `waiting`: why its next ticket waits. An old broker has no such."""
    found = dict(await client.agent_status(agent))
    try:
        rows = (await client.overview_json(agent)).get("agents") or [{}]
    except Refused as error:
        if error.status not in ABSENT:
            raise
        return found
    return {**found, "waiting": rows[0].get("waiting")}


def flatten(fields: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """{"sse": {"active": 1}} -> sse.active 1; None becomes a dash."""
    lines: list[tuple[str, Any]] = []
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            lines += flatten(value, f"{prefix}{one_line(name)}.")
        else:
            lines.append((prefix + one_line(name), "-" if value is None else value))
    return lines

"""`agents`: list the registered agents, and which of them are online."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask
from bridge.cli.safe_text import Page


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", help="only agents of this type")
    parser.add_argument(
        "--status", choices=("online", "offline"), help="only agents with this status"
    )
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agents = ask(args, lambda client: client.agents(type=args.type, status=args.status))
    page = Page()
    if args.json:
        page.json(agents)
        return 0
    page.table(
        ("AGENT", "TYPE", "STATUS", "LAST HEARTBEAT", "SESSION", "PANE"), map(row_of, agents)
    )
    return 0


def row_of(agent: Mapping[str, Any]) -> tuple[object, ...]:
    metadata = agent.get("metadata") or {}
    return (
        agent.get("agentId"),
        agent.get("type"),
        agent.get("status"),
        agent.get("lastHeartbeat"),
        metadata.get("session"),
        metadata.get("paneId"),
    )

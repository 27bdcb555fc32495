"""`register AGENT`: register an agent, so that replies to its tickets come to it as tickets."""

from __future__ import annotations

import argparse

from bridge.cli.broker_options import (
    add_broker_flags,
    add_json_flag,
    ask,
    checked_name,
    pairs,
    whole,
)
from bridge.cli.safe_text import Page, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id")
    parser.add_argument("--type", help="the kind of agent, for example claude")
    parser.add_argument("--session", help="the agent's tmux session (metadata.session)")
    parser.add_argument("--pane", help="the agent's tmux pane (metadata.paneId)")
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        help="add this to the agent's metadata; may be repeated",
    )
    parser.add_argument(
        "--heartbeat-interval-ms",
        type=whole(1),
        metavar="N",
        help="ms between the agent's heartbeats; without them the agent becomes offline "
        "(default: the broker's setting)",
    )
    add_json_flag(parser)
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    agent_id = checked_name(args.agent, "AGENT")
    metadata = pairs(args.metadata)
    metadata.update(
        {
            name: value
            for name, value in (("session", args.session), ("paneId", args.pane))
            if value is not None
        }
    )
    agent = ask(
        args,
        lambda client: client.register(
            agent_id,
            type=args.type,
            metadata=metadata or None,
            heartbeatIntervalMs=args.heartbeat_interval_ms,
        ),
    )
    page = Page()
    if args.json:
        page.json(agent)
    else:
        name, kind, status = (one_line(str(agent.get(f))) for f in ("agentId", "type", "status"))
        page.line(f"{name} is registered ({kind}, {status})")
    return 0

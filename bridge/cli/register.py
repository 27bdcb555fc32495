"""`register AGENT`: makes the agent known, so that replies to its tickets come back to it as tickets."""

from __future__ import annotations

import argparse

from bridge.cli.asking import add_broker_flags, add_json_flag, ask, checked_name, pairs, whole
from bridge.cli.text import Page, one_line


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="its id")
    parser.add_argument("--type", help="what it is, for example claude")
    parser.add_argument("--session", help="its tmux session (metadata.session)")
    parser.add_argument("--pane", help="its tmux pane (metadata.paneId)")
    parser.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        action="append",
        help="added to its metadata; may be repeated",
    )
    parser.add_argument(
        "--heartbeat-interval-ms",
        type=whole(1),
        metavar="N",
        help="ms between its heartbeats; offline when they stay away (default: the broker's)",
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
        page.line(
            f"{one_line(str(agent.get('agentId')))} is registered ({one_line(str(agent.get('type')))}, {one_line(str(agent.get('status')))})"
        )
    return 0

"""`top`: show agents and tickets, live.

Without a terminal, or with --once, print one table and exit.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from bridge.cli.broker_options import add_broker_flags, add_json_flag, ask
from bridge.cli.commands.top.app import App
from bridge.cli.commands.top.columns import BY_KEY, COLUMNS, DEFAULT_SORT, agent_matches, in_order
from bridge.cli.commands.top.feed import first_overview
from bridge.cli.commands.top.screen import why_unusable
from bridge.cli.commands.top.ui import Ui
from bridge.cli.flags import add_flags, load
from bridge.cli.safe_text import Page
from bridge.client.broker import BrokerClient
from bridge.client.observation import Overview
from bridge.settings import ClientSettings, TopSettings, WatcherSettings


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sort",
        choices=tuple(BY_KEY),
        default=DEFAULT_SORT,
        metavar="COLUMN",
        help=f"sort by one of {', '.join(BY_KEY)} (default {DEFAULT_SORT})",
    )
    parser.add_argument("--reverse", action="store_true", help="sort in the opposite direction")
    parser.add_argument(
        "--filter", default="", metavar="TEXT", help="only agents and tickets that contain TEXT"
    )
    parser.add_argument(
        "--once", action="store_true", help="print one table and exit, as without a terminal"
    )
    add_json_flag(parser)
    add_flags(parser, TopSettings, "the screen")
    add_flags(
        parser,
        WatcherSettings,
        "the stream",
        only=frozenset({"sse_heartbeat", "reconnect_base", "reconnect_max"}),
    )
    add_broker_flags(parser)


def run(args: argparse.Namespace) -> int:
    page, settings = Page(), load(TopSettings, args)
    if args.json:
        page.json(ask(args, lambda client: first_overview(client, settings.top_agents)))
        return 0
    obstacle = "" if args.once else why_unusable()
    if args.once or obstacle:
        overview = Overview.from_json(
            ask(args, lambda client: first_overview(client, settings.top_agents))
        )
        print_once(page, overview, args)
        if obstacle and sys.stdout.isatty():  # with a pipe, one table is expected
            page.complain(f"{obstacle}: one table instead of the live screen")
        return 0
    return asyncio.run(run_app(args, settings))


def print_once(page: Page, overview: Overview, args: argparse.Namespace) -> None:
    """Print all columns of all agents that the filter matches."""
    now = time.time()
    agents = in_order(
        (agent for agent in overview.agents if agent_matches(agent, args.filter)),
        args.sort,
        args.reverse,
        now,
    )
    page.table(
        [column.title for column in COLUMNS],
        [[column.text(agent, now) for column in COLUMNS] for agent in agents],
    )


async def run_app(args: argparse.Namespace, settings: TopSettings) -> int:
    async with BrokerClient(load(ClientSettings, args)) as client:
        return await App(
            client,
            settings,
            load(WatcherSettings, args),
            Ui(sort=args.sort, is_reversed=args.reverse, filter=args.filter),
        ).run()

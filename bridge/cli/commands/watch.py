"""`watch AGENT SESSION PANE`: receive an agent's tickets until a signal.

After SIGTERM, SIGINT or SIGHUP it finishes the current ticket, within a bound, and exits
with status 0. After a second signal it exits at once.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Callable

from bridge.cli.broker_options import add_broker_flags, checked_id
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.cli.sinks import PaneSinks, add_sink_flags, has_panes, sink_without_pane
from bridge.cli.tmux_options import add_no_control_flag
from bridge.client.broker import BrokerClient
from bridge.errors import PaneLost, PaneUnfit, TmuxError, UsageError
from bridge.settings import ClientSettings, TmuxSettings, WatcherSettings
from bridge.systemd import ServiceManager
from bridge.tmux.server.identity import HOW_TO_NAME, PANE_NAME
from bridge.watcher.discovery.merge import Assignment
from bridge.watcher.session import Session
from bridge.watcher.sinks.base import Sink

log = logging.getLogger("bridge.watcher")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent whose tickets to receive")
    parser.add_argument(
        "session", metavar="SESSION", nargs="?", help="the tmux session, by its exact name"
    )
    parser.add_argument(
        "pane",
        metavar="PANE",
        nargs="?",
        help="window.pane (1.0), tmux's pane id (%%7), or the pane's index (0) if the session has "
        "one window",
    )
    add_sink_flags(parser, "no pane: print each ticket as a line of JSON")
    add_flags(parser, WatcherSettings, "receiving")
    add_flags(parser, TmuxSettings, "the pane")
    add_no_control_flag(parser)
    add_broker_flags(parser)
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    checked_id(args.agent, "AGENT")
    check_sink(args)
    configure_logs(args)
    asyncio.run(watch(args))
    return 0


def check_sink(args: argparse.Namespace) -> None:
    if not has_panes(args):
        if args.session is not None:
            raise UsageError("--print and --exec need no SESSION and no PANE")
    elif args.session is None or args.pane is None:
        raise UsageError("name SESSION and PANE, or use --print or --exec CMD")
    elif not PANE_NAME.fullmatch(args.pane):
        raise UsageError(f"PANE is {args.pane!r}; write {HOW_TO_NAME}")


async def watch(args: argparse.Namespace) -> None:
    settings, manager = load(WatcherSettings, args), ServiceManager.from_environment(os.environ)
    client = BrokerClient(load(ClientSettings, args))
    async with AsyncExitStack() as owned:
        sink = make_sink(args, settings, client, owned)
        await check_at_start(sink)
        session = Session(args.agent, client, sink, settings)
        stop_on(SIGNALS, manager.stopping, session.stop)
        manager.ready(f"watching for {args.agent} at {client.url}")
        await session.run()


async def check_at_start(sink: Sink) -> None:
    """Fail at the start for an ambiguous name or another agent's pane. Raises PaneUnfit.

    A pane that does not exist yet is not an error: the watcher waits for it.
    """
    try:
        await sink.check()
    except PaneUnfit:
        raise
    except (PaneLost, TmuxError) as error:
        log.debug("the pane is not there yet reason=%s", error)


def make_sink(
    args: argparse.Namespace, settings: WatcherSettings, client: BrokerClient, owned: AsyncExitStack
) -> Sink:
    """The sink that the flags name. `owned` closes what it opens."""
    if not has_panes(args):
        return sink_without_pane(args, settings)
    panes = PaneSinks.open(args, settings.inject_rate, client, owned)
    return panes.make(Assignment(args.agent, args.session, args.pane))


def stop_on(signals: Sequence[int], *steps: Callable[[], None]) -> None:
    """The first of these signals takes the steps of a stop; the second ends the process.

    A signal that is ignored at the start stays ignored.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        for step in steps:
            step()
        for each in heard:
            loop.add_signal_handler(each, os._exit, 128 + number)

    heard = [number for number in signals if is_heard(number)]
    for number in heard:
        loop.add_signal_handler(number, on_signal, number)


def is_heard(number: int) -> bool:
    return signal.getsignal(number) is not signal.SIG_IGN  # for example SIGHUP under nohup(1)

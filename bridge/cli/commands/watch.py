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
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Callable

from bridge.cli.broker_options import add_broker_flags, checked_id
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.cli.self_command_words import name_program
from bridge.cli.tmux_options import add_form_flag, add_server_flags, control_of
from bridge.client.broker import BrokerClient
from bridge.errors import PaneLost, PaneUnfit, TmuxError, UsageError
from bridge.settings import ClientSettings, TmuxSettings, WatcherSettings
from bridge.systemd import ServiceManager
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.tenancy import Tenancy
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.server.identity import HOW_TO_NAME, PANE_NAME
from bridge.tmux.server.pane_list import PaneList
from bridge.watcher.session import Session
from bridge.watcher.sinks.base import Sink
from bridge.watcher.sinks.command import CommandSink
from bridge.watcher.sinks.pane import PaneSink
from bridge.watcher.sinks.stdout import PrintSink

log = logging.getLogger("bridge.watcher")
EXEC_HELP = (
    "no pane: run CMD with the ticket as JSON on its stdin; exit status 0 means delivered. "
    "At least once: after a crash of the watcher, CMD may run again for the same ticket, with the "
    "same BRIDGE_TICKET_ID"
)
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
    add_server_flags(parser)
    add_form_flag(parser)
    sink = parser.add_mutually_exclusive_group()
    sink.add_argument(
        "--print",
        dest="is_print",
        action="store_true",
        help="no pane: print each ticket as a line of JSON",
    )
    sink.add_argument("--exec", dest="exec_command", metavar="CMD", help=EXEC_HELP)
    add_flags(parser, WatcherSettings, "receiving")
    add_flags(parser, TmuxSettings, "the pane")
    parser.add_argument(
        "--no-control",
        dest="control",
        action="store_const",
        const="off",
        help="the same as --control off",
    )
    add_broker_flags(parser)
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    checked_id(args.agent, "AGENT")
    check_sink(args)
    configure_logs(args)
    asyncio.run(watch(args))
    return 0


def check_sink(args: argparse.Namespace) -> None:
    if args.is_print or args.exec_command is not None:
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
    if args.is_print:
        return PrintSink(sys.stdout)
    if args.exec_command is not None:
        return CommandSink(args.exec_command, settings.exec_timeout / 1000)
    tmux_settings = load(TmuxSettings, args)
    tmux, tty_events = control_of(args, tmux_settings), TtyEvents()
    owned.push_async_callback(tmux.aclose)
    owned.callback(tty_events.close)
    pane_list = PaneList(tmux)
    owned.push_async_callback(pane_list.aclose)
    tenancy = Tenancy(args.agent, tmux, pane_list)
    injector = Injector(
        tmux,
        args.session,
        args.pane,
        name_program(tmux_settings, client.url),
        args.form,
        tty_events,
        tenancy,
    )
    return PaneSink(
        injector, tenancy, args.session, args.pane, settings.inject_rate, client, tmux_settings
    )


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

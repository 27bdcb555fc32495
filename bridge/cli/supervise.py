"""`supervise [AGENT=SESSION:PANE …]`: receives the tickets of many agents, on one connection, until told to stop.

SIGTERM and SIGINT let the tickets under way be finished (bounded), then it leaves with status 0; a second one leaves at
once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import fields, replace

from bridge.cli.asking import add_broker_flags, checked_id
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.cli.panes import add_form_flag, add_server_flags, control_of
from bridge.cli.watch import name_broker, stop_on
from bridge.client.broker import BrokerClient
from bridge.settings import ClientSettings, TmuxSettings, WatcherSettings
from bridge.ticket import ID_MAX
from bridge.tmux.activity import Activity
from bridge.tmux.injector import Injector
from bridge.watcher.roster import Assignment, read_words
from bridge.watcher.sinks.base import Sink
from bridge.watcher.sinks.command import CommandSink
from bridge.watcher.sinks.pane import PaneSink
from bridge.watcher.sinks.stdout import PrintSink
from bridge.watcher.supervisor import MakeSink, Supervisor

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
RECEIVING = frozenset(entry.name for entry in fields(WatcherSettings)) - {"exit_on_loss"}  # one pane's loss ends nothing here


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("agents", metavar="AGENT=SESSION:PANE", nargs="*", help="whose tickets, and where they go: PANE is an index, window.pane, or a pane's id (AGENT=%%7); just AGENT with --print and --exec")
    parser.add_argument("--name", help="the name under which the broker knows what we receive (default: made of host, user and tmux server, so that a restart finds it again)")
    add_server_flags(parser)
    add_form_flag(parser)
    sink = parser.add_mutually_exclusive_group()
    sink.add_argument("--print", dest="is_print", action="store_true", help="no panes: print each ticket as a line of JSON")
    sink.add_argument("--exec", dest="exec_command", metavar="CMD", help="no panes: run CMD with the ticket as JSON on its stdin; done when it exits 0")
    add_flags(parser, WatcherSettings, "receiving", RECEIVING)
    add_flags(parser, TmuxSettings, "the panes")
    parser.add_argument("--no-control", dest="control", action="store_const", const="off", help="the same as --control off")
    add_broker_flags(parser)
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    args.has_panes = not args.is_print and args.exec_command is None
    args.roster = read_words(args.agents, not args.has_panes)
    args.name = checked_id(args.name, "--name") if args.name is not None else default_name(args)
    configure_logs(args)
    asyncio.run(supervise(args))
    return 0


async def supervise(args: argparse.Namespace) -> None:
    settings = replace(load(WatcherSettings, args), exit_on_loss=False)
    client = BrokerClient(load(ClientSettings, args))
    async with AsyncExitStack() as owned:
        supervisor = Supervisor(args.name, client, sink_maker(args, settings, client.url, owned), settings)
        supervisor.assign(args.roster)
        stop_on(STOP_SIGNALS, supervisor.stop)
        await supervisor.run()


def sink_maker(args: argparse.Namespace, settings: WatcherSettings, broker: str, owned: AsyncExitStack) -> MakeSink:
    """What makes an agent's sink; what all of them share is opened here, and closed with `owned`."""
    if not args.has_panes:
        shared: Sink = PrintSink(sys.stdout) if args.is_print else CommandSink(args.exec_command, settings.exec_timeout / 1000)
        return lambda assignment: shared
    tmux_settings = load(TmuxSettings, args)
    tmux, activity = control_of(args, tmux_settings), Activity()
    owned.push_async_callback(tmux.aclose)
    owned.callback(activity.close)
    typing = name_broker(tmux_settings, broker)

    def make(assignment: Assignment) -> Sink:
        injector = Injector(tmux, assignment.session, assignment.pane, typing, assignment.form or args.form, activity)
        return PaneSink(injector, assignment.session, assignment.pane, settings.inject_rate)

    return make


def default_name(args: argparse.Namespace) -> str:
    """The same after a restart, another one for another user, host, or tmux server."""
    where = "print" if args.is_print else "exec" if args.exec_command is not None else args.socket_path or args.socket_name or "default"
    name = f"supervisor:{socket.gethostname()}:{os.getuid()}:{where}"
    if len(name) > ID_MAX or not name.isprintable():
        name = f"supervisor:{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return name

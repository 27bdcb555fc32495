"""`supervise`: receive the tickets of many agents, on one connection, until a signal.

After SIGTERM or SIGINT it finishes the current tickets, within a bound. Then it exits with
status 0. After a second signal it exits at once. SIGHUP makes it read its agents again: the
file, the registry, the sessions.
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
from dataclasses import dataclass, fields, replace
from typing import Callable

from bridge.cli.broker_options import add_broker_flags, checked_id
from bridge.cli.commands.watch import EXEC_HELP, is_heard, stop_on
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.cli.self_command_words import name_program
from bridge.cli.tmux_options import add_form_flag, add_server_flags, control_of
from bridge.client.broker import BrokerClient
from bridge.errors import UsageError
from bridge.settings import ClientSettings, SupervisorSettings, TmuxSettings, WatcherSettings
from bridge.systemd import ServiceManager
from bridge.tasks import run_together
from bridge.ticket import ID_MAX
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.tenancy import PaneTurns, Tenancy
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane_list import PaneList
from bridge.watcher.discovery.merge import Assignment, read_words
from bridge.watcher.discovery.roster_updates import RosterUpdates
from bridge.watcher.discovery.sources import FileSource, RegistrySource, SessionSource, Source
from bridge.watcher.sinks.base import Sink
from bridge.watcher.sinks.command import CommandSink
from bridge.watcher.sinks.pane import PaneSink
from bridge.watcher.sinks.stdout import PrintSink
from bridge.watcher.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Without exit_on_loss: the other agents go on when one pane is lost.
RECEIVING = frozenset(entry.name for entry in fields(WatcherSettings)) - {"exit_on_loss"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "agents",
        metavar="AGENT=SESSION:PANE",
        nargs="*",
        help="an agent and its pane. PANE is window.pane (lucy=work:1.0), or the pane's index if "
        "the session has one window (lucy=dev-lucy:0); a pane's id needs no session (lucy=%%7). "
        "With --print and --exec give only AGENT",
    )
    parser.add_argument(
        "--file",
        metavar="PATH",
        help='more agents, from a JSON file: {"lucy": "dev-lucy:0", "bob": {"session": "dev-bob", '
        '"pane": "0", "form": "agent"}}; it is read again when it changes',
    )
    parser.add_argument(
        "--discover",
        action="store_true",
        help="more agents: those registered at the broker with a pane and a session of this tmux "
        "server",
    )
    parser.add_argument(
        "--sessions",
        metavar="PATTERN",
        help="more agents: with 'dev-*', each tmux session dev-NAME is the agent NAME, in the "
        "session's first pane",
    )
    parser.add_argument(
        "--name",
        help="the name of this supervisor at the broker; it must be the same after a restart "
        "(default: made from the host, the user and the tmux server)",
    )
    add_server_flags(parser)
    add_form_flag(parser)
    sink = parser.add_mutually_exclusive_group()
    sink.add_argument(
        "--print",
        dest="is_print",
        action="store_true",
        help="no panes: print each ticket as a line of JSON",
    )
    sink.add_argument("--exec", dest="exec_command", metavar="CMD", help=EXEC_HELP)
    add_flags(parser, SupervisorSettings, "the agents")
    add_flags(parser, WatcherSettings, "receiving", RECEIVING)
    add_flags(parser, TmuxSettings, "the panes")
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
    args.has_panes = not args.is_print and args.exec_command is None
    if not (args.agents or args.file or args.discover or args.sessions):
        raise UsageError("name an agent (lucy=dev-lucy:0), or use --file, --discover or --sessions")
    if not args.has_panes and (args.discover or args.sessions):
        raise UsageError(
            "--discover and --sessions find panes; with --print and --exec name the agents, "
            "or use --file"
        )
    args.name = checked_id(args.name, "--name") if args.name is not None else default_name(args)
    configure_logs(args)
    asyncio.run(supervise(args))
    return 0


async def supervise(args: argparse.Namespace) -> None:
    settings = replace(load(WatcherSettings, args), exit_on_loss=False)
    limits = load(SupervisorSettings, args)
    words = read_words(args.agents, not args.has_panes, limits.share_pane)
    manager = ServiceManager.from_environment(os.environ)
    client = BrokerClient(load(ClientSettings, args))
    async with AsyncExitStack() as owned:
        panes = open_panes(args, settings, limits, client, owned) if args.has_panes else None
        file = (
            FileSource(args.file, not args.has_panes, limits.file_check / 1000, limits.share_pane)
            if args.file
            else None
        )
        # A mistake in the file is an error at the start, and a line in the log later.
        known = {file.name: file.read()} if file else {}
        sources = [*([file] if file else []), *other_sources(args, client, panes, limits)]
        supervisor = Supervisor(
            args.name,
            client,
            panes.make_sink if panes else shared_sink(args, settings),
            settings,
            limits.supervise_max,
        )
        updates = RosterUpdates(words, sources, supervisor.assign, known)
        supervisor.on_open = updates.look_again
        supervisor.assign(updates.roster)
        stop_on(STOP_SIGNALS, manager.stopping, supervisor.stop)
        if is_heard(signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, updates.look_again)
        manager.ready(f"supervising as {args.name} at {client.url}")
        await run_together(supervisor=supervisor.run(), updates=updates.run())


@dataclass(frozen=True)
class Panes:
    """Shared by all agents of one tmux server."""

    tmux: Tmux
    pane_list: PaneList
    make_sink: Callable[[Assignment], Sink]


def open_panes(
    args: argparse.Namespace,
    settings: WatcherSettings,
    limits: SupervisorSettings,
    client: BrokerClient,
    owned: AsyncExitStack,
) -> Panes:
    """`owned` closes what is opened here."""
    tmux_settings = load(TmuxSettings, args)
    tmux, tty_events = control_of(args, tmux_settings), TtyEvents()
    pane_list = PaneList(tmux, settings.pane_check / 2000)
    owned.push_async_callback(tmux.aclose)
    owned.callback(tty_events.close)
    owned.push_async_callback(pane_list.aclose)
    injector_settings = name_program(tmux_settings, client.url)
    turns = PaneTurns() if limits.share_pane else None

    def make_sink(assignment: Assignment) -> Sink:
        tenancy = Tenancy(assignment.agent, tmux, pane_list, turns)
        injector = Injector(
            tmux,
            assignment.session,
            assignment.pane,
            injector_settings,
            assignment.form or args.form,
            tty_events,
            tenancy,
        )
        return PaneSink(
            injector,
            tenancy,
            assignment.session,
            assignment.pane,
            settings.inject_rate,
            client,
            tmux_settings,
        )

    # A wrong pattern or command is one error at the start, instead of one for each agent.
    make_sink(Assignment(""))
    return Panes(tmux, pane_list, make_sink)


def shared_sink(
    args: argparse.Namespace, settings: WatcherSettings
) -> Callable[[Assignment], Sink]:
    """One sink for all agents: there is one stdout, and each ticket starts its own command."""
    shared: Sink = (
        PrintSink(sys.stdout)
        if args.is_print
        else CommandSink(args.exec_command, settings.exec_timeout / 1000)
    )
    return lambda assignment: shared


def other_sources(
    args: argparse.Namespace,
    client: BrokerClient,
    panes: Panes | None,
    limits: SupervisorSettings,
) -> list[Source]:
    found: list[Source] = []
    if panes is not None and args.discover:
        found.append(RegistrySource(client, panes.pane_list, limits.discover_interval / 1000))
    if panes is not None and args.sessions is not None:
        found.append(
            SessionSource(
                args.sessions,
                panes.pane_list,
                limits.sessions_interval / 1000,
                limits.forget_after / 1000,
            )
        )
    return found


def default_name(args: argparse.Namespace) -> str:
    """A name that stays the same after a restart. Each user, host and tmux server has its own."""
    where = (
        "print"
        if args.is_print
        else "exec"
        if args.exec_command is not None
        else args.socket_path or args.socket_name or "default"
    )
    name = f"supervisor:{socket.gethostname()}:{os.getuid()}:{where}"
    if len(name) > ID_MAX or not name.isprintable():
        name = f"supervisor:{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()}"
    return name

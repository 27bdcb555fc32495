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
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from typing import Callable

from bridge.cli.broker_options import add_broker_flags, checked_id
from bridge.cli.commands.watch import is_heard, stop_on
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.cli.sinks import PaneSinks, add_sink_flags, has_panes, sink_without_pane
from bridge.cli.tmux_options import add_no_control_flag
from bridge.client.broker import BrokerClient
from bridge.errors import UsageError
from bridge.settings import ClientSettings, SupervisorSettings, TmuxSettings, WatcherSettings
from bridge.systemd import ServiceManager
from bridge.tasks import run_together
from bridge.ticket import ID_MAX
from bridge.tmux.injection.tenancy import PaneTurns
from bridge.watcher.discovery.assignments import RosterUpdates
from bridge.watcher.discovery.merge import Assignment, read_words
from bridge.watcher.discovery.sources import FileSource, RegistrySource, SessionSource, Source
from bridge.watcher.sinks.base import Sink
from bridge.watcher.supervisor import Supervisor

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Without exit_on_loss: the other agents go on when one pane is lost.
RECEIVING = frozenset(entry.name for entry in fields(WatcherSettings)) - {"exit_on_loss"}


def configure(parser: argparse.ArgumentParser) -> None:
    add_agent_flags(parser)
    parser.add_argument(
        "--name",
        help="the name of this supervisor at the broker; it must be the same after a restart "
        "(default: made from the host, the user and the tmux server)",
    )
    add_sink_flags(parser, "no panes: print each ticket as a line of JSON")
    add_flags(parser, SupervisorSettings, "the agents")
    add_flags(parser, WatcherSettings, "receiving", RECEIVING)
    add_flags(parser, TmuxSettings, "the panes")
    add_no_control_flag(parser)
    add_broker_flags(parser)
    add_log_flags(parser)


def add_agent_flags(parser: argparse.ArgumentParser) -> None:
    """Which agents to serve: words of the command line, and the sources beside them."""
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


def run(args: argparse.Namespace) -> int:
    args.has_panes = has_panes(args)
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
            panes.make if panes else shared_sink(args, settings),
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


def open_panes(
    args: argparse.Namespace,
    settings: WatcherSettings,
    limits: SupervisorSettings,
    client: BrokerClient,
    owned: AsyncExitStack,
) -> PaneSinks:
    turns = PaneTurns() if limits.share_pane else None
    fresh = settings.pane_check / 2000
    panes = PaneSinks.open(args, settings.inject_rate, client, owned, fresh, turns)
    # A wrong pattern or command is one error at the start, instead of one for each agent.
    panes.make(Assignment(""))
    return panes


def shared_sink(
    args: argparse.Namespace, settings: WatcherSettings
) -> Callable[[Assignment], Sink]:
    shared = sink_without_pane(args, settings)
    return lambda assignment: shared


def other_sources(
    args: argparse.Namespace,
    client: BrokerClient,
    panes: PaneSinks | None,
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

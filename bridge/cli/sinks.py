"""Shared by `watch` and `supervise`: where received tickets go, its flags, and how it is made.

    SESSION PANE   a PaneSink for each pane; those of one tmux server share what PaneSinks holds
    --print        one PrintSink: there is one stdout
    --exec CMD     one CommandSink: each ticket starts its own command

The sinks themselves are in watcher/sinks.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bridge.cli.flags import load
from bridge.cli.self_command_words import name_program
from bridge.cli.tmux_options import add_form_flag, add_server_flags, control_of
from bridge.client.broker import BrokerClient
from bridge.settings import TmuxSettings, WatcherSettings
from bridge.tmux.control_mode.client import ControlClient
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.tenancy import PaneTurns, Tenancy
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.server.pane_list import RECENT, PaneList
from bridge.watcher.discovery.merge import Assignment
from bridge.watcher.sinks.base import Sink
from bridge.watcher.sinks.command import CommandSink
from bridge.watcher.sinks.pane import PaneSink
from bridge.watcher.sinks.stdout import PrintSink


def add_sink_flags(parser: argparse.ArgumentParser, print_help: str) -> None:
    add_server_flags(parser)
    add_form_flag(parser)
    sink = parser.add_mutually_exclusive_group()
    sink.add_argument("--print", dest="is_print", action="store_true", help=print_help)
    sink.add_argument(
        "--exec",
        dest="exec_command",
        metavar="CMD",
        help="no pane: run CMD with the ticket as JSON on its stdin; exit status 0 means "
        "delivered. At least once: after a crash of the watcher, CMD may run again for the same "
        "ticket, with the same BRIDGE_TICKET_ID",
    )


def has_panes(args: argparse.Namespace) -> bool:
    return not args.is_print and args.exec_command is None


def sink_without_pane(args: argparse.Namespace, settings: WatcherSettings) -> Sink:
    """The sink of --print or --exec, for all agents."""
    if args.is_print:
        return PrintSink(sys.stdout)
    return CommandSink(args.exec_command, settings.exec_timeout / 1000)


@dataclass(frozen=True)
class PaneSinks:
    """Makes the sinks of one tmux server's panes."""

    pane_list: PaneList
    tmux: ControlClient
    tty_events: TtyEvents
    turns: PaneTurns | None  # None: agents may not share a pane
    form: str  # of --form
    settings: TmuxSettings
    inject_rate: int
    client: BrokerClient

    @classmethod
    def open(
        cls,
        args: argparse.Namespace,
        inject_rate: int,
        client: BrokerClient,
        owned: AsyncExitStack,
        fresh: float = RECENT,
        turns: PaneTurns | None = None,
    ) -> PaneSinks:
        """`owned` closes what is opened here. `fresh` as in PaneList."""
        settings = load(TmuxSettings, args)
        tmux, tty_events = control_of(args, settings), TtyEvents()
        pane_list = PaneList(tmux, fresh)
        owned.push_async_callback(tmux.aclose)
        owned.callback(tty_events.close)
        owned.push_async_callback(pane_list.aclose)
        return cls(pane_list, tmux, tty_events, turns, args.form, settings, inject_rate, client)

    def make(self, assignment: Assignment) -> Sink:
        """Raises UsageError for a wrong pattern or command in the settings."""
        session, pane = assignment.session, assignment.pane
        tenancy = Tenancy(assignment.agent, self.tmux, self.pane_list, self.turns)
        injector = Injector(
            self.tmux,
            session,
            pane,
            name_program(self.settings, self.client.url),
            assignment.form or self.form,
            self.tty_events,
            tenancy,
        )
        return PaneSink(
            injector, tenancy, session, pane, self.inject_rate, self.client, self.settings
        )

"""Shared by the commands that look at a pane: the tmux server, and the form of the injection."""

from __future__ import annotations

import argparse

from bridge.settings import TmuxSettings
from bridge.tmux.control_mode.client import ControlClient
from bridge.tmux.server.client import Tmux


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "-L", dest="socket_name", metavar="NAME", help="the tmux server's socket name, as tmux -L"
    )
    place.add_argument(
        "-S", dest="socket_path", metavar="PATH", help="the tmux server's socket path, as tmux -S"
    )


def add_form_flag(parser: argparse.ArgumentParser) -> None:
    text = (
        "agent: paste the ticket's text; shell: type only a constant command; "
        "auto: choose by the program in the pane (default auto)"
    )
    parser.add_argument("--form", choices=("auto", "agent", "shell"), default="auto", help=text)


def add_no_control_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--no-control",
        dest="control",
        action="store_const",
        const="off",
        help="the same as --control off",
    )


def tmux_of(args: argparse.Namespace, settings: TmuxSettings) -> Tmux:
    """The tmux server that -L or -S names, or the default one."""
    return Tmux(args.socket_name, args.socket_path, settings.tmux_deadline / 1000)


def control_of(args: argparse.Namespace, settings: TmuxSettings) -> ControlClient:
    """The same for a long-running command: with a control client where --control allows it."""
    return ControlClient(
        args.socket_name, args.socket_path, settings.tmux_deadline / 1000, policy=settings.control
    )

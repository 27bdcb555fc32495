"""What the commands that look at a pane share: which tmux server, which pane, which form."""

from __future__ import annotations

import argparse

from bridge.settings import TmuxSettings
from bridge.tmux.command import Tmux
from bridge.tmux.control import ControlClient


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "-L", dest="socket_name", metavar="NAME", help="tmux's socket name, as tmux -L"
    )
    place.add_argument(
        "-S", dest="socket_path", metavar="PATH", help="tmux's socket path, as tmux -S"
    )


def add_form_flag(parser: argparse.ArgumentParser) -> None:
    text = "agent: the text is pasted; shell: only a constant command is typed (default auto)"
    parser.add_argument("--form", choices=("auto", "agent", "shell"), default="auto", help=text)


def tmux_of(args: argparse.Namespace, settings: TmuxSettings) -> Tmux:
    """The server that -L or -S name, or the person's own."""
    return Tmux(args.socket_name, args.socket_path, settings.tmux_deadline / 1000)


def control_of(args: argparse.Namespace, settings: TmuxSettings) -> ControlClient:
    """The same for a command that stays: through a control client where --control allows it."""
    return ControlClient(
        args.socket_name, args.socket_path, settings.tmux_deadline / 1000, policy=settings.control
    )

"""Shells in panes of a private tmux server, each of which writes its tickets into a file."""

from __future__ import annotations

import contextlib
import pathlib
import re

from panes import Server
from running import wait_until

QUICK = {
    "BRIDGE_RETRY_MAX": "300",
    "BRIDGE_RECONNECT_MAX": "300",
    "BRIDGE_PANE_CHECK": "200",
    "BRIDGE_INJECT_RATE": "0",
    "BRIDGE_SESSIONS_INTERVAL": "200",
    "BRIDGE_COOL_DOWN": "0",
}
BASH = "exec env PS1='$ ' HISTFILE=/dev/null bash --norc --noprofile"


class Words:
    """The command line for one tmux server, and the tickets in the file of each pane."""

    def __init__(self, tmux: Server) -> None:
        self.tmux = tmux
        self.end = ["-L", tmux.name, "--shell-command", "echo {id} >> given-$TMUX_PANE"]

    def open(self, session: str) -> str:
        return self.tmux(
            "new-session",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-s",
            session,
            "-c",
            str(self.tmux.folder),
            BASH,
        ).strip()

    def window(self, target: str) -> str:
        return self.tmux(
            "new-window",
            "-d",
            "-P",
            "-F",
            "#{pane_id}",
            "-t",
            f"={target}",
            "-c",
            str(self.tmux.folder),
            BASH,
        ).strip()

    def given(self, pane: str) -> list[str]:
        path = self.tmux.folder / f"given-{pane}"
        return path.read_text().split() if path.exists() else []

    def wait_given(self, pane: str, tickets: list[str]) -> None:
        wait_until(
            lambda: self.given(pane) == tickets, f"{tickets} in {pane}: it has {self.given(pane)}"
        )


@contextlib.contextmanager
def shell_panes(folder: pathlib.Path):
    tmux = Server(folder)
    tmux("new-session", "-d", "-s", "witness", "exec cat")
    yield Words(tmux)
    tmux.stop()


def why(bridge, ticket: str) -> str:
    return " ".join(bridge.run("why", ticket).split())


def wait_why(bridge, ticket: str, text: str) -> None:
    wait_until(lambda: re.search(text, why(bridge, ticket)), f"{text!r}: {why(bridge, ticket)}")

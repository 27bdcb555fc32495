"""The setup for a check of `doctor`. Without a URL, no server listens at its broker URL."""

from __future__ import annotations

from bridge.doctor.finding import Setup
from bridge.settings import ClientSettings, DoctorSettings, TmuxSettings, WatcherSettings
from bridge.tmux.server.client import Tmux

DEAD = "http://127.0.0.1:1"


def setup(
    url: str = DEAD,
    db: str = "/nowhere/bridge.db",
    named: bool = True,
    program: str = "tmux",
    first_byte: int = 5000,
    shell_command: str = "x",
    **doctor,
) -> Setup:
    watcher, panes = (
        WatcherSettings(first_byte=first_byte),
        TmuxSettings(shell_command=shell_command),
    )
    return Setup(
        DoctorSettings(**doctor),
        ClientSettings(broker_url=url),
        watcher,
        panes,
        Tmux("bridge-test-no-such-server", program=program),
        str(db),
        named,
    )

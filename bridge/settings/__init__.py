"""Every default, with its unit and its reason; flag > environment > default.

    setting.py    how one setting is described and read
    broker.py     settings of the broker
    watcher.py    how a watcher or a supervisor reaches its broker, receives and delivers
    tmux.py       how a ticket gets into a pane
    commands.py   settings of single commands: doctor, show, tail, top, bench

Import from `bridge.settings`; the modules above are its inside.
"""

from __future__ import annotations

from bridge.settings.broker import BrokerSettings, default_db
from bridge.settings.commands import (
    BenchSettings,
    DoctorSettings,
    LoadSettings,
    ShowSettings,
    TailSettings,
    TopSettings,
)
from bridge.settings.setting import load
from bridge.settings.tmux import TmuxSettings
from bridge.settings.watcher import ClientSettings, SupervisorSettings, WatcherSettings

__all__ = [
    "BenchSettings",
    "BrokerSettings",
    "ClientSettings",
    "DoctorSettings",
    "LoadSettings",
    "ShowSettings",
    "SupervisorSettings",
    "TailSettings",
    "TmuxSettings",
    "TopSettings",
    "WatcherSettings",
    "default_db",
    "load",
]

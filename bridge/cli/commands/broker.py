"""`broker`: run the broker until SIGTERM or SIGINT.

A service manager may pass its listening sockets, and gets its state (bridge/systemd.py).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import ExitStack

from bridge.broker.server import serve
from bridge.cli.flags import add_flags, load
from bridge.cli.logs import add_log_flags, configure_logs
from bridge.settings import BrokerSettings
from bridge.systemd import ServiceManager, take_listeners


def configure(parser: argparse.ArgumentParser) -> None:
    add_flags(
        parser,
        BrokerSettings,
        "settings (sizes in bytes and times in milliseconds, unless the text names another unit)",
    )
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    configure_logs(args, is_patient=True)
    settings = load(BrokerSettings, args)
    manager, passed = ServiceManager.from_environment(os.environ), take_listeners(os.environ)
    with ExitStack() as owned:
        for listener in passed:
            owned.enter_context(listener)
        asyncio.run(serve(settings, say_ready, manager, passed))
    return 0


def say_ready(url: str) -> None:
    """Write the line that scripts wait for.

    In one write: `print` makes two, and a line of the log thread came between them.
    """
    sys.stderr.write(f"bridge broker ready on {url}\n")
    sys.stderr.flush()

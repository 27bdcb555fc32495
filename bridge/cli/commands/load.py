"""`bench load`: how much load a running broker can take (bridge/bench/load.py).

The first Ctrl-C ends the sending and prints the figures until then, like ping(8). The exit
status is then 130. It is 1 when a ticket was lost or doubled, or a request was refused.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys

from bridge.bench.account import Result
from bridge.bench.figures import Latency, shown
from bridge.bench.load import Load
from bridge.cli.main import INTERRUPTED, OK, UNEXPECTED
from bridge.cli.progress import ProgressLine, here_and_now
from bridge.cli.safe_text import Page, one_line
from bridge.settings import ClientSettings, LoadSettings

SIGNALS = (signal.SIGINT, signal.SIGTERM)
BUSY = 80  # percent of a core; above it, this process may be slower than the broker


def drive_broker(client: ClientSettings, settings: LoadSettings, is_json: bool) -> int:
    with ProgressLine(sys.stderr) as line:
        result, is_interrupted = asyncio.run(drive(client, settings, line))
    page = Page()
    if is_json:
        page.json(result.to_json())
    else:
        show(page, result)
    if is_interrupted:
        return INTERRUPTED
    return OK if result.is_clean else UNEXPECTED


async def drive(
    client: ClientSettings, settings: LoadSettings, line: ProgressLine
) -> tuple[Result, bool]:
    """The result, and whether a signal interrupted it."""
    loop = asyncio.get_running_loop()
    load = Load(client, settings, lambda what, how_far: line.tell(f"bench load: {what}", how_far))
    interrupted = asyncio.Event()

    def on_signal() -> None:
        interrupted.set()
        load.stop()
        for number in SIGNALS:  # a second signal ends the process at once
            loop.add_signal_handler(number, os._exit, 128 + number)

    for number in SIGNALS:
        loop.add_signal_handler(number, on_signal)
    return await load.run(), interrupted.is_set()


def show(page: Page, result: Result) -> None:
    settings, arrived = result.settings, shown(result.received_per_second)
    rate = f"{settings.rate} tickets a second" if settings.rate else "at full speed"
    page.line(
        f"{result.url}: {settings.streams} streams, {rate} over {settings.publishers} connections; "
        f"{here_and_now()}"
    )
    page.line()
    behind = f" (asked for: {settings.rate})" if result.is_behind else ""
    page.line(
        f"sent            {result.sent} in {result.seconds:.1f} s, {result.accepted} accepted, "
        f"{result.received} arrived, {arrived} a second{behind}"
    )
    page.line(f"POST → stream   {latency_line(result.latency)}")
    page.line(f"POST → 202      {latency_line(result.answers)}")
    held = f" ({result.lost_pending} of them still with the broker)" if result.lost_pending else ""
    page.line(
        f"lost            {result.lost}{held}, doubled {result.doubled}, "
        f"repeated after a reconnect {result.repeated}, not ours {result.strangers}"
    )
    for name, count in result.errors.items():
        page.line(page.paint(f"error           {one_line(name)}: {count}", "red"))
    if result.refusal:
        page.line(f"first refusal   {one_line(result.refusal)}{advice(result.refusal)}")
    limit = "; bench, not the broker, may be the limit" if result.cpu_percent > BUSY else ""
    page.line(f"CPU of bench    {result.cpu_percent:.0f} % of a core{limit}")


def latency_line(latency: Latency) -> str:
    figures = {
        "average": latency.mean_ms,
        "p50": latency.p50_ms,
        "p99": latency.p99_ms,
        "p99.9": latency.p999_ms,
        "max": latency.max_ms,
    }
    return "  ".join(f"{name} {shown(figure)}" for name, figure in figures.items()) + "  ms"


def advice(refusal: str) -> str:
    """How to raise the limit, when the broker's text names its setting."""
    named = re.search(r"BRIDGE_[A-Z_]+", refusal)
    if named is None:
        return ""
    change = (
        "start the broker with BRIDGE_RATE_LIMIT=0"
        if named.group() == "BRIDGE_RATE_LIMIT"
        else f"raise {named.group()} of the broker"
    )
    return f"; to measure beyond this limit {change}, or use more --streams"

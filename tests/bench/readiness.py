"""Time from a prompt in a pane until the injector's `wait_ready` returns. No broker takes part.

    python3 tests/bench/readiness.py [--rounds 100] [--control off|on]

A bash writes the time into a FIFO before each prompt, and runs `sleep` for a random time. The
measured time runs from the written time to the end of `wait_ready`.

Each round over the limit is printed with its events and their times. So a real tail can be told
from a machine that was busy with other work. The events are:

    event        the kernel reported that the prompt was written
    look, seen   begin and end of one tmux query (a process, unless --control on)

The injector is the one that a watcher uses.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable
from typing import Any

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent), str(TESTS / "tmux")]

from panes import PaneHandle, Server  # noqa: E402

from bridge.settings import TmuxSettings  # noqa: E402
from bridge.tmux.control_mode.client import ControlClient  # noqa: E402
from bridge.tmux.injection.injector import Injector  # noqa: E402
from bridge.tmux.readiness.tty_events import TtyEvents  # noqa: E402

LIMIT = 50.0  # ms; the documented limit of a watcher


class Trace:
    """Events and their times, by the wall clock, because the shell can read no other."""

    def __init__(self) -> None:
        self.notes: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        self.notes.append((time.time(), what))

    def since(self, moment: float) -> str:
        return " ".join(
            f"{what}{1000 * (at - moment):+.0f}" for at, what in self.notes if at > moment - 0.05
        )


class TracedTtyEvents(TtyEvents):
    trace: Trace

    def _hear(self) -> None:
        self.trace.note("event")
        super()._hear()


class TracedTmux(ControlClient):
    trace: Trace

    async def run(self, *argv: str, **options: Any) -> str:
        return await self._noted(super().run(*argv, **options))

    async def query(self, *argv: str) -> str:
        return await self._noted(super().query(*argv))

    async def run_guarded(self, *argv: str) -> str:
        return await self._noted(super().run_guarded(*argv))

    async def _noted(self, said: Awaitable[str]) -> str:
        self.trace.note("look")
        try:
            return await said
        finally:
            self.trace.note("seen")


class Bench:
    def __init__(self, server: Server, folder: pathlib.Path, policy: str) -> None:
        self.trace = Trace()
        self.tmux, self.tty_events = (
            TracedTmux(socket_name=server.name, policy=policy),
            TracedTtyEvents(),
        )
        self.tmux.trace = self.tty_events.trace = self.trace
        self.fifo = str(folder / "prompts")
        os.mkfifo(self.fifo)
        self.reader = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.pane: PaneHandle = server.open("bash --norc --noprofile")
        self.pane.type(f"PROMPT_COMMAND='echo $EPOCHREALTIME > {self.fifo}'")
        self.pane.keys("Enter")
        self.injector = Injector(
            self.tmux, self.pane.session, "0", TmuxSettings(), tty_events=self.tty_events
        )

    def read_prompt(self) -> float:
        """The time just before the last prompt was written; 0.0 if there was none."""
        try:
            return float(os.read(self.reader, 65536).split()[-1])
        except BlockingIOError:
            return 0.0

    async def measure(self) -> float:
        """Milliseconds from a prompt to the return of `wait_ready`."""
        await self.injector.wait_ready()
        await asyncio.sleep(0.2)
        self.read_prompt()
        self.pane.type(f"sleep {random.uniform(0.3, 2.0):.3f}")
        self.pane.keys("Enter")
        while (await self.injector.explain()).ready:
            await asyncio.sleep(0.01)
        self.trace.notes.clear()
        await self.injector.wait_ready()
        known, written = time.time(), self.read_prompt()
        taken = 1000 * (known - written)
        if taken > LIMIT:
            print(
                f"{taken:7.1f} ms, load {os.getloadavg()[0]:.1f}: {self.trace.since(written)}",
                flush=True,
            )
        return taken


async def measure_all(
    server: Server, folder: pathlib.Path, options: argparse.Namespace
) -> list[float]:
    bench = Bench(server, folder, options.control)
    try:
        return sorted([await bench.measure() for _ in range(options.rounds)])
    finally:
        bench.tty_events.close()
        await bench.tmux.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100, help="about 1.5 s each (default 100)")
    parser.add_argument("--control", choices=("off", "on"), default="off")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as name:
        server = Server(pathlib.Path(name))
        try:
            taken = asyncio.run(measure_all(server, pathlib.Path(name), options))
        finally:
            server.stop()
    at = {share: taken[min(len(taken) - 1, int(share / 100 * len(taken)))] for share in (90, 99)}
    over = sum(each > LIMIT for each in taken)
    print(
        f"{len(taken)} prompts: p50 {statistics.median(taken):.1f} ms, "
        f"p90 {at[90]:.1f}, p99 {at[99]:.1f}, max {taken[-1]:.1f}; "
        f"{over} over {LIMIT:g} ms; load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()

"""Latency of a well-behaved sender (50 sends a second), alone and beside each abuse.

    python3 tests/bench/beside.py [--seconds 6] [--rounds 3] [--only flood,texts]

Each abuse gets a new broker. In each round the sender is measured for some seconds alone, and then
as long beside the abuse. The median of its p99 beside should be at most 3 times that of its p99
alone (the last column). Both come from one run, so the ratio depends little on the machine.

The abuse is a process of low priority. So this measures how the broker divides its work, and not
which process gets the two cores of a small machine.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pathlib
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Callable

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent)]

from raw_http import Line, request_bytes  # noqa: E402
from running import Broker, package_launcher  # noqa: E402

RATE = 50  # sends a second
SETTINGS = {"BRIDGE_RATE_LIMIT": 0, "BRIDGE_QUEUE_MAX": 100_000}
STREAMS = 3000
BACKLOG = 32_000


def pump(port: int, data: bytes, count: int = 1) -> None:
    """Write the same bytes for ever on `count` connections, and read the responses."""
    lines = [open_line(port) for _ in range(count)]
    while True:
        for number, line in enumerate(lines):
            try:
                line.send(data)
            except (BlockingIOError, socket.timeout):
                pass
            except OSError:
                lines[number] = line = open_line(port)
            try:
                while line.socket.recv(1 << 20):
                    pass
                lines[number] = open_line(port)
            except BlockingIOError:
                pass
            except OSError:
                lines[number] = open_line(port)


def open_line(port: int) -> Line:
    line = Line(port)
    line.socket.setblocking(False)
    return line


def send_to(agent: str, payload: object) -> bytes:
    return request_bytes("POST", f"/agents/{agent}/send", {"payload": payload})


def flood(port: int) -> None:
    pump(port, send_to("flooded", "x") * 50, 4)


def unread_streams(port: int) -> None:
    agents = range(STREAMS)
    lines = [Line(port, receive_buffer=4096) for _ in agents]
    for number, line in zip(agents, lines):
        line.request("GET", f"/agents/unread-{number % 100}/tickets/stream")
    pump(port, send_to("unread-1", "x" * 2000), 1)


def texts(port: int) -> None:
    pump(port, send_to("texts", "x" * 1_000_000), 3)


def lists(port: int) -> None:
    pump(port, send_to("lists", [[] for _ in range(24_000)]), 3)


def too_many_lists(port: int) -> None:
    pump(port, send_to("lists", [[]] * 300_000), 3)


def everything(port: int) -> None:
    lines = [Line(port, receive_buffer=4096) for _ in range(10)]
    while True:  # each new stream begins with all pending tickets
        for number, line in enumerate(lines):
            line.request("GET", "/tickets/stream")
            time.sleep(0.05)
            line.close()
            lines[number] = Line(port, receive_buffer=4096)


def searches(port: int) -> None:
    pump(port, request_bytes("GET", "/search?q=nowhere") * 20)


def listings(port: int) -> None:
    pump(port, request_bytes("GET", "/agents") + request_bytes("GET", "/overview?limit=10000"), 2)


def slow_heads(port: int) -> None:
    lines = [Line(port) for _ in range(STREAMS)]
    while True:
        for number, line in enumerate(lines):
            try:
                line.send(b"G")
            except OSError:
                lines[number] = Line(port)
        time.sleep(0.5)


def fill(port: int, count: int, agents: int) -> None:
    with Line(port) as line:
        for first in range(0, count, 200):
            for number in range(first, first + 200):
                line.send(send_to(f"full-{number % agents}", "hay " * 40))
            for _ in range(200):
                line.read_answer()


def register(port: int) -> None:
    with Line(port) as line:
        for number in range(2000):
            assert (
                line.ask(
                    "POST",
                    "/agents/register",
                    {"agentId": f"listed-{number}", "metadata": {"team": "x" * 100}},
                ).status
                == 200
            )


ABUSES: dict[str, tuple[str, Callable[[int], None], Callable[[int], None] | None]] = {
    "flood": ("4 connections pipeline sends to one agent", flood, None),
    "unread": (f"{STREAMS} streams that never read, fed by a flood", unread_streams, None),
    "texts": ("3 connections send texts of 1 MB", texts, None),
    "lists": ("3 connections send 24,000 nested lists", lists, None),
    "refused-lists": ("3 connections send 300,000 lists, refused", too_many_lists, None),
    "everything": (
        f"10 unread streams of all agents, {BACKLOG} pending",
        everything,
        lambda port: fill(port, BACKLOG, 50),
    ),
    "search": (
        f"one connection pipelines searches of {BACKLOG}",
        searches,
        lambda port: fill(port, BACKLOG, 50),
    ),
    "listings": ("2 connections list 2,000 agents", listings, register),
    "slow-heads": (f"{STREAMS} request heads, a byte each half second", slow_heads, None),
}


def measure(port: int, seconds: float) -> list[float]:
    """Milliseconds of each send, sorted.

    Each is counted from its scheduled time. So the delay that a slow send causes to the next ones
    is included (no coordinated omission).
    """
    found = []
    with Line(port) as line:
        began = time.perf_counter()
        for number in range(int(seconds * RATE)):
            due = began + number / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            assert line.ask("POST", "/agents/well-behaved/send", {"payload": number}).status == 202
            found.append((time.perf_counter() - due) * 1000)
    return sorted(found)


def p99(found: list[float]) -> float:
    return found[int(len(found) * 0.99)]


def beside(name: str, seconds: float, rounds: int, folder: str) -> None:
    words, abuse, prepare = ABUSES[name]
    broker = Broker(package_launcher(strict=False), f"{folder}/{name}.db", **SETTINGS).start()
    try:
        broker.register("well-behaved")
        if prepare is not None:
            prepare(broker.port)
        measure(broker.port, 1)
        alone, found = [], []
        for _ in range(rounds):
            alone.append(measure(broker.port, seconds))
            with started(abuse, broker.port):
                found.append(measure(broker.port, seconds))
            time.sleep(3.0)  # the broker ends the connections of the abuse
        print(
            f"{words:50} alone {told(alone)}   beside {told(found)}   "
            f"{median(map(p99, found)) / median(map(p99, alone)):5.1f} x",
            flush=True,
        )
    finally:
        broker.kill()


def told(rounds: list[list[float]]) -> str:
    middle = median(each[len(each) // 2] for each in rounds)
    return f"{middle:5.1f} / {median(map(p99, rounds)):6.1f}"


@contextmanager
def started(abuse: Callable[[int], None], port: int) -> Iterator[None]:
    process = multiprocessing.Process(target=_run, args=(abuse, port), daemon=True)
    process.start()
    time.sleep(1.5)
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(abuse: Callable[[int], None], port: int) -> None:
    os.nice(10)
    abuse(port)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--only", default=",".join(ABUSES), help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="their medians are printed")
    args = parser.parse_args()
    print("latency of a send, ms: p50 / p99")
    with tempfile.TemporaryDirectory(prefix="bridge-beside-") as folder:
        for name in args.only.split(","):
            beside(name, args.seconds, args.rounds, folder)


if __name__ == "__main__":
    main()

"""From POST to submitted text in an idle pane: ours, and the predecessor's way, in the same run.

    python3 tests/bench/injection.py [--tickets 30] [--old-tickets 8] [--json]

A broker with its durable store, a private tmux server, a bash pane and a scripted full-screen agent. A ticket is
submitted when the pane's program hands it on: the shell by running its constant command, the agent by taking an Enter;
both write to a FIFO that this script reads, so the moment is known within a fraction of a millisecond. Each ticket is
sent when the one before is acknowledged and the pane has been idle for a while.

The predecessor's way, small and faithful: `GET pending` every 5 s, at a random phase; text by `send-keys -l`; a fixed
sleep of 2 s; Enter; another of 2 s; acknowledge. It is timed through the same broker and the same panes.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent), str(TESTS / "tmux")]

from panes import AGENTS, PaneHandle, Server  # noqa: E402
from running import ROOT, Broker, environment, package_launcher, wait_until  # noqa: E402

OLD_POLL, OLD_SLEEP = 5.0, 2.0  # seconds: the predecessor's
IDLE = 1.0  # seconds that a pane rests between two tickets: idle is what we measure
PATIENCE = 30.0


class Fifo:
    """Where a pane's program hands on what was submitted; remembers when."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._descriptor = os.open(
            path, os.O_RDWR
        )  # also for writing: no end of file when a program closes it
        self._text = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            data = os.read(self._descriptor, 65536)
            moment = time.perf_counter()
            with self._changed:
                self._text += data.decode(errors="replace")
                self.moment = moment
                self._changed.notify_all()

    def wait(self, word: str) -> float:
        """The moment at which `word` had come."""
        with self._changed:
            assert self._changed.wait_for(lambda: word in self._text, PATIENCE), (
                f"{word} was never submitted; {self._text[-300:]!r}"
            )
            self._text = ""
            return self.moment


class Bench:
    """Broker, panes and FIFOs; one way of watching at a time."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.tmux = Server(folder)
        self.broker = Broker(
            package_launcher(strict=False), str(folder / "bench.db"), BRIDGE_RATE_LIMIT=0
        )
        self.fifos = {name: Fifo(folder / f"{name}.fifo") for name in ("shell", "agent")}
        self.numbers = 0

    def __enter__(self) -> Bench:
        self.broker.start()
        agent = shlex.join(
            [
                sys.executable,
                str(AGENTS / "agent.py"),
                "--log",
                str(self.folder / "agent.fifo"),
                "--box",
            ]
        )
        for name, command in (("shell", "bash --norc --noprofile"), ("agent", agent)):
            self.tmux(
                "new-session",
                "-d",
                "-s",
                name,
                "-x",
                "120",
                "-y",
                "40",
                "-c",
                str(self.folder),
                "exec " + command,
            )
        wait_until(
            lambda: "$" in self.screen("shell") or "#" in self.screen("shell"), "the shell's prompt"
        )
        wait_until(lambda: "BRIDGE-TEST-AGENT" in self.screen("agent"), "the agent's banner")
        return self

    def __exit__(self, *_) -> None:
        programs = [
            int(self.tmux("display-message", "-p", "-t", f"={pane}:", "#{pane_pid}"))
            for pane in self.fifos
        ]
        self.tmux.stop()
        self.broker.stop(check=False)
        for program in programs:  # a shell still writes its history into our folder
            wait_until(
                lambda program=program: not os.path.exists(f"/proc/{program}"),
                "the end of the panes",
            )

    def screen(self, pane: str) -> str:
        return PaneHandle(self.tmux, pane, f"={pane}:").screen()

    def command(self) -> str:
        return f"echo {{id}} > {self.folder}/shell.fifo"

    def send(self, pane: str) -> tuple[str, float]:
        self.numbers += 1
        ticket_id = f"bench-{self.numbers}-end"
        began = time.perf_counter()
        self.broker.send(pane, "please run the tests, and tell me what fails", ticketId=ticket_id)
        return ticket_id, began

    def time_one(self, pane: str) -> float:
        """Milliseconds from POST to submitted, in an idle pane."""
        time.sleep(IDLE)
        ticket_id, began = self.send(pane)
        taken = self.fifos[pane].wait(ticket_id) - began
        wait_until(
            lambda: self.broker.ticket(ticket_id)["status"] != "pending", "the acknowledgement"
        )
        return 1000 * taken


def time_ours(bench: Bench, pane: str, count: int, say) -> list[float]:
    words = [
        "watch",
        pane,
        pane,
        "0",
        "-L",
        bench.tmux.name,
        "--shell-command",
        bench.command(),
        "--log-level",
        "warning",
        *(["--form", "agent"] if pane == "agent" else []),
    ]
    watcher = subprocess.Popen(
        [*package_launcher(strict=False), *words],
        env=environment(BRIDGE_BROKER_URL=bench.broker.url),
        cwd=ROOT,
    )
    try:
        bench.time_one(pane)  # the first one waits for the watcher's start
        return [
            say("ours", pane, number, count, bench.time_one(pane)) for number in range(1, count + 1)
        ]
    finally:
        watcher.terminate()
        watcher.wait(PATIENCE)


class OldWatcher(threading.Thread):
    """The predecessor's loop."""

    def __init__(self, bench: Bench, pane: str) -> None:
        super().__init__(daemon=True)
        self.bench, self.pane, self.stopping = bench, pane, threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(OLD_POLL):
            for ticket in self.bench.broker.pending(self.pane):
                self._inject(ticket)
                self.bench.broker.acknowledge(ticket["ticketId"])

    def _inject(self, ticket: dict) -> None:
        text = (
            ticket["payload"] + " " + ticket["ticketId"]
            if self.pane == "agent"
            else self.bench.command().format(id=ticket["ticketId"])
        )
        self.bench.tmux("send-keys", "-t", f"={self.pane}:", "-l", "--", text)
        time.sleep(OLD_SLEEP)
        self.bench.tmux("send-keys", "-t", f"={self.pane}:", "Enter")
        time.sleep(OLD_SLEEP)


def time_old(bench: Bench, pane: str, count: int, say) -> list[float]:
    watcher = OldWatcher(bench, pane)
    watcher.start()
    taken = []
    try:
        for number in range(1, count + 1):
            time.sleep(random.uniform(0, OLD_POLL))  # senders do not know the phase of the poll
            taken.append(say("old", pane, number, count, bench.time_one(pane)))
    finally:
        watcher.stopping.set()
        watcher.join(PATIENCE)
    return taken


def percentile(values: list[float], share: float) -> float:
    """Nearest rank: of 30 values, p99 is the largest."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def summarise(values: list[float]) -> dict[str, float]:
    return {
        "tickets": len(values),
        "p50_ms": round(statistics.median(values), 1),
        "p99_ms": round(percentile(values, 0.99), 1),
    }


def print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'pane':8}{'way':14}{'tickets':>8}{'p50 ms':>10}{'p99 ms':>10}{'times slower':>14}")
    for pane, ways in results.items():
        for way, row in ways.items():
            ratio = row["p50_ms"] / ways["ours"]["p50_ms"]
            print(
                f"{pane:8}{way:14}{row['tickets']:8}{row['p50_ms']:10.1f}{row['p99_ms']:10.1f}{ratio:13.0f}x"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tickets", type=int, default=30, help="for each pane, our way (default 30)"
    )
    parser.add_argument(
        "--old-tickets",
        type=int,
        default=8,
        help="for each pane, the predecessor's way; each takes about 10 s (default 8)",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    def say(way: str, pane: str, number: int, count: int, taken: float) -> float:
        print(
            f"\r{way} {pane} {number}/{count}: {taken:.1f} ms   ",
            end="\n" if number == count else "",
            file=sys.stderr,
            flush=True,
        )
        return taken

    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as name:
        with Bench(pathlib.Path(name)) as bench:
            results = {}
            for pane in ("shell", "agent"):
                ours = time_ours(bench, pane, options.tickets, say)
                old = time_old(bench, pane, options.old_tickets, say) if options.old_tickets else []
                results[pane] = {
                    "ours": summarise(ours),
                    **({"predecessor": summarise(old)} if old else {}),
                }
    print(json.dumps(results, indent=2)) if options.json else print_table(results)


if __name__ == "__main__":
    main()

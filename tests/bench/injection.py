"""Time from POST to submitted text in an idle pane, by bridge and by its predecessor's method.

    python3 tests/bench/injection.py [--tickets 30] [--old-tickets 8] [--json]

The script starts a broker with its durable store, a private tmux server, a bash pane and a
scripted full-screen agent. A ticket is submitted when the shell runs its constant command, or
when the agent gets an Enter. Both write to a FIFO that this script reads, so the time is exact
within a fraction of a millisecond. Each ticket is sent after the one before is acknowledged and
the pane has been idle for a while.

The predecessor's method is imitated with the same broker and panes, in the same run. It polls
`GET pending` every 5 s, at a random phase. It then types the text by `send-keys -l`, sleeps 2 s,
sends Enter, sleeps 2 s, and acknowledges.
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

OLD_POLL, OLD_SLEEP = 5.0, 2.0  # seconds, as in the predecessor
IDLE = 1.0  # seconds between two tickets, because an idle pane is measured
PATIENCE = 30.0


class Fifo:
    """The FIFO to which a pane's program writes submitted text. Records when it arrived."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Open for writing too, so that there is no end of file when a program closes the FIFO.
        self._descriptor = os.open(path, os.O_RDWR)
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
        """Wait for `word`; return when it arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: word in self._text, PATIENCE), (
                f"{word} was never submitted; {self._text[-300:]!r}"
            )
            self._text = ""
            return self.moment


class Bench:
    """Broker, panes and FIFOs. One method at a time watches a pane."""

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
        # A shell may still write its history into our folder, which is removed after this.
        for program in programs:
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
        """Milliseconds from POST to submission, in an idle pane."""
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
        bench.time_one(pane)  # not counted: it includes the watcher's start
        return [
            say("ours", pane, number, count, bench.time_one(pane)) for number in range(1, count + 1)
        ]
    finally:
        watcher.terminate()
        watcher.wait(PATIENCE)


class OldWatcher(threading.Thread):
    """The loop of the predecessor's watcher."""

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
            time.sleep(random.uniform(0, OLD_POLL))  # sends are independent of the poll's phase
            taken.append(say("old", pane, number, count, bench.time_one(pane)))
    finally:
        watcher.stopping.set()
        watcher.join(PATIENCE)
    return taken


def percentile(values: list[float], share: float) -> float:
    """The nearest-rank percentile. Of 30 values, p99 is the largest."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def summarise(values: list[float]) -> dict[str, float]:
    return {
        "tickets": len(values),
        "p50_ms": round(statistics.median(values), 1),
        "p99_ms": round(percentile(values, 0.99), 1),
    }


def print_table(results: dict[str, dict[str, dict[str, float]]]) -> None:
    print(f"{'pane':8}{'method':14}{'tickets':>8}{'p50 ms':>10}{'p99 ms':>10}{'times slower':>14}")
    for pane, ways in results.items():
        for way, row in ways.items():
            ratio = row["p50_ms"] / ways["ours"]["p50_ms"]
            print(
                f"{pane:8}{way:14}{row['tickets']:8}"
                f"{row['p50_ms']:10.1f}{row['p99_ms']:10.1f}{ratio:13.0f}x"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--tickets", type=int, default=30, help="tickets for each pane, by bridge (default 30)"
    )
    parser.add_argument(
        "--old-tickets",
        type=int,
        default=8,
        help="tickets for each pane, by the predecessor's method, about 10 s each (default 8)",
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

"""The cost of one supervisor for a hundred idle panes, and a ticket's latency when all are busy.

    python3 tests/bench/supervise.py [--agents 100] [--idle 60] [--rounds 5]
                                     [--control off|auto|on] [--json]

The script starts a broker with its durable store, and a private tmux server with one bash pane
for each agent. One supervisor watches all agents.

- Idle: CPU (proc(5) stat, and that of its children), RSS, and the broker's responses meanwhile.
- Busy: each round sends one ticket to each agent within a second, at random times. The time runs
  from POST until the pane's shell has run its command, which writes to a FIFO of this script.
- Alone: the same, one agent at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:1] = [str(TESTS), str(TESTS.parent), str(TESTS / "tmux")]

from panes import Server  # noqa: E402
from raw_http import Line  # noqa: E402
from running import ROOT, Broker, environment, package_launcher, wait_until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 60.0


class Fifo:
    """The FIFO to which the shells write the ticket ids. Records when each one arrived."""

    def __init__(self, path: pathlib.Path) -> None:
        self.moments: dict[str, float] = {}
        os.mkfifo(path)
        # Open for writing too, so that there is no end of file when a shell closes the FIFO.
        self._descriptor = os.open(path, os.O_RDWR)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            data = os.read(self._descriptor, 65536)
            moment = time.perf_counter()
            for word in data.decode(errors="replace").split():
                self.moments.setdefault(word, moment)


class Bench:
    def __init__(self, folder: pathlib.Path, agents: int, control: str) -> None:
        self.folder, self.agents, self.control = (
            folder,
            [f"a{number:03}" for number in range(agents)],
            control,
        )
        self.tmux = Server(folder)
        self.broker = Broker(
            package_launcher(strict=False), str(folder / "bench.db"), BRIDGE_RATE_LIMIT=0
        )
        self.fifo = Fifo(folder / "fifo")
        self.numbers = 0

    def __enter__(self) -> Bench:
        self.broker.start()
        for agent in self.agents:
            self.tmux(
                "new-session",
                "-d",
                "-s",
                f"dev-{agent}",
                "-x",
                "100",
                "-y",
                "20",
                "-c",
                str(self.folder),
                "exec bash --norc --noprofile",
            )
        words = [
            "supervise",
            "--sessions",
            "dev-*",
            "-L",
            self.tmux.name,
            "--control",
            self.control,
            "--shell-command",
            f"echo {{id}} > {self.folder}/fifo",
            "--log-level",
            "warning",
        ]
        began = time.perf_counter()
        self.supervisor = subprocess.Popen(
            [*package_launcher(strict=False), *words],
            env=environment(BRIDGE_BROKER_URL=self.broker.url),
            cwd=ROOT,
        )
        wait_until(
            lambda: len(self.broker.ask("GET", "/agents?status=online").json) == len(self.agents),
            "all agents online",
            PATIENCE,
        )
        self.started = time.perf_counter() - began
        return self

    def __exit__(self, *_) -> None:
        self.supervisor.terminate()
        self.supervisor.wait(PATIENCE)
        programs = [int(pid) for pid in self.tmux("list-panes", "-a", "-F", "#{pane_pid}").split()]
        self.tmux.stop()
        self.broker.stop(check=False)
        # A shell may still write its history into our folder, which is removed after this.
        for program in programs:
            wait_until(
                lambda program=program: not os.path.exists(f"/proc/{program}"),
                "the end of the panes",
            )

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU so far: of the supervisor, and of the tmux clients that it has run."""
        fields = (
            pathlib.Path(f"/proc/{self.supervisor.pid}/stat").read_text().rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / TICK, (
            int(fields[13]) + int(fields[14])
        ) / TICK

    def responses(self) -> float:
        return sum(
            value
            for name, value in self.broker.metrics().items()
            if name.startswith("bridge_http_responses_total")
        )

    def idle(self, seconds: float) -> dict[str, float]:
        own, children = self.cpu()
        answered = self.responses()
        time.sleep(seconds)
        own_after, children_after = self.cpu()
        status = pathlib.Path(f"/proc/{self.supervisor.pid}/status").read_text()
        return {
            "seconds": seconds,
            "start_s": round(self.started, 2),
            "cpu_percent": round(100 * (own_after - own) / seconds, 2),
            "tmux_clients_percent": round(100 * (children_after - children) / seconds, 2),
            "rss_mib": round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1),
            "requests": self.responses() - answered - 1,  # without this script's own GET /metrics
        }

    def send(self, line: Line, agent: str) -> tuple[str, float]:
        """Send one ticket; return its id and the time of the send."""
        self.numbers += 1
        ticket_id = f"{agent}-{self.numbers}-{random.randrange(10**9)}"
        began = time.perf_counter()
        assert (
            line.ask(
                "POST", f"/agents/{agent}/send", {"payload": "x" * 200, "ticketId": ticket_id}
            ).status
            == 202
        )
        return ticket_id, began

    def taken(self, sent: list[tuple[str, float]]) -> list[float]:
        """Milliseconds from POST to submission, for each ticket."""
        wait_until(
            lambda: all(ticket_id in self.fifo.moments for ticket_id, _ in sent),
            "every ticket in its pane",
            PATIENCE,
        )
        return [1000 * (self.fifo.moments[ticket_id] - began) for ticket_id, began in sent]

    def alone(self, count: int) -> list[float]:
        found: list[float] = []
        with Line(self.broker.port) as line:
            for _ in range(count):
                time.sleep(0.2)
                found += self.taken([self.send(line, random.choice(self.agents))])
        return found

    def busy(self, rounds: int, spread: float) -> list[float]:
        found: list[float] = []
        with Line(self.broker.port) as line:
            for _ in range(rounds):
                time.sleep(0.5)
                began, sent = time.perf_counter(), []
                for moment, agent in sorted(
                    (random.uniform(0, spread), agent) for agent in self.agents
                ):
                    time.sleep(max(0.0, began + moment - time.perf_counter()))
                    sent.append(self.send(line, agent))
                found += self.taken(sent)
        return found


def summarise(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "tickets": len(values),
        "p50_ms": round(statistics.median(values), 1),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 1),
    }


def load(bench: Bench, rounds: int, spread: float) -> dict[str, dict[str, float]]:
    alone = summarise(bench.alone(10 * rounds))
    before = bench.cpu()
    busy = summarise(bench.busy(rounds, spread))
    own, children = (
        1000 * (after - earlier) / (rounds * len(bench.agents))
        for after, earlier in zip(bench.cpu(), before)
    )
    busy.update(cpu_ms=round(own, 2), tmux_clients_cpu_ms=round(children, 2))  # per ticket
    busy["p99_times_alone"] = round(busy["p99_ms"] / alone["p99_ms"], 2)
    return {"alone": alone, "busy": busy}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--idle", type=float, default=60.0, help="seconds (default 60)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=5,
        help="rounds of one ticket to each agent; 10 times as many alone; 0: only idle (default 5)",
    )
    parser.add_argument(
        "--spread",
        type=float,
        default=1.0,
        help="seconds over which a round's tickets are sent; 0: all at once (default 1)",
    )
    parser.add_argument("--control", default="off", help="as the flag of `supervise`")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as name:
        with Bench(pathlib.Path(name), options.agents, options.control) as bench:
            time.sleep(3.0)  # until the work of the start is over
            results = {"idle": bench.idle(options.idle)} if options.idle else {}
            if options.rounds:
                results.update(load(bench, options.rounds, options.spread))
    print(
        json.dumps(results, indent=2)
        if options.json
        else "\n".join(f"{name:6} {row}" for name, row in results.items())
    )


if __name__ == "__main__":
    main()

"""Start a broker as a user would: as a process, from the package or the one-file program.

    Broker(launcher, db).start() ─► ready line ─► ask/stream ─► stop (SIGTERM) | kill (SIGKILL)

All that the broker writes to stderr is kept. `stop` asserts that it holds no traceback and no
warning.
"""

from __future__ import annotations

import collections
import itertools
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import IO

import own_home  # noqa: F401  before any process is started
from raw_http import PATIENCE, Answer, EventStream, Line

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY = re.compile(r"^bridge broker ready on (http://\S+?:(\d+))/?$")
START_DEADLINE = 30.0  # seconds; with -X dev a loaded machine needs a few
names = (f"agent-{number}" for number in itertools.count(1))


def new_name() -> str:
    """An agent name that no other test uses."""
    return next(names)


def package_launcher(strict: bool = True) -> list[str]:
    return [sys.executable, *(["-X", "dev", "-W", "error"] if strict else []), "-m", "bridge"]


def environment(**settings: object) -> dict[str, str]:
    """This process's environment without the settings of bridge, plus `settings`."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BRIDGE_", "BROKER_"))
        and name not in ("DISABLE_SSE", "POLL_INTERVAL_MS", "PYTHONPATH", "TMUX", "TMUX_PANE")
    }
    return {
        **mine,
        "PYTHONPATH": str(ROOT),
        **{name: str(value) for name, value in settings.items()},
    }


def without_slowness(said: str) -> str:
    """`said` without the lines in which asyncio's debug mode (-X dev) reports a slow callback.

    asyncio writes one for each callback over 0.1 s. On a loaded machine that is no fault.
    """
    return "".join(line for line in said.splitlines(keepends=True) if "Executing <" not in line)


def read_line(stderr: IO[str]) -> str:
    """The next line of a process that is not of the kind above; "" at the end."""
    line = stderr.readline()
    while "Executing <" in line:
        line = stderr.readline()
    return line


def wait_until(condition, what: str, patience: float = PATIENCE):
    """Return the first true value of `condition()`; fail with `what` after `patience`."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < patience, f"timed out waiting for: {what}"
        # Most conditions ask the broker. A long wait asks less often, and lasts 5 % longer.
        time.sleep(min(max(0.01, waited / 20), 0.1))


class Broker:
    """One broker process on a free port."""

    def __init__(
        self, launcher: list[str], db: str, cwd: str | None = None, flags=(), **settings: object
    ) -> None:
        self.launcher, self.db, self.cwd, self.flags = launcher, str(db), cwd, list(flags)
        self.settings = settings
        self.pass_fds: tuple[int, ...] = ()  # file descriptors that the process inherits
        self.process: subprocess.Popen | None = None
        self.stderr: list[str] = []
        self.port = 0
        self.url = ""

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(self, kind, *_) -> None:
        self.stop(check=kind is None)

    def start(self, limits: dict[int, int] | None = None) -> Broker:
        self.spawn(limits)
        try:
            self._wait_ready()
            assert self.port, f"the broker did not start: {self.said()}"
        except BaseException:
            self.kill()
            raise
        return self

    def _wait_ready(self) -> None:
        try:
            wait_until(
                lambda: self.port or self.process.poll() is not None,
                "the ready line",
                START_DEADLINE,
            )
        except AssertionError:
            self.signal(signal.SIGABRT)  # with -X dev, faulthandler writes a traceback
            self.wait()
            raise AssertionError(f"no ready line in {START_DEADLINE:g} s: {self.said()}") from None

    def spawn(self, limits: dict[int, int] | None = None) -> Broker:
        """Start the process without waiting for the ready line."""
        self.port, self.stderr = 0, []
        arguments = [*self.launcher, "broker", "--port", "0", "--db", self.db, *self.flags]
        self.process = subprocess.Popen(
            arguments,
            cwd=self.cwd or str(ROOT),
            env=environment(**self.settings),
            pass_fds=self.pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for limit, value in (limits or {}).items():
            resource.prlimit(self.process.pid, limit, (value, value))
        self.listeners = [
            threading.Thread(target=self._listen, args=(pipe,), daemon=True)
            for pipe in (self.process.stderr, self.process.stdout)
        ]
        for listener in self.listeners:
            listener.start()
        return self

    def _listen(self, pipe) -> None:
        with pipe:
            for text in pipe:
                self.stderr.append(text.rstrip("\n"))
                match = READY.match(self.stderr[-1])
                if match and pipe is self.process.stderr:
                    self.url, self.port = match[1], int(match[2])

    def said(self) -> str:
        return "\n".join(self.stderr)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Wait until the process has ended and its output has been read; return its status."""
        status = self.process.wait(patience)
        for listener in self.listeners:
            listener.join(patience)
        return status

    def stop(self, check: bool = True) -> None:
        """Send SIGTERM. The broker must exit with status 0 and without an alarm on stderr."""
        if self.process is None or self.process.poll() is not None and not check:
            return
        self.signal(signal.SIGTERM)
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the broker did not stop on SIGTERM: {self.said()}") from None
        if check:
            assert status == 0, f"exit status {status}: {self.said()}"
            self.check_calm()

    def check_calm(self) -> None:
        for sign in ("Traceback", "Warning", "never retrieved", "was destroyed"):
            assert sign not in self.said(), self.said()

    def kill(self) -> None:
        """Send SIGKILL, which ends the process without any cleanup, like a power cut."""
        if self.process is not None:
            self.process.kill()
            self.wait()

    def line(self, **options) -> Line:
        return Line(self.port, **options)

    def ask(
        self, method: str, path: str, body=None, fields=(), timeout: float = PATIENCE
    ) -> Answer:
        with Line(self.port, timeout=timeout) as line:
            return line.ask(method, path, body, [*fields, ("Connection", "close")])

    def stream(self, path: str, fields=(), **options) -> EventStream:
        return EventStream(self.port, path, fields, **options)

    def agent_stream(self, agent: str, fields=(), **options) -> EventStream:
        return self.stream(f"/agents/{agent}/tickets/stream", fields, **options)

    def send(self, agent: str, payload="hello", **fields) -> str:
        """Send one ticket and return its id."""
        answer = self.ask("POST", f"/agents/{agent}/send", {"payload": payload, **fields})
        assert answer.status == 202, answer
        return answer.json["ticketId"]

    def pending(self, agent: str, query: str = "") -> list[dict]:
        answer = self.ask("GET", f"/agents/{agent}/tickets/pending{query}")
        assert answer.status == 200, answer
        return answer.json

    def ticket(self, ticket_id: str) -> dict:
        answer = self.ask("GET", f"/tickets/{ticket_id}")
        assert answer.status == 200, answer
        return answer.json

    def register(self, agent: str, **fields) -> dict:
        answer = self.ask("POST", "/agents/register", {"agentId": agent, **fields})
        assert answer.status == 200, answer
        return answer.json

    def acknowledge(self, ticket_id: str, body=None) -> Answer:
        return self.ask("POST", f"/tickets/{ticket_id}/acknowledge", body)

    def metrics(self) -> dict[str, float]:
        """Every sample, by its name and labels as they are written."""
        answer = self.ask("GET", "/metrics")
        samples = (
            text.rpartition(" ")
            for text in answer.body.decode().splitlines()
            if text and not text.startswith("#")
        )
        return {name: float(value) for name, _, value in samples}

    def memory_kib(self) -> int:
        """VmRSS, proc(5)."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def stages(ticket: dict) -> list[str]:
    return [entry["stage"] for entry in ticket["history"]]


def counted(values) -> dict:
    """The values that occur more than once, each with its count."""
    return {value: count for value, count in collections.Counter(values).items() if count > 1}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

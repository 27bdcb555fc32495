"""A broker for the folder, and the command line as a person uses it: processes, their output, their exit status."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading

import pytest

from running import PATIENCE, ROOT, Broker, environment, package_launcher, wait_until

END = 30.0  # seconds a command may take on a loaded machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0) as running:
        yield running


class Program:
    """`python3 -m bridge ...` against one broker."""

    def __init__(self, url: str, **settings: object) -> None:
        self.environment = environment(BRIDGE_BROKER_URL=url, **settings)

    def run(self, *words: str, stdin: bytes = b"", status: int = 0) -> str:
        """Run a command to its end; its stdout. Its exit status must be `status`, its stderr a line of ours or nothing."""
        done = subprocess.run([*package_launcher(), *words], input=stdin, capture_output=True, timeout=END, env=self.environment, cwd=ROOT)
        said = done.stderr.decode()
        assert done.returncode == status, f"{words}: exit status {done.returncode}, {said}"
        assert "Traceback" not in said and "Warning" not in said, said
        if status in (3, 4, 5, 6, 7, 8):
            assert said.startswith("bridge: ") and said.count("\n") == 1, said
        self.stderr = said
        return done.stdout.decode()

    @contextlib.contextmanager
    def running(self, *words: str, launcher=(), **settings: str):
        """A command that goes on, for the length of the block; then SIGTERM, status 0, and a calm stderr."""
        with Running(self, [*launcher, *package_launcher(), *words], settings) as process:
            yield process


class Running:
    def __init__(self, program: Program, words, settings) -> None:
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**program.environment, **settings}, cwd=ROOT
        )
        self.lines: list[str] = []
        self.said: list[str] = []
        self.listeners = [threading.Thread(target=self._listen, args=pair, daemon=True) for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.said))]
        for listener in self.listeners:
            listener.start()

    def _listen(self, pipe, lines) -> None:
        with pipe:
            for line in pipe:
                lines.append(line.rstrip("\n"))

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind, *_) -> None:
        if self.process.poll() is None:
            self.stop(signal.SIGTERM, None if kind else 0)

    def stop(self, number: int, status=0) -> None:
        self.process.send_signal(number)
        try:
            ended = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("it did not stop: " + "\n".join(self.said)) from None
        for listener in self.listeners:
            listener.join(PATIENCE)
        said = "\n".join(self.said)
        assert status is None or ended == status, f"exit status {ended}: {said}"
        assert "Traceback" not in said and "Warning" not in said and "never retrieved" not in said, said

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_said(self, text: str) -> None:
        wait_until(lambda: any(text in line for line in self.said), f"{text!r} on stderr: {self.said}")


@pytest.fixture
def bridge(served) -> Program:
    return Program(served.url)


@pytest.fixture
def program_for():
    return Program

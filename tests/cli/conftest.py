"""A broker for the folder, and the command line as processes: output and exit status."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import uuid

import pytest
from running import (
    PATIENCE,
    ROOT,
    Broker,
    environment,
    package_launcher,
    wait_until,
    without_slowness,
)

END = 30.0  # seconds a command may take on a loaded machine


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with Broker(
        package_launcher(), tmp_path_factory.mktemp("store") / "bridge.db", BRIDGE_RATE_LIMIT=0
    ) as running:
        yield running


class Program:
    """`python3 -m bridge ...` against one broker."""

    def __init__(self, url: str, **settings: object) -> None:
        self.environment = environment(BRIDGE_BROKER_URL=url, **settings)

    def run(self, *words: str, stdin: bytes = b"", status: int = 0) -> str:
        """Run a command to its end, and return its stdout.

        Its exit status must be `status`. Its stderr must be empty, or one line of an error.
        """
        done = subprocess.run(
            [*package_launcher(), *words],
            input=stdin,
            capture_output=True,
            timeout=END,
            env=self.environment,
            cwd=ROOT,
        )
        said = without_slowness(done.stderr.decode())
        assert done.returncode == status, f"{words}: exit status {done.returncode}, {said}"
        assert "Traceback" not in said and "Warning" not in said, said
        if status in (3, 4, 5, 6, 7, 8):
            assert said.startswith("bridge: ") and said.count("\n") == 1, said
        self.stderr = said
        return done.stdout.decode()

    @contextlib.contextmanager
    def running(self, *words: str, launcher=(), **settings: str):
        """Run a command during the block. SIGTERM must end it with status 0, without errors."""
        with Running(self, [*launcher, *package_launcher(), *words], settings) as process:
            yield process


class Running:
    def __init__(self, program: Program, words, settings) -> None:
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**program.environment, **settings},
            cwd=ROOT,
        )
        self.lines: list[str] = []
        self.said: list[str] = []
        self.listeners = [
            threading.Thread(target=self._listen, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.said))
        ]
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
        assert (
            "Traceback" not in said and "Warning" not in said and "never retrieved" not in said
        ), said

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def complaints(self) -> list[str]:
        """The lines of stderr, without asyncio's debug lines about a loaded machine."""
        return [line for line in self.said if not line.startswith("Executing")]

    def wait_said(self, text: str) -> None:
        wait_until(
            lambda: any(text in line for line in self.said), f"{text!r} on stderr: {self.said}"
        )


@pytest.fixture
def bridge(served) -> Program:
    return Program(served.url)


@pytest.fixture
def program_for():
    return Program


class Play:
    """A command that starts others. A variable in the environment marks all its descendants."""

    def __init__(self, words, launcher, folder, path=None) -> None:
        self.mark, self.folder = f"play-{uuid.uuid4()}", folder
        settings = {
            "PLAY_MARK": self.mark,
            "TMPDIR": folder,
            "PYTHONIOENCODING": "utf-8",
        }
        settings.update(
            {"PATH": path} if path is not None else {},
            **({"PYTHONPATH": ""} if launcher[-1].endswith(".pyz") else {}),
        )
        self.process = subprocess.Popen(
            [*launcher, *words],
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def finish(self) -> tuple[int, str, str]:
        try:
            out, err = self.process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.descendants() == [], "a process was left behind"
        assert os.listdir(self.folder) == [], "a file was left behind"
        return self.process.returncode, out, err

    def descendants(self) -> list[tuple[int, str]]:
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if (
                    entry.name.isdigit()
                    and self.mark.encode() in (entry / "environ").read_bytes()
                    and (entry / "stat").read_text().split()[-50:][0] != "Z"
                ):
                    found.append(
                        (
                            int(entry.name),
                            (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(),
                        )
                    )
            except OSError:
                continue  # the process has ended in the meantime
        return [(pid, words) for pid, words in found if pid != self.process.pid]

    def wait_for(self, word: str) -> int:
        (pid,) = wait_until(
            lambda: [pid for pid, words in self.descendants() if word in words],
            f"a process {word!r}",
        )[:1]
        return pid


@pytest.fixture
def play(tmp_path):
    """play("demo", ...): start a command. The end of the test kills it."""
    started = []

    def start(*words, launcher=package_launcher(), path=None) -> Play:
        started.append(Play(words, list(launcher), str(tmp_path), path))
        return started[-1]

    yield start
    for one in started:
        if not one.process.stdout.closed:
            one.process.kill()
            one.process.communicate()

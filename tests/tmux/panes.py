"""A private tmux server for the tests, panes in it, and a person's terminal attached to it.

    Server ──open, agent──► PaneHandle ──injector──► the Injector under test
                               ▲
                            Person: a tmux client on a pseudo-terminal, which can press keys

The tests use the tmux that comes first in PATH. To test another version:

    PATH=/opt/tmux-3.5a/bin:$PATH python -m pytest tests/tmux
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pathlib
import pty
import shlex
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import uuid

import own_home  # noqa: F401  (must be imported before any process is started)

from bridge.errors import PaneNotReady
from bridge.settings import TmuxSettings
from bridge.ticket import Ticket
from bridge.tmux.injection.injector import Evidence, Injector
from bridge.tmux.server.client import Tmux

AGENTS = pathlib.Path(__file__).parent / "agents"
PATIENCE = 15.0  # seconds until a wait fails; long, because all tests may share two cores
# In the folder of a test's pane Python prints that it finds no such module, and exits.
TYPED = "python3 -m bridge show {id}"
QUICK = TmuxSettings(poll_min=20, poll_max=60, cool_down=0, shell_command=TYPED)


def tmux_version() -> tuple[int, int]:
    return asyncio.run(Tmux().version())


def until(condition, what: str, patience: float = PATIENCE):
    """Wait for a condition, with a deadline; return its value."""
    began = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        waited = time.monotonic() - began
        assert waited < patience, f"{what} did not happen in {patience:g} s"
        # Most conditions start a tmux command. A long wait looks less often, and lasts 5 % longer.
        time.sleep(min(max(0.02, waited / 20), 0.1))


class Server:
    """One tmux server under a unique socket name (`tmux -L`); `stop` ends no other server."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.name = f"bridge-test-{uuid.uuid4().hex[:12]}"
        self._sessions = 0
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("TMUX", "BRIDGE"))
        }
        self.environment = dict(
            environment,
            LC_ALL="C.UTF-8",
            HOME=str(folder),
            ENV="",
            PYTHONSTARTUP="",
            PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        )

    def __call__(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self.name, "-f", "/dev/null", *argv],
            capture_output=True,
            text=True,
            timeout=20,
            env=self.environment,
        )
        assert not check or done.returncode == 0, f"tmux {argv}: {done.stderr}"
        return done.stdout

    def stop(self) -> None:
        self("kill-server", check=False)

    def open(self, command: str, width: int = 100, height: int = 24) -> PaneHandle:
        """Start a new session whose only pane runs `command`."""
        self._sessions += 1
        name = f"dev-{self._sessions}-{uuid.uuid4().hex[:6]}"
        self(
            "new-session",
            "-d",
            "-s",
            name,
            "-x",
            str(width),
            "-y",
            str(height),
            "-c",
            str(self.folder),
            "exec " + command,
        )
        return PaneHandle(
            self, name, self("list-panes", "-t", f"={name}:", "-F", "#{pane_id}").strip()
        )

    def agent(self, *flags: str, script: str = "agent.py", **size: int) -> PaneHandle:
        """Start a scripted agent, which logs the exact bytes of every message that it takes."""
        log = self.folder / f"messages-{uuid.uuid4().hex[:8]}"
        handle = self.open(
            shlex.join([sys.executable, str(AGENTS / script), "--log", str(log), *flags]), **size
        )
        # The program table has no entry for the script, so "auto" would not find its form.
        handle.log, handle.form = log, "agent"
        until(lambda: handle.is_shown("BRIDGE-TEST-AGENT"), "the agent's banner")
        return handle


class PaneHandle:
    """One pane of a test: its screen, its keys and its formats."""

    def __init__(self, server: Server, session: str, pane_id: str) -> None:
        self.server, self.session, self.id = server, session, pane_id
        self.log = server.folder / "none"
        self.form = "auto"  # the --form that a user would give for the program

    def screen(self) -> str:
        rows = self.server("capture-pane", "-p", "-J", "-t", self.id).split("\n")
        # Before tmux 3.2, -J also returns blank cells to which nothing was written.
        return "\n".join(row.rstrip() for row in rows)

    def is_shown(self, text: str) -> bool:
        return text in self.screen()

    def wait_shown(self, text: str) -> None:
        until(lambda: self.is_shown(text), f"{text!r} on the screen:\n{self.screen()}")

    def keys(self, *keys: str) -> None:
        self.server("send-keys", "-t", self.id, *keys)

    def type(self, text: str) -> None:
        self.server("send-keys", "-l", "-t", self.id, "--", text)

    def get(self, name: str) -> str:
        return self.server("display-message", "-p", "-t", self.id, "#{%s}" % name).strip()

    def messages(self) -> list[str]:
        """Return the messages that the scripted agent took, one for each accepted Enter."""
        if not self.log.exists():
            return []
        return [
            part for part in self.log.read_bytes().decode("utf-8", "replace").split("\x1e") if part
        ]

    def injector(
        self,
        form: str = "",
        pane: str = "0",
        settings: TmuxSettings = QUICK,
        tmux: Tmux | None = None,
    ) -> Injector:
        return Injector(
            tmux or Tmux(socket_name=self.server.name),
            self.session,
            pane,
            settings,
            form or self.form,
        )


def ticket(body: object = "hello from a peer", ticket_id: str = "T-1", **fields: object) -> Ticket:
    return Ticket(
        ticket_id=ticket_id, seq=1, agent_id="lucy", payload=body, **{"origin": "max", **fields}
    )  # type: ignore[arg-type]


def run(coroutine):
    return asyncio.run(coroutine)


async def deliver(injector: Injector, given: Ticket, patience: float = PATIENCE) -> Evidence:
    """Wait until the pane is ready and inject, as a watcher does; repeat on PaneNotReady.

    `inject` raises PaneNotReady if the pane changed after the wait.
    """
    deadline = time.monotonic() + patience
    while True:
        await asyncio.wait_for(
            injector.wait_ready(lambda: [given.ticket_id]), max(0.1, deadline - time.monotonic())
        )
        try:
            return await injector.inject(given)
        except PaneNotReady:
            assert time.monotonic() < deadline, "the pane was never ready"


async def wait_reason(injector: Injector, words: str, patience: float = PATIENCE):
    """Wait until `explain` returns "not ready" with a reason that contains `words`."""
    deadline = time.monotonic() + patience
    while True:
        verdict = await injector.explain()
        if not verdict.ready and words in verdict.reason:
            return verdict
        assert time.monotonic() < deadline, f"expected a reason with {words!r}, it is {verdict}"
        await asyncio.sleep(0.03)


class Person:
    """A person's terminal: a real tmux client on its own pseudo-terminal."""

    def __init__(self, handle: PaneHandle, *flags: str) -> None:
        self._server, self._master = handle.server, 0
        self.seen = bytearray()  # all bytes that tmux sent to the terminal
        self._process, self._master = self._attach(handle, flags)
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()
        try:
            until(
                lambda: handle.server(
                    "list-clients", "-t", f"={handle.session}", "-F", "x"
                ).strip(),
                "the person's client",
            )
        except BaseException:
            self.leave()
            raise

    def _attach(self, handle: PaneHandle, flags: tuple[str, ...]):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        argv = [
            "tmux",
            "-u",
            "-L",
            handle.server.name,
            *flags,
            "attach",
            "-t",
            f"={handle.session}",
        ]
        environment = dict(handle.server.environment, TERM="xterm-256color")
        process = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        return process, master

    def _drain(self) -> None:
        """Read all that tmux writes to the terminal; otherwise the client would block."""
        while True:
            try:
                data = os.read(self._master, 65536)
                if not data:
                    return
                self.seen += data
            except OSError:
                return

    @property
    def seen_bytes(self) -> int:
        return len(self.seen)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process.send_signal(signal.SIGWINCH)

    def leave(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._master)
        self._reader.join(10)

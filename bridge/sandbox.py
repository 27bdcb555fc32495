"""A sandbox for `demo` and `bench`: all that they start and make is removed at the end.

    Scene ──► action() { making() { folder, process, on_end(...) } … } ──► all cleanups, in reverse
                  └── start_broker(scene) · run_loop(scene, coroutine): the same in an event loop

Rule 1: a signal between the making of a thing and the registration of its cleanup
would leave the thing behind. So a signal in between waits until both are done.
Rule 2: each process gets a session of its own, so that Ctrl-C reaches only this
process. It ends the others in order, with a deadline, and kills what does not exit.
Rule 3: a process that is started here gets none of the person's settings, and a home
of its own (`private`). It reads no rc file of theirs and writes into no history of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any, Callable, TypeVar

from bridge.errors import BridgeError, BrokerUnreachable
from bridge.self_command import own_command

T = TypeVar("T")
READY = re.compile(r"^bridge broker ready on (\S+)$", re.MULTILINE)
# Seconds for a broker or a watcher to start; Python on a slow machine needs several.
START_DEADLINE = 30.0
STOP_DEADLINE = 10.0  # seconds that a process has to exit by itself; the broker drains for 5
# Seconds for a command that ends by itself; Python on a slow machine needs several.
RUN_DEADLINE = 30.0
LOOK_INTERVAL = 0.05  # seconds between two looks of `wait_for`
SOCKET_PATH_MAX = 90  # bytes; a socket's path may be 107 on Linux, 103 on macOS (unix(7))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Variables of the person's own bridge and tmux.
OURS = ("BRIDGE_", "BROKER_", "TMUX", "DISABLE_SSE", "POLL_INTERVAL_MS")
# Variables that lead shells and other programs to a person's files, or change how they start.
PERSONAL = (
    *("BASH_", "BASHOPTS", "ENV", "HIST", "INPUTRC", "PROMPT_COMMAND", "PS1", "SHELLOPTS"),
    *("XDG_", "ZDOTDIR", "fish_", "EXINIT", "LESS", "NODE_REPL", "PYTHONSTARTUP", "VIM"),
)


def interrupt() -> None:
    raise KeyboardInterrupt


class Sandbox:
    """Owns every process and every file of one command."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = ""
        # Added to the environment of each process.
        self.variables: dict[str, str] = {}
        # What the first signal calls; `run_loop` sets another function.
        self.interrupt: Callable[[], None] = interrupt
        self._ends = contextlib.ExitStack()  # runs all of them, in reverse, even if one fails
        self._handlers: dict[int, Any] = {}
        self._making = 0  # depth of nested `making`
        self.is_interrupted = False
        self._is_ending = False

    def __enter__(self) -> Sandbox:
        for number in SIGNALS:
            # nohup has SIGHUP ignored; leave it so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._ends.close()
        finally:
            # After an interrupt the process is about to exit. A further Ctrl-C must not change
            # its exit status.
            for number, handler in self._handlers.items():
                signal.signal(number, signal.SIG_IGN if self.is_interrupted else handler)

    @contextlib.contextmanager
    def action(self) -> Iterator[None]:
        """The part that a signal may interrupt.

        After it the cleanup runs. The cleanup is bounded in time, and no second Ctrl-C stops it.
        """
        try:
            with self.making():
                self.folder = make_folder(self.name)
                self.on_end(lambda: shutil.rmtree(self.folder, ignore_errors=True))
            yield
        finally:
            self._is_ending = True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        is_first = not self.is_interrupted and not self._is_ending
        self.is_interrupted = True
        if is_first and not self._making:
            self.interrupt()

    @contextlib.contextmanager
    def making(self) -> Iterator[None]:
        """Make a thing and register its cleanup inside this block (rule 1)."""
        self._making += 1
        try:
            yield
        finally:
            self._making -= 1
            if self.is_interrupted and not self._making and not self._is_ending:
                self.interrupt()

    def on_end(self, end: Callable[[], object]) -> None:
        self._ends.callback(end)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def read(self, name: str) -> str:
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def environment(self) -> dict[str, str]:
        given = private(os.environ, self.folder)
        kept = {name: value for name, value in given.items() if not name.startswith(OURS)}
        return {**kept, **self.variables}

    def start(
        self, name: str, words: Sequence[str], stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program.

        Its output goes to NAME.out (or to the descriptor `stdout`) and to NAME.err.
        """
        with (
            self.making(),
            open(self.path(name + ".out"), "wb") as out,
            open(self.path(name + ".err"), "wb") as err,
        ):
            return self._spawn(words, out if stdout is None else stdout, err)

    def last_words(self, name: str) -> str:
        """The last line that the program NAME wrote to stderr."""
        lines = self.read(name + ".err").strip().splitlines()
        return lines[-1] if lines else "it wrote nothing to stderr"

    def run(self, words: Sequence[str], name: str = "run") -> tuple[int, str, str]:
        """Run a program to its end. Return its exit status, stdout and stderr.

        Raises BridgeError when it takes too long.
        """
        process = self.start(name, words)
        try:
            status = process.wait(RUN_DEADLINE)
        except subprocess.TimeoutExpired:
            raise BridgeError(
                f"`{' '.join(words[-3:])}` did not end within {RUN_DEADLINE:.0f} s"
            ) from None
        return status, self.read(name + ".out"), self.read(name + ".err")

    def _spawn(self, words: Sequence[str], out: Any, err: Any) -> subprocess.Popen[bytes]:
        with self.making():
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.environment(),
                start_new_session=True,
            )
            self.on_end(lambda: leave(process))
        return process


def private(environ: Mapping[str, str], home: str) -> dict[str, str]:
    """The environment with a home of its own, and no variable that leads to a person's files.

    With an empty HISTFILE, bash and zsh write no history. They would write it into `home`, which
    may be removed while they end. tmux runs commands in $SHELL, and /bin/sh reads no rc file.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(PERSONAL)}
    return {**kept, "HOME": home, "HISTFILE": "", "SHELL": "/bin/sh"}


def start_broker(scene: Sandbox) -> tuple[subprocess.Popen[bytes], str]:
    """Start a broker with a store of its own on a free port.

    Return the process and its URL, which is read from the ready line.
    """
    process = scene.start(
        "broker",
        [
            *own_command(),
            "broker",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--db",
            scene.path("bridge.db"),
        ],
    )
    wait_for(
        lambda: READY.search(scene.read("broker.err")) or process.poll() is not None, START_DEADLINE
    )
    ready = READY.search(scene.read("broker.err"))
    if ready is None:
        raise BrokerUnreachable(
            f"the {scene.name}'s broker did not start: {scene.last_words('broker')}"
        )
    return process, ready[1]


def run_loop(scene: Sandbox, work: Coroutine[Any, Any, T]) -> T:
    """asyncio.run within a scene.

    The first signal cancels `work`, which may tidy up, and then raises KeyboardInterrupt.
    """

    async def guarded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        scene.interrupt = cancel
        beginning.close()
        try:
            return await task
        finally:
            # The loop is about to close. The last line of `run_loop` reports a later signal.
            scene.interrupt = lambda: None

    with contextlib.ExitStack() as beginning:
        beginning.enter_context(scene.making())  # a signal waits until there is a task to cancel
        try:
            result = asyncio.run(guarded())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            scene.interrupt = interrupt
    if scene.is_interrupted:
        raise KeyboardInterrupt
    return result


def wait_for(look: Callable[[], Any], seconds: float) -> Any:
    """The first true value of `look()`, or None when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            return None
        time.sleep(LOOK_INTERVAL)


def leave(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def make_folder(name: str) -> str:
    folder = tempfile.mkdtemp(prefix=f"bridge-{name}-")
    if len(folder) + len("/tmux") > SOCKET_PATH_MAX:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix=f"bridge-{name}-", dir="/tmp")
    return folder

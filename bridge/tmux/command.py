"""Runs tmux: an argument list, a deadline, a locale that keeps bytes whole.

Never a shell, never text of a ticket in an argument (it goes through stdin into a buffer). `-u` and
LC_ALL: without them tmux prints every non-ASCII character, and every TAB, as '_'. A control-mode client
with the same `run` may take this one's place: nobody else starts tmux.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

from bridge.errors import TmuxError
from bridge.tasks import stop_all, within
from bridge.tmux.gathering import Gathering, only_looks
from bridge.tmux.guard import is_guarded
from bridge.turns import Turns

LEAVE = 0.5  # seconds that a killed tmux has to end; more only where somebody else holds its pipes
PROCESSES = (
    6  # at a time: a hundred at once would only be in one another's way, and miss their deadlines
)
LOST = re.compile(
    r"no server running|error connecting|lost server|server exited|can't find (pane|window|session)|no current (session|target)|no sessions"
)


class Tmux:
    """One tmux server, named as `tmux -L` or `-S` name it; neither: the user's own."""

    def __init__(
        self,
        socket_name: str | None = None,
        socket_path: str | None = None,
        deadline: float = 5.0,
        program: str = "tmux",
    ) -> None:
        self._prefix = [program, "-u"]
        if socket_path:
            self._prefix += ["-S", socket_path]
        elif socket_name:
            self._prefix += ["-L", socket_name]
        self._deadline = deadline  # seconds for one call
        self._looks = Gathering(self._run_process)
        self._changes = Gathering(
            self._run_process
        )  # apart: between a look and what it permits no other look may come
        self._turns = Turns(PROCESSES)
        self._version: tuple[int, int] | None = None

    @property
    def server(self) -> str:
        """How a person would name this server on tmux's command line."""
        return " ".join(["tmux", *self._prefix[2:]])

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        """Run one tmux invocation and return what it printed. Raises TmuxError that names the subcommand."""
        if is_guarded(argv):
            return await self._changes.ask(argv, tells=True)
        if stdin is None and argv and only_looks(argv):
            return await self._looks.ask(argv)
        out, complaint = await self._run_process(list(argv), stdin)
        if complaint:
            raise TmuxError(argv[0] if argv else "?", complaint)
        return out

    async def _run_process(self, argv: list[str], stdin: bytes | None = None) -> tuple[str, str]:
        """(what it printed, its complaint); a complaint that is not empty is a failure. Raises TmuxError when there is no outcome."""
        async with self._turns:
            process = await self._start(argv, stdin)
            try:
                out, err = await within(
                    self._deadline, process.communicate(stdin)
                )  # wait_for may lose a cancellation, see tasks.py
            except asyncio.TimeoutError:
                raise TmuxError(
                    _subcommand(argv), f"no answer from {self.server} in {self._deadline:g} s"
                ) from None
            finally:
                await end_process(process)
        complaint = err.decode("utf-8", "replace") or "failed" if process.returncode else ""
        return out.decode("utf-8", "replace"), complaint

    async def _start(self, argv: list[str], stdin: bytes | None) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._prefix,
                *argv,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(os.environ, LC_ALL="C.UTF-8"),
                start_new_session=True,  # a Ctrl-C in our terminal is for us, and we may still have an injection to finish
            )
        except ValueError as error:  # an argument that no process can have
            raise TmuxError(_subcommand(argv), str(error)) from error
        except OSError as error:
            raise TmuxError(
                _subcommand(argv),
                f"cannot start {self._prefix[0]} ({error.strerror}); is tmux installed?",
            ) from error

    async def version(self) -> tuple[int, int]:
        """(3, 3) for "tmux 3.3a", (3, 6) for "tmux next-3.6"; (99, 0) for one that does not say (master)."""
        if self._version is None:
            match = re.search(r"(\d+)\.(\d+)", await self.run("-V"))
            self._version = (int(match[1]), int(match[2])) if match else (99, 0)
        return self._version


def _subcommand(argv: list[str]) -> str:
    return argv[0] if argv else "?"


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Leave no child behind, whatever ended the wait: a deadline, or a cancelled caller.

    From Python 3.11 on `wait` waits for the pipes, too, and a wrapper may have started what holds them: all of its session is
    ended with it, and what has left that session is not waited for.
    """
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this very moment
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]  # no public way to let go of the pipes
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({ended}, timeout=LEAVE)
    transport.close()
    await asyncio.wait({ended}, timeout=LEAVE)
    await stop_all(ended)

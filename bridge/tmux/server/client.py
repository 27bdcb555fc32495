"""Runs tmux: an argument list, a timeout, a locale that keeps bytes unchanged.

It never runs a shell. A ticket's text goes through stdin into a buffer. Only short printable ASCII
may be an argument (buffers.is_argument). `-u` and LC_ALL are necessary: without them tmux prints
every non-ASCII character, and every TAB, as '_'.

The caller says what its command does, by the method. Nothing here looks into the command:

    query         only reads: may share a process with others, and may be repeated
    run           changes something, or has a body (stdin): a process of its own, never repeated
    run_guarded   changes something, in one `if-shell` that prints whether it was done
                    (injection/conditional.py): may share a process, never repeated

Only this module and the control-mode client, which has the same methods, start tmux.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

from bridge.errors import TmuxError
from bridge.fifo_semaphore import FifoSemaphore
from bridge.tasks import stop_all, within
from bridge.tmux.server.batching import CommandBatcher

LEAVE = 0.5  # seconds for a killed tmux to end; it takes longer if another process holds its pipes
PROCESSES = 6  # at a time: a hundred would only slow one another down until they time out
LOST = re.compile(
    r"no server running|error connecting|lost server|server exited"
    r"|can't find (pane|window|session)|no current (session|target)|no sessions"
)


class Tmux:
    """One tmux server, selected as with `tmux -L` or `-S`; with neither, the default server."""

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
        self._looks = CommandBatcher(self._run_process)
        # Separate: a change follows the look that permits it, without other looks in between.
        self._changes = CommandBatcher(self._run_process)
        self._turns = FifoSemaphore(PROCESSES)
        self._version: tuple[int, int] | None = None

    @property
    def server(self) -> str:
        """The server, as on tmux's command line."""
        return " ".join(["tmux", *self._prefix[2:]])

    async def query(self, *argv: str) -> str:
        """Run commands that only read, and return their output. Raises TmuxError."""
        return await self._looks.ask(argv)

    async def run_guarded(self, *argv: str) -> str:
        """Run one guarded sequence; its output says whether it was done. Raises TmuxError."""
        return await self._changes.ask(argv, proves=True)

    async def run(self, *argv: str, stdin: bytes | None = None) -> str:
        """Run one tmux invocation and return its output. Raises TmuxError with the subcommand."""
        return await self._run_alone(argv, stdin)

    async def _run_alone(self, argv: tuple[str, ...], stdin: bytes | None = None) -> str:
        out, complaint = await self._run_process(list(argv), stdin)
        if complaint:
            raise TmuxError(argv[0] if argv else "?", complaint)
        return out

    async def _run_process(self, argv: list[str], stdin: bytes | None = None) -> tuple[str, str]:
        """(output, error text). An error text that is not empty means failure.

        Raises TmuxError when the outcome is unknown.
        """
        async with self._turns:
            process = await self._start(argv, stdin)
            try:
                # Not wait_for: it may lose a cancellation, see tasks.py.
                out, err = await within(self._deadline, process.communicate(stdin))
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
                # A Ctrl-C in our terminal is for us: we may have to finish an injection first.
                start_new_session=True,
            )
        except ValueError as error:  # an argument that cannot be passed, such as a NUL byte
            raise TmuxError(_subcommand(argv), str(error)) from error
        except OSError as error:
            raise TmuxError(
                _subcommand(argv),
                f"cannot start {self._prefix[0]} ({error.strerror}); is tmux installed?",
            ) from error

    async def version_text(self) -> str:
        """What `tmux -V` prints. The program answers it, not the server. Raises TmuxError."""
        return await self._run_alone(("-V",))

    async def version(self) -> tuple[int, int]:
        """(3, 3) for "tmux 3.3a", (3, 6) for "tmux next-3.6", (99, 0) without a number (master)."""
        if self._version is None:
            match = re.search(r"(\d+)\.(\d+)", await self.version_text())
            self._version = (int(match[1]), int(match[2])) if match else (99, 0)
        return self._version


def _subcommand(argv: list[str]) -> str:
    return argv[0] if argv else "?"


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Leave no child process, whatever ended the wait: a timeout, or a cancelled caller.

    From Python 3.11 on `wait` also waits for the pipes, and a wrapper may have started processes
    that hold them. So its whole process group is killed. Processes that have left the group are
    not waited for.
    """
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this moment
    # asyncio has no public way to close the pipes.
    transport: asyncio.SubprocessTransport = process._transport  # type: ignore[attr-defined]
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({ended}, timeout=LEAVE)
    transport.close()
    await asyncio.wait({ended}, timeout=LEAVE)
    await stop_all(ended)

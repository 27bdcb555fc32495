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
from typing import Optional

from bridge.errors import TmuxError
from bridge.tasks import stop_all, within

LEAVE = 0.5  # seconds that a killed tmux has to end; more only where somebody else holds its pipes
LOST = re.compile(r"no server running|error connecting|lost server|server exited|can't find (pane|window|session)|no current (session|target)|no sessions")


class Tmux:
    """One tmux server, named as `tmux -L` or `-S` name it; neither: the user's own."""

    def __init__(self, socket_name: Optional[str] = None, socket_path: Optional[str] = None, deadline: float = 5.0, program: str = "tmux") -> None:
        self._prefix = [program, "-u"]
        if socket_path:
            self._prefix += ["-S", socket_path]
        elif socket_name:
            self._prefix += ["-L", socket_name]
        self._deadline = deadline  # seconds for one call
        self._version: Optional[tuple[int, int]] = None

    @property
    def server(self) -> str:
        """How a person would name this server on tmux's command line."""
        return " ".join(["tmux", *self._prefix[2:]])

    async def run(self, *argv: str, stdin: Optional[bytes] = None) -> str:
        """Run one tmux invocation and return what it printed. Raises TmuxError that names the subcommand."""
        subcommand = argv[0] if argv else "?"
        try:
            process = await asyncio.create_subprocess_exec(
                *self._prefix,
                *argv,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=dict(os.environ, LC_ALL="C.UTF-8"),
                start_new_session=True,  # a Ctrl-C in our terminal is for us, and we may still have an injection to finish
            )
        except OSError as error:
            raise TmuxError(subcommand, f"cannot start {self._prefix[0]} ({error.strerror}); is tmux installed?") from error
        try:
            out, err = await within(self._deadline, process.communicate(stdin))  # wait_for may lose a cancellation, see tasks.py
        except asyncio.TimeoutError:
            raise TmuxError(subcommand, f"no answer from {self.server} in {self._deadline:g} s") from None
        finally:
            await _end(process)
        if process.returncode:
            raise TmuxError(subcommand, err.decode("utf-8", "replace"))
        return out.decode("utf-8", "replace")

    async def version(self) -> tuple[int, int]:
        """(3, 3) for "tmux 3.3a", (3, 6) for "tmux next-3.6"; (99, 0) for one that does not say (master)."""
        if self._version is None:
            match = re.search(r"(\d+)\.(\d+)", await self.run("-V"))
            self._version = (int(match[1]), int(match[2])) if match else (99, 0)
        return self._version


async def _end(process: asyncio.subprocess.Process) -> None:
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
    if not (await asyncio.wait({ended}, timeout=LEAVE))[0]:
        transport.close()
        await asyncio.wait({ended}, timeout=LEAVE)
        await stop_all(ended)

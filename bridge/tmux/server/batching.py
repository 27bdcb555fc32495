"""Many looks, few processes: requests that arrive while tmux runs go into its next run together.

    look ─► a process is free? ─► runs immediately, alone
                  │no
                  └─► waits with the others ─► one process for all ─► each gets its part

A process costs 4 ms of CPU for any request. With one pane, requests are never batched. With a
hundred busy panes, twenty looks share a process, and the more requests there are, the more share
one.

An error ends a command list. The commands behind the failed one were not run, and are requested
again. A command that changes something may be batched if its output proves that it was done
(`proves`, injection/conditional.py). Then it does not matter whether an error inside an if-shell
ends the list around it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Callable

from bridge.errors import TmuxError

AT_A_TIME = 2  # processes that look; more of them would only compete for the CPU
LIST_MAX = 12000  # characters of one command list: tmux takes 16 KiB
SERVER_GONE = re.compile(r"no server running|error connecting|lost server|server exited")

# argv -> (output, error text); no error text means success.
RunList = Callable[["list[str]"], Awaitable["tuple[str, str]"]]


@dataclass(eq=False)
class _Look:
    argv: tuple[str, ...]
    answer: asyncio.Future[str]
    proves: bool  # does an empty output mean failure?


class CommandBatcher:
    """Used inside one event loop.

    `run_list` starts a process. It raises TmuxError when there is no outcome at all.
    """

    def __init__(self, run_list: RunList) -> None:
        self._run_list = run_list
        self._waiting: deque[_Look] = deque()
        self._running: set[asyncio.Future[None]] = set()

    async def ask(self, argv: tuple[str, ...], proves: bool = False) -> str:
        """The command's output. If `proves` is set, no output means failure. Raises TmuxError."""
        look = _Look(argv, asyncio.get_running_loop().create_future(), proves)
        self._waiting.append(look)
        self._start()
        return await look.answer

    def _start(self) -> None:
        while self._waiting and len(self._running) < AT_A_TIME:
            looks = self._take()
            if looks:
                running = asyncio.ensure_future(self._run(looks))
                self._running.add(running)
                running.add_done_callback(self._ended)

    def _take(self) -> list[_Look]:
        taken: list[_Look] = []
        length = 0
        while self._waiting:
            look = self._waiting[0]
            length += sum(map(len, look.argv)) + 100
            if taken and length > LIST_MAX:
                break
            self._waiting.popleft()
            if not look.answer.done():  # done: its caller was cancelled
                taken.append(look)
        return taken

    async def _run(self, looks: list[_Look]) -> None:
        if len(looks) == 1:
            await self._run_alone(looks[0])
        else:
            await self._run_together(looks)

    async def _run_alone(self, look: _Look) -> None:
        try:
            out, complaint = await self._run_list(list(look.argv))
        except TmuxError as error:
            settle(look.answer, error)
            return
        settle(look.answer, TmuxError(look.argv[0], complaint) if complaint else out)

    async def _run_together(self, looks: list[_Look]) -> None:
        separator = secrets.token_hex(16)
        argv: list[str] = []
        for look in looks:
            argv += [*look.argv, ";", "display-message", "-p", separator, ";"]
        try:
            out, complaint = await self._run_list(argv[:-1])
        except TmuxError as error:
            for look in looks:
                settle(look.answer, error)
            return
        parts = out.split(separator + "\n")
        for look, part in zip(looks, parts[:-1]):
            is_unproven = look.proves and not part
            settle(look.answer, TmuxError(look.argv[0], complaint) if is_unproven else part)
        if len(parts) <= len(looks):
            self._fail(
                looks[len(parts) - 1 :], complaint or f"an answer that is not tmux's: {out[-80:]!r}"
            )

    def _fail(self, looks: list[_Look], complaint: str) -> None:
        """The first of these failed. The others were not run, and go into the next list."""
        hopeless = len(looks) if SERVER_GONE.search(complaint) else 1
        for look in looks[:hopeless]:
            settle(look.answer, TmuxError(look.argv[0], complaint))
        self._waiting.extendleft(reversed(looks[hopeless:]))

    def _ended(self, running: asyncio.Future[None]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.result()
        self._start()


def settle(answer: asyncio.Future[str], outcome: object) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(str(outcome))

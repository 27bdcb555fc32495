"""One control client of one tmux server: sends requests, and matches the answers.

A command list prints one block for each of its commands, and `if-shell` adds blocks for those that
it runs. So blocks cannot be counted. Every request is therefore followed by a second line that
prints a random mark:

    'list-panes' '-a'                     blocks ... these are the answer
    display-message -p '5f1c...-17'       a block with only that mark: the answer is complete

If an answer does not come in time, the outcome of that request is unknown, and all later answers
are in doubt. The connection is then broken for ever, and its owner opens another.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.errors import ControlBroken, TmuxError
from bridge.tasks import stop_all, within
from bridge.tmux.control_mode.attachment import ATTACH, Attachment
from bridge.tmux.control_mode.wire import Block, ControlEvent, ControlParser, Notification
from bridge.tmux.server.client import end_process

READ = 1 << 16  # bytes at a time
# Seconds for a client to end after its input has ended. tmux needs some ms, and our caller waits
# for 0.5 s.
LEAVE = 0.4
# Notifications after which the anchor must be checked again.
NEWS = {"client-detached", "client-session-changed", "sessions-changed", "session-changed"}


@dataclass(eq=False)
class _Request:
    end_mark: str
    answer: asyncio.Future[list[Block]]
    blocks: list[Block] = field(default_factory=list)


class ControlConnection:
    """A running `tmux -C`. Once it is broken, it stays broken."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stdout: asyncio.StreamReader,
        pipe: asyncio.ReadTransport,
        session_id: str,
        deadline: float,
    ) -> None:
        self.session_id = session_id
        self.came_at = 0  # when it connected, in seconds since 1970; 0: attached without a gate
        self.broken = ""  # why it cannot be used any more
        # Set after a notification that may forbid it to stay; set when broken, too.
        self.news = asyncio.Event()
        self._process, self._stdout, self._pipe = process, stdout, pipe
        self._deadline = deadline
        self._requests: deque[_Request] = deque()
        self._nonce, self._sent = secrets.token_hex(16), 0
        self._greeted = asyncio.Event()  # tmux has sent its first block; set when broken, too
        self._reader = asyncio.ensure_future(self._read())

    @classmethod
    async def open(
        cls, prefix: Sequence[str], session_id: str, deadline: float
    ) -> ControlConnection:
        """Attach immediately. Raises ControlBroken."""
        connection = await cls._start(prefix, session_id, deadline, [*ATTACH, session_id])
        await connection.confirm()
        return connection

    @classmethod
    async def come(
        cls, prefix: Sequence[str], gate: Attachment, session_id: str, deadline: float
    ) -> ControlConnection:
        """Connect, and wait at the gate. Raises ControlBroken."""
        connection = await cls._start(prefix, session_id, deadline, gate.wait)
        try:
            await within(deadline, connection._greeted.wait())
            if connection.broken:
                raise ControlBroken(connection.broken)
        except asyncio.TimeoutError:
            await connection.aclose()
            raise ControlBroken(f"no answer in {deadline:g} s") from None
        except BaseException:
            await connection.aclose()
            raise
        connection.came_at = int(time.time())
        return connection

    @classmethod
    async def _start(
        cls, prefix: Sequence[str], session_id: str, deadline: float, argv: Sequence[str]
    ) -> ControlConnection:
        """Start the client. It holds the read end of its own stdout, too.

        A client with a closed output never ends (tmux 3.5a).
        """
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                "-C",
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=theirs,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(ours,),
                env=dict(os.environ, LC_ALL="C.UTF-8"),
                # A Ctrl-C in our terminal is for us: we may have to finish an injection first.
                start_new_session=True,
            )
        except BaseException as error:
            os.close(ours)
            if isinstance(error, OSError):
                raise ControlBroken(f"cannot start {prefix[0]} ({error.strerror})") from error
            raise
        finally:
            os.close(theirs)
        output = asyncio.StreamReader()
        try:
            pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(output), os.fdopen(ours, "rb", 0)
            )
        except BaseException:
            await end_process(process)
            raise
        return cls(process, output, pipe, session_id, deadline)

    async def confirm(self) -> None:
        """Check that it is attached, and close it if it is not. Raises ControlBroken."""
        try:
            await self.ask("display-message", "display-message -p ok")
        except TmuxError as error:
            await self.aclose()
            raise ControlBroken(str(error)) from error
        except BaseException:
            await self.aclose()
            raise

    async def ask(self, subcommand: str, line: str) -> str:
        """The output of the commands of `line`.

        Raises TmuxError with tmux's error text, and ControlBroken when the outcome is unknown.
        """
        if self.broken:
            raise ControlBroken(self.broken)
        self._sent += 1
        request = _Request(
            f"{self._nonce}-{self._sent}", asyncio.get_running_loop().create_future()
        )
        self._requests.append(request)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\ndisplay-message -p '{request.end_mark}'\n".encode())
        try:
            blocks = await within(self._deadline, request.answer)
        except asyncio.TimeoutError:
            self._break(f"no answer in {self._deadline:g} s")
            raise ControlBroken(self.broken) from None
        for block in blocks:
            if block.is_error:
                raise TmuxError(subcommand, "\n".join(block.lines))
        return "".join(line + "\n" for block in blocks for line in block.lines)

    async def aclose(self) -> None:
        """Close the connection: a control client ends when its input does."""
        self._break("closed")
        assert self._process.stdin is not None
        self._process.stdin.close()
        exit_status = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait(
                {exit_status, self._reader}, timeout=LEAVE, return_when=asyncio.ALL_COMPLETED
            )
        finally:
            if self._process.returncode is None or not self._reader.done():
                self._kill()
            self._pipe.close()
            await asyncio.wait({exit_status})
            await stop_all(self._reader)

    def _kill(self) -> None:
        """Kill the client and all that it has started: it leads a session of its own."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def _read(self) -> None:
        parser = ControlParser()
        try:
            while True:
                data = await self._stdout.read(READ)
                if not data:
                    self._break("it ended")
                    return
                for event in parser.feed(data):
                    self._take(event)
        except ControlBroken as error:
            self._break(str(error))
        while await self._stdout.read(READ):
            continue  # not used, but the client ends only when its output has been read

    def _take(self, event: ControlEvent) -> None:
        if isinstance(event, Block):
            self._take_block(event)
        elif isinstance(event, Notification):
            if event.name == "exit":
                self._break(f"tmux ended it {event.text}".rstrip())
            elif event.name == "session-changed" and event.text.split(" ")[0] != self.session_id:
                self._break("it was moved to another session")
            elif event.name in NEWS:
                self.news.set()

    def _take_block(self, block: Block) -> None:
        if block.is_error and not self._greeted.is_set():
            self._break(f"tmux refused the gate: {' '.join(block.lines)}")
        self._greeted.set()
        if not self._requests:
            return  # a block of the client's own command line, before the first request
        request = self._requests[0]
        if block.lines != (request.end_mark,):
            request.blocks.append(block)
            return
        self._requests.popleft()
        if not request.answer.done():  # done: its caller was cancelled
            request.answer.set_result(request.blocks)

    def _break(self, reason: str) -> None:
        """Fail all pending requests."""
        self.broken = self.broken or reason
        self.news.set()
        self._greeted.set()
        while self._requests:
            request = self._requests.popleft()
            if not request.answer.done():
                request.answer.set_exception(ControlBroken(self.broken))

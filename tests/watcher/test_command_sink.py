"""`--exec`: a command that ends before it was given its ticket."""

from __future__ import annotations

import asyncio
import gc

from running import wait_until
from soak.places import is_alive

from bridge.watcher.sinks.command import end_stdin


def test_a_pipe_that_broke_under_the_write_is_nothing_to_log():
    """Found by CI: asyncio wrote a traceback into the watcher's log when it stopped."""
    complaints = []

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: complaints.append(context)
        )
        child = await asyncio.create_subprocess_exec("sleep", "1000", stdin=asyncio.subprocess.PIPE)
        child.kill()
        wait_until(
            lambda: not is_alive(child.pid), "its end"
        )  # which the loop, held up here, does not see before the write
        child.stdin.write(b"a ticket")
        await child.wait()
        await end_stdin(child)

    asyncio.run(scenario())
    gc.collect()
    assert complaints == []

"""`--exec`: a command that ends before its ticket is written to it."""

from __future__ import annotations

import asyncio
import gc

from running import wait_until
from soak.places import is_alive

from bridge.watcher.sinks.command import end_stdin


def test_a_broken_pipe_is_not_logged():
    """Found by CI: asyncio wrote a traceback into the watcher's log when the watcher stopped."""
    complaints = []

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: complaints.append(context)
        )
        child = await asyncio.create_subprocess_exec("sleep", "1000", stdin=asyncio.subprocess.PIPE)
        child.kill()
        # This blocks the loop, so it learns of the child's end only after the write.
        wait_until(lambda: not is_alive(child.pid), "the child's end")
        child.stdin.write(b"a ticket")
        await child.wait()
        await end_stdin(child)

    asyncio.run(scenario())
    gc.collect()
    assert complaints == []

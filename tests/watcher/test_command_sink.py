"""`--exec`: a command that ends before it was given its ticket."""

from __future__ import annotations

import asyncio
import gc
import time

from bridge.watcher.sinks.command import end_stdin


def test_a_pipe_that_broke_under_the_write_is_nothing_to_log():
    """Found by CI: asyncio wrote a traceback into the watcher's log when it stopped."""
    complaints = []

    async def scenario():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        child = await asyncio.create_subprocess_shell("exit 0", stdin=asyncio.subprocess.PIPE)
        time.sleep(0.2)  # it ends, and the loop does not see it before the write
        child.stdin.write(b"a ticket")
        await child.wait()
        await end_stdin(child)

    asyncio.run(scenario())
    gc.collect()
    assert complaints == []

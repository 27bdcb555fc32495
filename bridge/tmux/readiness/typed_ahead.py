"""What a person typed ahead into a shell without a line editor: make the terminal show it.

dash reads whole lines. What a person types while a command runs stays in the kernel's line buffer.
The next prompt does not show it, and the shell would run it with our command behind it. On ^R the
kernel itself prints that buffer again (termios(3), VREPRINT), and passes nothing on to the shell:

    dev$ ^R          dev$ ^R
    |                rm old-file|
    empty            a person's text: the ticket waits

So the command is typed in the empty row below `^R`, and only there. Counting the waiting bytes is
no alternative: FIONREAD counts only whole lines.
"""

from __future__ import annotations

import asyncio
import time

from bridge.errors import PaneNotReady
from bridge.tmux.readiness.observer import PaneObserver
from bridge.tmux.readiness.prompts import is_reprinted, row_above
from bridge.tmux.readiness.snapshot import PaneState

STEP = 0.004  # seconds between looks: the kernel echoes immediately


async def reprint(observer: PaneObserver, state: PaneState, timeout_seconds: float) -> PaneState:
    """The state in which the line is empty. Raises PaneNotReady, PaneLost, TmuxError."""
    await observer.guarded(observer.guard(state).reprint())
    deadline = time.monotonic() + timeout_seconds
    while True:
        later = await observer.observe()
        if later.rows != state.rows and row_above(later).endswith("^R"):
            break
        if time.monotonic() >= deadline:
            raise PaneNotReady(
                f"the terminal of {observer.label} does not show what stands in its line (^R)"
            )
        await asyncio.sleep(STEP)
    if not is_reprinted(later):
        raise PaneNotReady(
            f"somebody typed ahead in {observer.label}, "
            "where the shell has no line editor that shows it"
        )
    return later

"""A respawned pane has a new terminal. The kernel may give the old number to another pane."""

from __future__ import annotations

import os
import shlex
import sys

from panes import AGENTS, deliver, run, ticket, until


def test_a_look_reads_the_current_terminal_of_the_pane(server):
    """The soak found this: the terminal of another pane decided readiness and form."""
    pane = server.open("cat")
    old = pane.get("pane_tty")
    # The open descriptor keeps the number in use, so the new terminal gets another one.
    holder = os.open(old, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    log = server.folder / "respawned-messages"
    injector = pane.injector(form="agent")

    async def scenario():
        before = (await injector.look())[1]
        assert before.terminal.canonical and before.tty == old
        server(
            "respawn-pane",
            "-k",
            "-t",
            pane.id,
            "exec " + shlex.join([sys.executable, str(AGENTS / "agent.py"), "--log", str(log)]),
        )
        until(lambda: pane.is_shown("BRIDGE-TEST-AGENT"), "the agent")
        until(lambda: pane.get("pane_tty") != old, "another terminal")
        after = (await injector.look())[1]
        assert after.tty == pane.get("pane_tty") == injector.pane.tty
        assert after.terminal.known and not after.terminal.canonical
        await deliver(injector, ticket("two\nlines"))

    try:
        run(scenario())
    finally:
        os.close(holder)
    until(log.exists, "the message")
    assert log.read_text().endswith("two\nlines\x1e")

"""A program that ends before it takes the text in its input: the text goes to the next program."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace

import pytest
from meddling import Meddling, enter
from panes import AGENTS, QUICK, Person, deliver, run, ticket, until

from bridge.errors import PaneLost, PaneNotReady, Uncertain


def test_a_text_that_its_program_never_took_goes_to_the_next_one(server):
    """The soak found this: the ticket was recorded as submitted, but no agent ever took it.

    The agent swallowed the Enter, a person typed after the text, and then the pane was respawned.
    """
    pane = server.agent("--swallow", "1", "--box")
    person = Person(pane)
    log = server.folder / "respawned-messages"

    async def scenario():
        injector = pane.injector(
            settings=replace(QUICK, quiet=200),
            tmux=Meddling(
                server.name,
                enter,
                lambda: (person.press("my own words"), pane.wait_shown("my own words")),
            ),
        )
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="did not take the Enter"):
            await injector.inject(ticket())
        server(
            "respawn-pane",
            "-k",
            "-t",
            pane.id,
            "exec " + shlex.join([sys.executable, str(AGENTS / "agent.py"), "--log", str(log)]),
        )
        until(
            lambda: pane.is_shown("BRIDGE-TEST-AGENT") and not pane.is_shown("my own words"),
            "the next agent",
        )
        return await deliver(pane.injector(settings=replace(QUICK, quiet=200)), ticket())

    try:
        assert run(scenario()).verified
        assert pane.messages() == [] and log.read_text().count("hello from a peer\x1e") == 1
    finally:
        person.leave()


def test_a_text_that_was_still_in_the_input_is_not_submitted_when_the_pane_is_lost(server):
    pane = server.agent("--swallow", "1000", "--box")
    server("new-session", "-d", "-s", "witness", "dash")
    again = []  # not empty: the second injection has begun
    tmux = Meddling(
        server.name,
        lambda argv, result: again and argv[0] == "display-message",
        lambda: server("kill-session", "-t", f"={pane.session}"),
        before=True,
        nth=2,
    )

    async def scenario():
        injector = pane.injector(
            settings=replace(QUICK, enter_wait=200, enter_retries=0), tmux=tmux
        )
        await injector.wait_ready()
        with pytest.raises(Uncertain):
            await injector.inject(ticket())
        again.append(True)
        with pytest.raises(PaneLost):
            await injector.inject(ticket())

    run(scenario())
    assert pane.messages() == []

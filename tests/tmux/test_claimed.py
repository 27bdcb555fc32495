"""A watcher that slept through its claim: what it meant to type has long been typed by another, and forgotten by the marks."""

from __future__ import annotations

import pytest

from bridge.errors import PaneNotReady
from bridge.tmux.marks import RING
from panes import deliver, run, ticket, until


def test_a_ticket_whose_claim_ran_out_is_not_typed(server):
    pane = server.open("bash --norc --noprofile", height=60)

    async def scenario():
        other, sleeper = pane.injector(), pane.injector()
        await sleeper.wait_ready()
        for number in range(RING + 1):
            await deliver(other, ticket(ticket_id=f"T-{number}"), patience=40)
        await sleeper.wait_ready()
        assert "T-0=" not in pane.get("@bridge_sent"), "the marks remember a few only"
        with pytest.raises(PaneNotReady, match="claim ran out"):
            await sleeper.inject(ticket(ticket_id="T-0"), lambda: False)

    run(scenario())
    until(lambda: f"show T-{RING}" in pane.screen(), "the last one")
    assert pane.screen().count("show T-0") == 1


def test_the_claim_is_asked_after_the_last_look(server):
    """Else a sleep between the two could outlast it."""
    pane = server.agent()
    looks: list[str] = []

    async def scenario():
        injector = pane.injector()
        look = injector._lookout.observe

        async def counted():
            looks.append("look")
            return await look()

        injector._lookout.observe = counted
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="claim ran out"):
            await injector.inject(ticket(), lambda: bool(looks.append("asked")))

    run(scenario())
    assert looks[-1] == "asked" and looks.count("asked") == 1 and pane.messages() == []

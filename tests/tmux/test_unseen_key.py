"""A person's key that the program has not shown yet: tmux has heard of it, and so the Enter waits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.errors import PaneNotReady
from bridge.tmux.command import Tmux
from bridge.tmux.injector import Injector
from panes import QUICK, Person, deliver, run, ticket, until


def test_no_enter_while_a_key_may_be_on_its_way_to_the_screen(server):
    """Found by the soak: the Enter fell into an agent's burst rule, and the ticket passed for submitted."""
    pane = server.agent("--slow", "0.5")
    person = Person(pane)

    class Meddling(Tmux):
        pressed = False

        async def run(self, *argv, stdin=None):
            result = await super().run(*argv, stdin=stdin)
            if "hello from a peer" in result and not self.pressed:  # the draft is shown; the key will be half a second later
                self.pressed = True
                person.press("h")
            return result

    async def scenario():
        settings = replace(QUICK, verify_timeout=1500)
        injector = Injector(Meddling(socket_name=server.name), pane.session, "0", settings)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="waits for its Enter"):
            await injector.inject(ticket())
        assert pane.messages() == []
        person.press("\x7f")
        return await deliver(injector, ticket())

    try:
        assert run(scenario()).form == "agent"
        until(lambda: pane.messages(), "the message")
        assert len(pane.messages()) == 1 and pane.messages()[0].endswith("hello from a peer")
    finally:
        person.leave()

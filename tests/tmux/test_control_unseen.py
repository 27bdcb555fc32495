"""A control client on a real tmux: no person notices that it attaches, works and leaves.

    waiting at the gate ──a person types──► attached ──the last person leaves──► gone

At the gate, the client is connected to the server, but not attached to a session (attachment.py).
"""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from controlling import client_of, connect_behind, controls, wait_until
from panes import PATIENCE, Person, run, tmux_version, until

from bridge.errors import TmuxError
from bridge.tmux.control_mode import attachment, session_choice
from bridge.tmux.control_mode import client as control_client

pytestmark = pytest.mark.skipif(
    tmux_version() < session_choice.VERSION_MIN,
    reason="bridge uses no control client with so old a tmux",
)


async def wait_drawn(person: Person) -> int:
    """Wait until the person's terminal gets no more bytes; return how many it got so far."""
    seen, since, deadline = -1, 0.0, time.monotonic() + PATIENCE
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, "the person's terminal is never quiet"
        if person.seen_bytes != seen:
            seen, since = person.seen_bytes, time.monotonic()
        await asyncio.sleep(0.02)
    return seen


def test_a_person_sees_and_loses_nothing(own):
    """No byte reaches the person's terminal when the client attaches, asks and leaves.

    The window keeps its size, and still follows the size of the person's terminal.
    """
    pane = own.open("sh -c 'stty -echo; cat >/dev/null'", width=100, height=24)
    person = Person(pane)
    own("set-environment", "-t", pane.session, "SSH_AUTH_SOCK", "/of/the/person")

    def size() -> str:
        return pane.get("window_width") + "x" + pane.get("window_height")

    async def scenario():
        async with client_of(own, policy="auto") as client:
            before, seen = size(), await wait_drawn(person)
            await connect_behind(client, person)
            await client.query("list-panes", "-a")
            assert await wait_drawn(person) == seen and size() == before
            person.resize(30, 90)
            await wait_until(
                lambda: pane.get("window_width") == "90",
                "the window following the person's terminal",
            )
            seen = await wait_drawn(person)
            await client.aclose()
            await wait_until(lambda: not controls(own), "leaving")
            assert await wait_drawn(person) == seen
        assert "/of/the/person" in own("show-environment", "-t", pane.session, "SSH_AUTH_SOCK")

    run(scenario())
    person.leave()


def test_a_message_of_a_script_goes_to_the_person_and_not_to_our_client(own):
    """display-message from a pane and from outside, before and after the client attaches."""
    pane = own.open("bash --norc --noprofile")
    person = Person(pane)

    async def shown(words: str) -> None:
        await wait_until(
            lambda: words.encode() in person.seen, f"{words!r} on the person's terminal"
        )

    async def scenario():
        async with client_of(own, policy="auto") as client:
            own("display-message", "before it comes")
            await shown("before it comes")
            await client.query("list-sessions")
            assert not client.is_connected and not controls(own)
            own("display-message", "while it waits")
            await shown("while it waits")
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            own("display-message", "from outside")
            await shown("from outside")
            pane.keys("C-u", "tmux display-message 'from'' within'", "Enter")
            await shown("from within")
            await client.query("list-panes", "-a")
            own("display-message", "and later")
            await shown("and later")

    run(scenario())
    person.leave()


def test_a_client_that_waits_at_the_gate_leaves_no_process_and_no_option(own):
    pane = own.open("sleep 60")
    person = Person(pane)

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.query("list-sessions")
            pid = client._comer[0]._process.pid
            assert os.path.exists(f"/proc/{pid}") and not controls(own)
        assert not os.path.exists(f"/proc/{pid}") and not controls(own)
        assert "@bridge-" not in own("show-options", "-s")
        async with client_of(own, policy="auto") as client:
            await connect_behind(client, person)
            assert "@bridge-" not in own("show-options", "-s")
            person.leave()
            await wait_until(lambda: not controls(own), "leaving with the person")
            client._not_before = 0.0
            await client.query("list-sessions")
            assert client._comer is None

    run(scenario())


def test_a_client_does_not_wait_at_the_gate_for_ever(own, monkeypatch):
    """If bridge was killed, no event would end the wait."""
    monkeypatch.setattr(attachment, "STAY", 1)
    person = Person(own.open("sleep 60"))

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.query("list-sessions")
            comer = client._comer[0]
            await wait_until(lambda: comer.broken, "leaving")
            monkeypatch.setattr(attachment, "STAY", 60)
            await connect_behind(client, person)  # a new client connects
        person.leave()

    run(scenario())


def test_the_client_survives_a_server_that_ends_while_it_waits_at_the_gate(own, monkeypatch):
    monkeypatch.setattr(control_client, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(control_client, "RECHECK", 0.05)
    monkeypatch.setattr(control_client, "TYPED_STEP", 0.05)
    person = Person(own.open("sleep 60"))

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.query("list-sessions")
            own.stop()
            person.leave()
            with pytest.raises(TmuxError):
                await client.query("list-sessions")
            again = Person(own.open("sleep 60"))
            await connect_behind(client, again)
            again.leave()

    run(scenario())


def test_auto_attaches_after_a_person_and_leaves_with_the_person(own):
    pane = own.open("bash --norc")

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.query("list-sessions")
            assert not client.is_connected and not controls(own)
            person = Person(pane)
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            person.leave()
            await wait_until(lambda: not controls(own), "leaving with the person")
            assert await client.query("display-message", "-p", "still here") == "still here\n"

    run(scenario())


@pytest.mark.parametrize("policy", ["auto", "on"])
def test_destroy_unattached_ends_the_session_when_the_person_leaves(own, monkeypatch, policy):
    """The option is set while our client is attached, and our client must not keep the session."""
    pane = own.open("cat")
    other = own.open("cat")  # keeps the server alive
    person = Person(pane)

    async def scenario():
        async with client_of(own, policy=policy) as client:
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            own("set-option", "-t", pane.session, "destroy-unattached", "on")
            person.leave()
            await wait_until(
                lambda: pane.session not in own("list-sessions", "-F", "#{session_name}"),
                "the session going",
            )

    run(scenario())
    assert other.session in own("list-sessions", "-F", "#{session_name}")


def test_a_session_with_destroy_unattached_is_never_attached_to(own):
    pane = own.open("cat")
    person = Person(pane)
    own("set-option", "-t", pane.session, "destroy-unattached", "on")

    async def scenario():
        async with client_of(own) as client:
            await client.query("list-sessions")
            assert not client.is_connected and not controls(own)

    run(scenario())
    person.leave()
    until(
        lambda: pane.session not in own("list-sessions", "-F", "#{session_name}", check=False),
        "the session going",
    )

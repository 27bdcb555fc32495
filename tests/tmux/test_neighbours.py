"""Real panes: a lost pane is not replaced by its neighbour, and is found when it is made again."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from panes import PATIENCE, deliver, run, ticket

from bridge.errors import PaneLost, PaneUnfit


def bash(own, *argv: str) -> None:
    own(*argv, "exec bash --norc --noprofile")


def screens(own) -> str:
    return "".join(
        own("capture-pane", "-p", "-t", pane)
        for pane in own("list-panes", "-a", "-F", "#{pane_id}").split()
    )


async def wait_lost(injector, words: str, error=PaneUnfit) -> None:
    """Look for the pane repeatedly, as a watcher does, until the error contains `words`.

    Then every call of the injector must raise that error.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        with pytest.raises(PaneLost) as lost:
            await injector.wait_ready()
        if isinstance(lost.value, error) and re.search(words, str(lost.value)):
            break
        assert time.monotonic() < deadline, f"expected {words!r}, it is {lost.value}"
        await asyncio.sleep(0.02)
    for attempt in (injector.check(), injector.explain(), injector.inject(ticket())):
        with pytest.raises(error, match=words):
            await attempt


async def deliver_once_found(injector, given):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await deliver(injector, given)
        except PaneLost:
            assert time.monotonic() < deadline, "it was not found again"
            await asyncio.sleep(0.02)


def test_the_remaining_window_is_not_taken_for_the_killed_one(own):
    """After a second window opened and ours was killed, `0` names the pane of another agent."""
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector()
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")
        await deliver(injector, ticket(ticket_id="T-1"))  # the injector holds our pane by its id
        own("kill-window", "-t", f"={pane.session}:0")
        await wait_lost(
            injector,
            "0 is .*:1.0 .%1. now, and is not taken: it (stood|may have stood) beside %0"
            ".*start the watcher again, or name it %1",
        )

    run(scenario())
    assert "T-" not in screens(own)


def test_a_window_that_is_renumbered_and_was_never_seen_is_not_taken(own):
    pane = own.open("bash --norc")
    own("set-option", "-t", f"={pane.session}:", "renumber-windows", "on")

    async def scenario():
        injector = pane.injector(pane="0.0")
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")  # after the last listing
        own("kill-window", "-t", f"={pane.session}:0")
        await wait_lost(injector, "may have stood beside %0")
        # This window opens after a listing showed that ours is gone.
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")
        own("kill-window", "-t", f"={pane.session}:0")
        return await deliver_once_found(injector, ticket(ticket_id="T-1"))

    assert "%2" in run(scenario()).pane


def test_a_pane_that_gets_the_index_of_a_killed_one_is_not_taken(own):
    pane = own.open("bash --norc", height=40)
    for _ in range(2):
        bash(own, "split-window", "-t", pane.id)

    def second() -> str:
        return own("display-message", "-p", "-t", f"={pane.session}:0.1", "#{pane_id}").strip()

    async def scenario():
        injector, ours = pane.injector(pane="0.1"), second()
        await injector.check()
        assert injector.pane.pane_id == ours
        own("kill-pane", "-t", ours)
        await wait_lost(injector, f"it stood beside {ours}")
        own("kill-pane", "-t", second())
        await wait_lost(injector, "no pane of session .* is '0.1'", PaneLost)
        bash(own, "split-window", "-t", pane.id)
        return await deliver_once_found(injector, ticket(ticket_id="T-1"))

    assert "%3" in run(scenario()).pane


def test_a_window_that_its_owner_opens_again_is_found(own):
    own("new-session", "-d", "-s", "work", "exec cat")
    bash(own, "new-window", "-d", "-t", "=work:1")
    pane = own.open("cat")
    pane.session = "work"

    async def scenario():
        injector = pane.injector(pane="1.0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-window", "-t", "=work:1")
        await wait_lost(injector, "no pane of session 'work' is '1.0'", PaneLost)
        bash(own, "new-window", "-d", "-t", "=work:1")
        return await deliver_once_found(injector, ticket(ticket_id="T-2"))

    assert "work:1.0 (%3)" in run(scenario()).pane


def test_a_session_that_was_made_again_at_once_is_found(own):
    """No listing was taken in between, but only one session can have the name."""
    own.open("cat")
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector(pane="0.0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-session", "-t", f"={pane.session}")
        bash(own, "new-session", "-d", "-s", pane.session)
        return await deliver_once_found(injector, ticket(ticket_id="T-2"))

    assert "%2" in run(scenario()).pane


def test_an_id_is_not_looked_for_on_another_server(own):
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector(pane="%0")
        await deliver(injector, ticket(ticket_id="T-1"))
        own("kill-server")
        with pytest.raises(PaneLost):
            await injector.check()
        bash(own, "new-session", "-d", "-s", pane.session)  # its pane is %0 again
        await wait_lost(injector, "tmux was restarted, and gave %0 to another pane")

    run(scenario())
    assert "T-1" not in screens(own)


def test_a_second_window_is_logged_once(own, caplog):
    pane = own.open("bash --norc")

    async def scenario():
        injector = pane.injector()
        await injector.check()
        bash(own, "new-window", "-d", "-t", f"={pane.session}:")
        injector._observer._pane_list.forget()
        for _ in range(3):
            await injector.check()
        return await deliver(injector, ticket(ticket_id="T-1"))

    assert "%0" in run(scenario()).pane
    logged = [record.getMessage() for record in caplog.records]
    assert [line for line in logged if "several windows" in line] == [
        "the session has several windows now, so '0' names no pane: ours stays, but is not found"
        f" again when it is gone; write window.pane pane={pane.session}:0.0 (%0)"
    ]

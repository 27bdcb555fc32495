"""A person's key that the program has not shown yet delays the Enter, because tmux records it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from meddling import Meddling, enter, shows, typed
from panes import QUICK, Person, deliver, run, ticket, until

from bridge.errors import PaneNotReady, TmuxError


def test_no_enter_while_a_key_may_be_on_its_way_to_the_screen(server):
    """The soak found this: an agent's burst rule read the Enter as text.

    The ticket was recorded as submitted nevertheless.
    """
    pane = server.agent("--slow", "0.5")
    person = Person(pane)
    # The draft is on the screen. The agent shows the key half a second later.
    tmux = Meddling(server.name, shows("hello from a peer"), lambda: person.press("h"))

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, verify_timeout=1500), tmux=tmux)
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


def test_no_enter_while_a_persons_words_stand_behind_a_folded_paste(server):
    """This holds however long ago the words were typed. The screen shows a mark for the ticket."""
    pane = server.agent("--fold", "2")
    person = Person(pane)
    body = "one\ntwo\nthree\nfour"
    tmux = Meddling(server.name, shows("[Pasted text"), lambda: person.press("half a line"))

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, quiet=200, verify_timeout=2000), tmux=tmux)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="waits for its Enter"):
            await injector.inject(ticket(body))
        assert pane.messages() == [] and pane.is_shown("lines]half a line")
        person.press("\x7f" * len("half a line"))
        return await deliver(injector, ticket(body))

    try:
        assert run(scenario()).form == "agent"
        until(lambda: pane.messages(), "the message")
        assert len(pane.messages()) == 1 and pane.messages()[0].endswith(body)
    finally:
        person.leave()


@pytest.mark.parametrize(
    ("dies", "flags"),
    [
        (False, ["--box", "--slow", "0.05"]),
        (False, ["--fold", "2"]),
        (False, ["--hidden"]),
        (True, ["--box"]),
        (True, ["--hidden", "--fold", "2"]),
    ],
)
def test_a_ticket_whose_enter_was_swallowed_under_a_persons_words_is_not_submitted(
    server, dies, flags
):
    """The person types right after our Enter, which the agent swallowed, and deletes that later."""
    pane = server.agent("--swallow", "1", *flags)
    person = Person(pane)
    words, body = "my own words", "one\ntwo\nthree\nfour"

    def begin_to_type():
        person.press(words)
        pane.wait_shown(words)
        if dies:
            raise KeyboardInterrupt

    async def scenario():
        settings = replace(QUICK, quiet=200)
        injector = pane.injector(
            settings=settings, tmux=Meddling(server.name, enter, begin_to_type)
        )
        await injector.wait_ready()
        with pytest.raises(KeyboardInterrupt if dies else PaneNotReady):
            await injector.inject(ticket(body))
        again = pane.injector(settings=settings) if dies else injector
        await again.wait_ready(lambda: ["T-1"])
        with pytest.raises(PaneNotReady):
            await again.inject(ticket(body))
        assert pane.messages() == []
        person.press("\x7f" * len(words))
        return await deliver(again, ticket(body))

    try:
        assert run(scenario()).form == "agent"
        until(lambda: pane.messages(), "the message")
        assert len(pane.messages()) == 1 and pane.messages()[0].endswith(body)
    finally:
        person.leave()


def test_no_second_enter_while_a_key_may_be_on_its_way_to_the_screen(server):
    """The soak found this: an agent took a person's words together with the ticket.

    The agent had swallowed the first Enter, and was slow to show the person's keys.
    """
    pane = server.agent("--swallow", "1", "--slow", "1.2")
    person = Person(pane)
    tmux = Meddling(server.name, enter, lambda: person.press("my own words"))

    async def scenario():
        injector = pane.injector(
            settings=replace(QUICK, quiet=2500, enter_wait=300, verify_timeout=4000), tmux=tmux
        )
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="a person typed here"):
            await injector.inject(ticket())
        pane.wait_shown("my own words")
        person.press("\x7f" * len("my own words"))
        return await deliver(
            pane.injector(settings=replace(QUICK, enter_wait=4000)), ticket(), patience=30
        )

    try:
        assert run(scenario()).form == "agent"
        assert len(until(pane.messages, "the message")) == 1 and pane.messages()[0].endswith(
            "hello from a peer"
        )
    finally:
        person.leave()


def test_a_swallowed_enter_is_not_a_submission_if_a_person_scrolls_back_at_once(server):
    pane = server.agent("--swallow", "1")
    tmux = Meddling(server.name, enter, lambda: server("copy-mode", "-t", pane.id))

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, enter_wait=300), tmux=tmux)
        await injector.wait_ready()
        for _ in range(2):
            with pytest.raises(PaneNotReady, match="copy-mode"):
                await injector.inject(ticket())
            assert pane.messages() == []
            await injector.wait_ready(lambda: ["T-1"])
        server("copy-mode", "-q", "-t", pane.id)
        return await deliver(injector, ticket())

    assert run(scenario()).form == "agent"
    assert len(until(pane.messages, "the message")) == 1


def test_a_swallowed_enter_is_not_a_submission_if_tmux_fails_at_the_next_look(server):
    pane = server.agent("--swallow", "1")
    entered = []

    def look_after_enter(argv, result):
        return entered or entered.extend([argv] if enter(argv, result) else [])

    def fail():
        raise TmuxError("capture-pane", "no answer in 5 s")

    async def scenario():
        injector = pane.injector(
            settings=replace(QUICK, enter_wait=300),
            tmux=Meddling(server.name, look_after_enter, fail, before=True),
        )
        await injector.wait_ready()
        with pytest.raises(TmuxError):
            await injector.inject(ticket())
        assert pane.messages() == []
        return await deliver(injector, ticket())

    assert run(scenario()).form == "agent"
    assert len(until(pane.messages, "the message")) == 1


@pytest.mark.parametrize(
    ("program", "word"),
    [("agent", "paste-buffer"), ("agent", "send-keys"), ("shell", "paste-buffer")],
)
def test_a_key_after_the_last_look_prevents_the_typing_before_a_program_shows_it(
    server, program, word
):
    """The soak found this: a half line that a person typed just then was sent with the ticket.

    tmux records the key, so its guard can check it.
    """
    pane = (
        server.agent("--slow", "0.5")
        if program == "agent"
        else server.open("bash --norc --noprofile")
    )
    person = Person(pane)

    def last_key() -> int:
        return int(server("list-clients", "-t", f"={pane.session}", "-F", "#{client_activity}"))

    def press():
        before = last_key()  # at least two seconds ago; otherwise nothing would be typed
        # Ctrl-U does not change the shell's screen.
        person.press("h" if program == "agent" else "\x15")
        until(lambda: last_key() > before, "the key in tmux's record")

    tmux = Meddling(server.name, lambda argv, result: word in typed(argv), press, before=True)

    async def scenario():
        injector = pane.injector(tmux=tmux)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="at the last moment"):
            await injector.inject(ticket())
        assert pane.messages() == [] and not pane.is_shown("show T-1")
        if program == "agent":
            person.press("\x7f")
        return await deliver(injector, ticket())

    try:
        assert run(scenario()).form == program
        if program == "agent":
            assert until(pane.messages, "the message") == [
                "".join(pane.messages())
            ] and pane.messages()[0].endswith("hello from a peer")
    finally:
        person.leave()

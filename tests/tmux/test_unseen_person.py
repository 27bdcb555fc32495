"""A person at a control client, whose keys tmux does not record, as at iTerm2's `tmux -CC`."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest
from controlling import client_of, connect
from panes import deliver, run, ticket, until, wait_reason

from bridge.settings import TmuxSettings
from bridge.tmux.readiness.objections import person_objection
from bridge.tmux.readiness.program import Rules, sight_of
from bridge.tmux.readiness.screen_history import ScreenHistory
from bridge.tmux.readiness.snapshot import PaneState
from bridge.tmux.server.pane import has_unseen_person


class ControlPerson:
    """A person at a control client, which types by send-keys, as iTerm2 does."""

    def __init__(self, pane) -> None:
        argv = ["tmux", "-u", "-L", pane.server.name, "-C", "attach", "-t", f"={pane.session}"]
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=pane.server.environment
        )
        self._pane = pane
        until(
            lambda: (
                "1"
                in pane.server(
                    "list-clients", "-t", f"={pane.session}", "-F", "#{client_control_mode}"
                )
            ),
            "the control client",
        )

    def press(self, keys: str) -> None:
        self._process.stdin.write(f"send-keys -t {self._pane.id} {keys}\n".encode())
        self._process.stdin.flush()

    def leave(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)


@pytest.fixture
def pane(own):
    handle = own.open("env PS1='$ ' bash --norc --noprofile")
    handle.wait_shown("$")
    return handle


@pytest.fixture
def person(pane):
    there = ControlPerson(pane)
    yield there
    there.leave()


def test_a_key_of_a_control_client_delays_a_ticket_until_the_line_was_still(pane, person):
    """Backspace restores the empty prompt: only the looks in between show that a person typed."""
    settings = TmuxSettings(poll_min=20, poll_max=50, cool_down=0, quiet=1500)

    async def scenario():
        injector = pane.injector(settings=settings)
        person.press("x")
        await wait_reason(injector, "control client")
        person.press("BSpace")
        until(lambda: pane.screen().split("\n")[0] == "$", "the empty line")
        verdict = await injector.explain()
        assert not verdict.ready and verdict.rule == "person"
        return await deliver(injector, ticket(ticket_id="T-1"))

    assert run(scenario()).form == "shell"
    pane.wait_shown("show T-1")


def test_nothing_is_typed_while_a_person_types_through_a_control_client(pane, person):
    settings = TmuxSettings(poll_min=20, poll_max=50, cool_down=0, quiet=60000)

    async def scenario():
        injector = pane.injector(settings=settings)
        for _ in range(5):
            verdict = await injector.explain()
            assert (verdict.ready, verdict.rule) == (False, "person")

    run(scenario())
    assert "show" not in pane.screen()


def test_a_pane_in_another_window_of_the_session_has_an_unseen_person_too(own, pane, person):
    """iTerm2 shows all windows of the session, not only tmux's active one."""
    own("new-window", "-t", f"={pane.session}:", "cat")
    other = own.open("cat")
    assert run(pane.injector(pane="0.0").look())[1].unseen_person
    assert not run(other.injector().look())[1].unseen_person


def test_a_watchers_control_client_is_not_a_person(own):
    pane = own.open("cat")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            # The first look is one of a process that did not attach the client.
            assert not (await pane.injector().look())[1].unseen_person
            assert not (await pane.injector(tmux=client).look())[1].unseen_person

    run(scenario())


def test_a_control_client_that_gets_output_is_a_person_in_every_pane_of_its_session():
    assert has_unseen_person(["990 1 .attached,control-mode %1 %2 "], "%2")
    assert has_unseen_person(["990 1 . %1 "], "%1")  # before tmux 3.2 clients have no flags
    assert not has_unseen_person(["990 1 .attached %1 "], "%2")
    assert not has_unseen_person(["990 0 .attached %1"], "%1")
    # A watcher's client gets no output.
    assert not has_unseen_person(["990 1 .attached,ignore-size,no-output %1 "], "%1")


def test_without_a_record_of_a_persons_keys_the_line_must_have_been_still():
    state = PaneState("", 1, "%0", 2, rows=("$ ", ""), cursor_x=2, unseen_person=True)
    history = ScreenHistory()

    def objection(now, **changed):
        seen = replace(state, **changed)
        history.add_look(seen, True, now, now)
        return person_objection(sight_of(seen, history.learned(), Rules(quiet=2.0)))

    assert "control client" in objection(1.0)
    assert "for 1.9 s only" in objection(2.9)
    assert objection(3.0) is None
    assert objection(4.0, rows=("$ ", "a clock ticks below")) is None
    assert (
        objection(5.0, rows=("$ l", ""), cursor_x=3)
        and objection(6.0, rows=("$ ", ""))
        and objection(7.9)
    )
    assert objection(8.0) is None
    assert objection(1.0, unseen_person=False) is None

"""The last look is reused while a new one would show the same. Every change is still noticed."""

from __future__ import annotations

import contextlib
import sys

import pytest
from panes import QUICK, Person, run, ticket, until

from bridge.errors import PaneNotReady
from bridge.tmux.injection.injector import Injector
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.server.client import Tmux

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify(7) is Linux's")


class CountingTmux(Tmux):
    """Counts the looks, and the pastes that capture the pane in the same call."""

    looks = pastes = 0

    async def run(self, *argv, stdin=None):
        self._count(argv)
        return await super().run(*argv, stdin=stdin)

    async def query(self, *argv):
        self._count(argv)
        return await super().query(*argv)

    async def run_guarded(self, *argv):
        self._count(argv)
        return await super().run_guarded(*argv)

    def _count(self, argv):
        if "capture-pane" in argv and "if-shell" in argv:
            self.pastes, self.looks_before = self.pastes + 1, self.looks
        else:
            self.looks += "capture-pane" in argv


@contextlib.asynccontextmanager
async def looked_at(pane):
    """Yield an injector that has found the pane ready, and its tmux."""
    tty_events, tmux = TtyEvents(), CountingTmux(socket_name=pane.server.name)
    injector = Injector(tmux, pane.session, "0", QUICK, pane.form, tty_events)
    try:
        await injector.wait_ready()
        await injector.wait_ready()  # the program may have drawn during the first look
        yield injector, tmux
    finally:
        tty_events.close()


@pytest.fixture
def shell(server):
    pane = server.open("bash --norc --noprofile")
    pane.wait_shown("$" if "$" in pane.screen() else "#")
    return pane


def test_an_idle_pane_is_not_looked_at_again(shell):
    async def scenario():
        async with looked_at(shell) as (injector, tmux):
            before = tmux.looks
            await injector.wait_ready()
            assert tmux.looks == before
            evidence = await injector.inject(ticket())
            # One process does the paste and the look after it.
            assert (tmux.pastes, tmux.looks_before) == (1, before)
            return evidence

    assert run(scenario()).form == "shell"
    shell.wait_shown("show T-1")


def half_a_line(pane):
    pane.type("rm -rf important")
    pane.wait_shown("important")


def copy_mode(pane):
    pane.server("copy-mode", "-t", pane.id)


def switched_off(pane):
    pane.server("select-pane", "-d", "-t", pane.id)


def synchronized(pane):
    pane.server("set-option", "-p", "-t", pane.id, "synchronize-panes", "on")


def a_program(pane):
    pane.type("cat")
    pane.keys("Enter")
    until(lambda: pane.get("pane_current_command") == "cat", "cat")


def another_watchers_mark(pane):
    pane.server("set-option", "-p", "-t", pane.id, "@bridge_pasted", "other=1-2")


def another_program(pane):
    pane.server("respawn-pane", "-k", "-t", pane.id, "exec cat")
    until(lambda: pane.get("pane_current_command") == "cat", "cat")


@pytest.mark.parametrize(
    "change",
    [
        half_a_line,
        copy_mode,
        switched_off,
        synchronized,
        a_program,
        another_watchers_mark,
        another_program,
    ],
    ids=lambda change: change.__name__,
)
def test_a_change_after_the_last_look_prevents_the_paste(shell, change):
    async def scenario():
        async with looked_at(shell) as (injector, _):
            change(shell)
            with pytest.raises(PaneNotReady):
                await injector.inject(ticket())

    run(scenario())
    assert "show T-1" not in shell.screen()


def test_output_anywhere_on_the_screen_causes_a_new_look(shell):
    async def scenario():
        async with looked_at(shell) as (injector, tmux):
            before = tmux.looks
            with open(shell.get("pane_tty"), "w") as terminal:
                terminal.write("\x1b7\x1b[20;1Ha word from behind\x1b8")
            await injector.wait_ready()
            assert tmux.looks > before

    run(scenario())


def test_a_pane_with_a_person_attached_always_gets_a_new_look(shell):
    async def scenario():
        async with looked_at(shell) as (injector, tmux):
            person = Person(shell)
            try:
                await injector.look()
                before = tmux.looks
                await injector.wait_ready()
                assert tmux.looks > before
            finally:
                person.leave()

    run(scenario())


def test_a_person_who_attached_after_the_look_and_typed_is_noticed(shell):
    async def scenario():
        async with looked_at(shell) as (injector, _):
            person = Person(shell)
            try:
                person.press("\x1b")  # the screen does not change
                with pytest.raises(PaneNotReady):
                    await injector.inject(ticket())
            finally:
                person.leave()

    run(scenario())
    assert "show T-1" not in shell.screen()

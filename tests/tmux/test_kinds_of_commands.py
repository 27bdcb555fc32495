"""Each tmux command of bridge is run by the method that fits what it does.

The method says whether a command may be repeated, or share a process. `kind_of` finds the same from
the words of the command, as bridge itself did before the methods existed.
"""

from __future__ import annotations

import asyncio

import pytest
from panes import QUICK, deliver, run, ticket

from bridge.doctor import tmux as doctor_tmux
from bridge.doctor.finding import Setup
from bridge.settings import ClientSettings, DoctorSettings, WatcherSettings
from bridge.tmux.injection.conditional import DONE, NOT_DONE, Guard
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.tenancy import PaneTurns, Tenancy
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane_list import PaneList
from bridge.tmux.server.paste_buffers import sweep

READS = {
    "display-message",
    "list-panes",
    "list-clients",
    "list-buffers",
    "list-sessions",
    "list-windows",
    "capture-pane",
    "show-options",
    "show-hooks",
    "has-session",
}


def kind_of(argv: tuple[str, ...]) -> str:
    is_guarded = (
        len(argv) >= 7
        and argv[-7:-5] == ("if-shell", "-F")
        and argv[-2].endswith(DONE)
        and argv[-1].endswith(NOT_DONE)
    )
    if is_guarded:
        return "run_guarded"
    starts = [argv[0], *(argv[index + 1] for index, word in enumerate(argv[:-1]) if word == ";")]
    return "query" if all(word in READS for word in starts) else "run"


@pytest.mark.parametrize(
    "argv, kind",
    [
        (("list-panes", "-a"), "query"),
        (("list-panes", ";", "send-keys", "x"), "run"),
        (("load-buffer", "-"), "run"),
        (("display-message", "-p", ";;"), "query"),
        (tuple(Guard("%1", True, "x").enter("y")), "run_guarded"),
        (tuple(Guard("%1", True, "x", 5).paste("b", "y")), "run_guarded"),
        (tuple(Guard("%1", True, "x").note("y")), "run"),
    ],
)
def test_the_kind_of_a_command(argv, kind):
    assert kind_of(argv) == kind


class Recorder(Tmux):
    """Records each call: the method, and the words."""

    def __init__(self, name: str) -> None:
        super().__init__(socket_name=name)
        self.calls: list[tuple[str, tuple[str, ...]]] = []

    async def query(self, *argv):
        self.calls.append(("query", argv))
        return await super().query(*argv)

    async def run(self, *argv, stdin=None):
        self.calls.append(("run", argv))
        return await super().run(*argv, stdin=stdin)

    async def run_guarded(self, *argv):
        self.calls.append(("run_guarded", argv))
        return await super().run_guarded(*argv)

    def check(self, *wanted: str) -> None:
        assert {method for method, _ in self.calls} == set(wanted)
        for method, argv in self.calls:
            assert kind_of(argv) == method, argv


@pytest.mark.parametrize("program", ["bash --norc --noprofile", "dash", "agent"])
def test_a_delivery_uses_the_method_that_fits(server, program):
    pane = server.agent() if program == "agent" else server.open(program)
    tmux = Recorder(server.name)

    async def scenario():
        pane_list = PaneList(tmux)
        tenancy = Tenancy("lucy", tmux, pane_list, PaneTurns())
        injector = Injector(tmux, pane.session, "0", QUICK, pane.form, pane_list=tenancy)
        await deliver(injector, ticket())
        await deliver(injector, ticket("日本 " * 2000, "T-2"))  # through stdin, to an agent
        await tenancy.leave()
        await pane_list.aclose()

    run(scenario())
    tmux.check("query", "run", "run_guarded")


def test_an_enter_that_is_swallowed_is_pressed_again_by_a_guarded_sequence(server):
    pane = server.agent("--swallow", "1")
    tmux = Recorder(server.name)
    run(deliver(Injector(tmux, pane.session, "0", QUICK, pane.form), ticket()))
    tmux.check("query", "run", "run_guarded")
    enters = [argv for method, argv in tmux.calls if "Enter" in argv[-2]]
    assert len(enters) >= 2


def test_the_removal_of_buffers_and_the_doctor_use_the_method_that_fits(server):
    server.open("dash")
    server("set-buffer", "-b", "bridge-4194305-0", "left behind")
    tmux = Recorder(server.name)
    asyncio.run(sweep(tmux))
    tmux.check("query", "run")
    tmux.calls.clear()
    settings = DoctorSettings(), ClientSettings(), WatcherSettings(), QUICK
    assert doctor_tmux.server(Setup(*settings, tmux, "", False)).text
    tmux.check("query")

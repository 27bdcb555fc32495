"""A watcher whose claim ran out must not type.

Another watcher may have typed the ticket long ago, and the marks keep only the last few tickets.
"""

from __future__ import annotations

import time

import pytest
from meddling import Meddling, guarded
from panes import QUICK, deliver, run, ticket, until

from bridge import awake
from bridge.errors import PaneNotReady
from bridge.tmux.injection.pane_marks import RING


def test_a_ticket_whose_claim_ran_out_is_not_typed(server):
    pane = server.open("bash --norc --noprofile", height=60)

    async def scenario():
        other, sleeper = pane.injector(), pane.injector()
        await sleeper.wait_ready()
        for number in range(RING + 1):
            await deliver(other, ticket(ticket_id=f"T-{number}"), patience=40)
        await sleeper.wait_ready()
        assert "T-0=" not in pane.get("@bridge_sent"), "the marks hold only a few tickets"
        with pytest.raises(PaneNotReady, match="claim ran out"):
            await sleeper.inject(ticket(ticket_id="T-0"), lambda: 0.0)

    run(scenario())
    until(lambda: f"show T-{RING}" in pane.screen(), "the last one")
    assert pane.screen().count("show T-0") == 1


def test_the_claim_is_checked_after_the_last_look(server):
    """Otherwise the machine could sleep between the two for longer than the claim lasts."""
    pane = server.agent()
    looks: list[str] = []

    async def scenario():
        injector = pane.injector()
        look = injector._observer.observe

        async def counted():
            looks.append("look")
            return await look()

        injector._observer.observe = counted
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="claim ran out"):
            await injector.inject(ticket(), lambda: looks.append("asked") or 0.0)

    run(scenario())
    assert looks[-1] == "asked" and looks.count("asked") == 1 and pane.messages() == []


def loads(argv: tuple, result: str) -> bool:
    return argv[0] == "load-buffer"


@pytest.mark.parametrize("program", ["shell", "agent"])
def test_a_claim_that_runs_out_while_the_buffer_is_loaded_prevents_the_paste(server, program):
    """An earlier version checked the claim before it loaded the buffer."""
    pane = server.open("bash --norc --noprofile") if program == "shell" else server.agent()
    began: list[float] = []
    tmux = Meddling(server.name, loads, lambda: time.sleep(1.2))
    # A text with a non-ASCII character is not passed as an argument: load-buffer reads it first.
    command = "python3 -m bridge show {id} # é" if program == "shell" else QUICK.shell_command
    before = pane.screen()

    async def scenario():
        injector = pane.injector(
            settings=QUICK.__class__(poll_min=20, poll_max=60, cool_down=0, shell_command=command),
            tmux=tmux,
        )
        await injector.wait_ready()
        began.append(awake.now())
        with pytest.raises(PaneNotReady, match="claim ran out"):
            await injector.inject(ticket(), lambda: began[0] + 1.0 - awake.now())

    run(scenario())
    assert pane.screen() == before and pane.messages() == []
    assert not [
        name
        for name in server("list-buffers", "-F", "#{buffer_name}").split()
        if name.startswith("bridge-")
    ], "a paste buffer is left"


@pytest.mark.parametrize("program", ["shell", "agent"])
def test_a_claim_that_runs_out_right_before_the_paste_prevents_it(server, program):
    """The end of the claim is part of the condition that tmux itself checks."""
    pane = server.open("bash --norc --noprofile") if program == "shell" else server.agent()
    tmux = Meddling(server.name, guarded, lambda: time.sleep(3.2), before=True)
    before = pane.screen()

    async def scenario():
        injector = pane.injector(tmux=tmux)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="at the last moment"):
            await injector.inject(ticket(), lambda: 1.5)

    run(scenario())
    assert pane.screen() == before and pane.messages() == []


@pytest.mark.parametrize(
    "change",
    [("set-option", "-w", "synchronize-panes", "on"), ("copy-mode",), ("select-pane", "-d")],
    ids=lambda words: words[0],
)
def test_a_mode_that_a_person_sets_between_a_commands_paste_and_its_enter_prevents_the_enter(
    server, change
):
    """The soak found this: with synchronize-panes on, Enter goes to every pane of the window."""
    pane = server.open("bash --norc --noprofile")
    beside = server.folder / f"beside-{change[0]}"
    server("split-window", "-d", "-t", pane.id, f"cat > {beside}")
    until(beside.exists, "the pane beside")
    tmux = Meddling(server.name, guarded, lambda: server(change[0], "-t", pane.id, *change[1:]))

    async def scenario():
        injector = pane.injector(pane="0.0", tmux=tmux)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="Enter was not pressed|at the last moment"):
            await injector.inject(ticket())

    run(scenario())
    assert not pane.get("@bridge_sent") and beside.read_text() == ""

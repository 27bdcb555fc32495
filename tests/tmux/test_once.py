"""Exactly one delivery: with crashes at any point, two watchers, and a person's key in between."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import replace

import pytest
from meddling import Meddling, enter, guarded, typed
from panes import QUICK, deliver, run, ticket, until

from bridge.errors import PaneNotReady, Uncertain
from bridge.tmux.injection.injector import Injector
from bridge.tmux.injection.pane_marks import RING, read_mark
from bridge.tmux.injection.tenancy import Tenancy
from bridge.tmux.server.client import Tmux
from bridge.tmux.server.pane_list import PaneList


class Crash(BaseException):
    """The watcher process has died: none of its `except Exception` handlers run."""


def crashing(server, subcommand: str, after: bool, nth: int = 1) -> Meddling:
    """A tmux that raises Crash before or after the n-th call of the subcommand.

    Of if-shell, only guarded sequences count.
    """

    def moment(argv, result):
        return argv[0] == subcommand if subcommand != "if-shell" else bool(typed(argv))

    def crash():
        raise Crash

    return Meddling(server.name, moment, crash, before=not after, nth=nth)


POINTS = [
    ("load-buffer", False, 1),
    ("load-buffer", True, 1),
    ("if-shell", False, 1),
    ("if-shell", True, 1),
]


@pytest.mark.parametrize(("subcommand", "after", "nth"), POINTS)
def test_a_shell_gets_the_ticket_once_if_the_watcher_dies_at_any_point(
    server, subcommand, after, nth
):
    """A text that fits into an argument is set, pasted and entered in one call of tmux.

    Other text is loaded by a separate call.
    """
    pane = server.open("dash")
    settings = (
        replace(QUICK, shell_command="python3 -m bridge show {id} # é")
        if subcommand == "load-buffer"
        else QUICK
    )

    async def scenario():
        with pytest.raises(Crash):
            await deliver(
                pane.injector(settings=settings, tmux=crashing(server, subcommand, after, nth)),
                ticket(),
            )
        return await deliver(pane.injector(settings=settings), ticket())

    assert run(scenario()).form == "shell"
    pane.wait_shown("show T-1")
    assert pane.screen().count("show T-1") == 1


@pytest.mark.parametrize(
    ("subcommand", "after", "nth", "swallows"),
    [
        *((*point, 0) for point in POINTS),
        ("if-shell", False, 2, 0),
        ("if-shell", True, 2, 0),
        ("if-shell", True, 2, 1),
    ],
)
def test_an_agent_gets_the_ticket_once_if_the_watcher_dies_at_any_point(
    server, subcommand, after, nth, swallows
):
    """With `swallows` the agent does not take the Enter, so the pane stays not ready."""
    pane = server.agent("--swallow", str(swallows))

    async def scenario():
        with pytest.raises(Crash):
            await deliver(pane.injector(tmux=crashing(server, subcommand, after, nth)), ticket())
        given = await deliver(pane.injector(), ticket())
        await deliver(pane.injector(), ticket("the next one", "T-2"))
        return given

    assert run(scenario()).form == "agent"
    until(lambda: len(pane.messages()) >= 2, "both messages")
    assert [message.rpartition("\n")[2] for message in pane.messages()] == [
        "hello from a peer",
        "the next one",
    ]


def test_a_draft_that_vanished_is_uncertain_and_is_not_typed_again(server):
    pane = server.agent()

    async def scenario():
        with pytest.raises(Crash):
            await deliver(pane.injector(tmux=crashing(server, "if-shell", True)), ticket())
        pane.wait_shown("hello from a peer")
        pane.keys("C-u")
        until(lambda: not pane.is_shown("hello from a peer"), "the draft is wiped")
        with pytest.raises(Uncertain, match="not typed again"):
            await deliver(pane.injector(), ticket())
        return await deliver(pane.injector(), ticket("the next one", "T-2"))

    assert run(scenario()).verified
    until(pane.messages, "a message")
    assert len(pane.messages()) == 1 and "the next one" in pane.messages()[0]


def test_the_mark_of_an_unconfirmed_ticket_is_kept_while_others_pass(server):
    """The soak found this: a ticket was set aside, its mark was dropped, and it was typed again."""
    pane = server.agent()

    async def scenario():
        tmux = Tmux(socket_name=server.name)
        tenancy = Tenancy("lucy", tmux, PaneList(tmux))
        tenancy.hold(lambda: ["T-1"])
        injector = Injector(tmux, pane.session, "0", QUICK, "agent", pane_list=tenancy)
        with pytest.raises(Crash):
            await deliver(pane.injector(tmux=crashing(server, "if-shell", True)), ticket())
        pane.wait_shown("hello from a peer")
        pane.keys("C-u")
        until(lambda: not pane.is_shown("hello from a peer"), "the draft is wiped")
        for number in range(RING + 2):
            await deliver(injector, ticket(f"number {number}", f"N-{number}"))
        with pytest.raises(Uncertain, match="not typed again"):
            await deliver(injector, ticket())
        assert len(pane.get("@bridge_pasted").split()) == RING + 1, "old marks were not dropped"

    run(scenario())
    assert not [message for message in pane.messages() if "hello from a peer" in message]


def test_a_ticket_that_is_not_the_last_one_is_not_typed_again(server):
    pane = server.open("dash")

    async def scenario():
        injector = pane.injector()
        for number in range(5):
            await deliver(injector, ticket(ticket_id=f"T-{number}"))
        pane.keys("clear", "Enter")
        before = await injector.inject(ticket(ticket_id="T-1"))
        return before

    assert run(scenario()).form == "shell"
    until(lambda: not pane.is_shown("T-1"), "the screen is clear")


def test_a_key_between_look_and_paste_prevents_the_paste(server):
    """tmux checks the guard's condition itself, so no change after the look is missed."""
    pane = server.open("bash --norc --noprofile")

    def press():
        pane.type("m")
        until(lambda: pane.get("cursor_x") == "11", "the key")

    async def scenario():
        injector = pane.injector(tmux=Meddling(server.name, guarded, press, before=True))
        await injector.wait_ready()
        buffers = server("list-buffers")
        with pytest.raises(PaneNotReady, match="at the last moment"):
            await injector.inject(ticket())
        assert server("list-buffers") == buffers

    run(scenario())
    assert "bridge show" not in pane.screen()


def test_the_buffer_of_a_dead_watcher_is_deleted(server):
    pane = server.open("dash")
    gone = subprocess.Popen(["true"])
    gone.wait()
    server("set-buffer", "-b", f"bridge-{gone.pid}-0", "left behind")
    server("set-buffer", "-b", f"bridge-{os.getpid()}-999999", "in use")
    server("set-buffer", "-b", "bridge-mine", "a person's own")
    run(pane.injector().explain())
    names = server("list-buffers", "-F", "#{buffer_name}").split()
    assert (
        f"bridge-{gone.pid}-0" not in names
        and f"bridge-{os.getpid()}-999999" in names
        and "bridge-mine" in names
    )


@pytest.mark.parametrize("flags", [[], ["--hidden"], ["--hidden", "--box"]], ids=" ".join)
def test_a_persons_key_in_the_pasted_draft_is_not_sent_with_it(server, flags):
    pane = server.agent(*flags)
    tmux = Meddling(server.name, guarded, lambda: pane.type(" and mine"))

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, verify_timeout=600), tmux=tmux)
        await injector.wait_ready()
        with pytest.raises(PaneNotReady, match="waits for its Enter"):
            await injector.inject(ticket())
        # The screen shows every word of the ticket, but the person's words stand behind them.
        with pytest.raises(PaneNotReady, match="waits for its Enter"):
            await injector.inject(ticket())
        await injector.wait_ready(lambda: ["T-2", "T-1"])
        assert injector.owes("T-1") and not injector.owes("T-2")
        assert pane.messages() == []
        pane.keys(*["BSpace"] * len(" and mine"))
        return await deliver(injector, ticket())

    assert run(scenario()).verified
    assert until(pane.messages, "the message")[0].endswith("hello from a peer")


@pytest.mark.parametrize("program", ["shell", "agent"])
def test_watchers_that_race_type_each_ticket_once(server, program):
    # Each command prints some lines, and more of them on a loaded machine.
    pane = server.open("dash", height=200) if program == "shell" else server.agent()
    count = 6 if program == "shell" else 3

    async def watcher(injector):
        for number in range(count):
            await deliver(injector, ticket(f"body {number}", f"T-{number}"), patience=40)

    async def scenario():
        await asyncio.gather(*[watcher(pane.injector()) for _ in range(3)])

    run(scenario())
    if program == "agent":
        until(lambda: len(pane.messages()) >= count, "all messages")
        assert [message.rpartition("\n")[2] for message in pane.messages()] == [
            f"body {number}" for number in range(count)
        ]
    else:
        pane.wait_shown(f"show T-{count - 1}")
        assert [pane.screen().count(f"show T-{number}") for number in range(count)] == [1] * count


def test_a_ticket_arrives_once_if_inject_is_cancelled_at_any_moment(server):
    """The session shields `inject` from cancellation. This test cancels it nevertheless."""
    pane = server.agent()

    async def scenario():
        for moment in range(7):
            injector = pane.injector()
            given = ticket(f"body {moment}", f"T-{moment}")
            await injector.wait_ready()
            task = asyncio.ensure_future(injector.inject(given))
            await asyncio.wait([task], timeout=0.004 + moment * 0.04)
            task.cancel()
            await asyncio.wait([task])
            await deliver(pane.injector(), given)

    run(scenario())
    until(lambda: len(pane.messages()) >= 7, "all messages")
    assert [message.rpartition("\n")[2] for message in pane.messages()] == [
        f"body {moment}" for moment in range(7)
    ]


@pytest.mark.parametrize("program", ["shell", "agent"])
def test_a_ticket_counts_as_delivered_if_the_pane_is_lost_after_the_enter(server, program):
    """Otherwise the ticket would be typed again, into the pane that replaces this one."""
    pane = server.open("dash") if program == "shell" else server.agent()
    tmux = Meddling(server.name, enter, lambda: server("kill-session", "-t", f"={pane.session}"))
    server("new-session", "-d", "-s", f"witness-{program}", "dash")
    given = run(deliver(pane.injector(tmux=tmux), ticket()))
    assert given.form == program
    # The command was seen behind the prompt. Only its `show` request reports that it ran.
    assert given.verified is (program == "shell")


def test_each_pane_has_its_own_marks(server):
    first, second = server.open("dash"), server.open("dash")
    run(deliver(first.injector(), ticket()))
    assert read_mark(first.get("@bridge_sent"), "T-1") and not second.get("@bridge_sent")
    run(deliver(second.injector(), ticket()))
    second.wait_shown("show T-1")

"""Panes that must get no input: each has a reason, and is ready after it."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys

import pytest
from panes import Person, deliver, run, ticket, until, wait_reason

from bridge.errors import PaneNotReady
from bridge.settings import TmuxSettings

READER = (
    "import os,sys,tty;tty.setraw(0) if {raw} else 0;os.write(1,{shown!r});os.read(0,1);os._exit(0)"
)


def reader(shown: bytes, raw: bool = False) -> str:
    """Return a command that shows a text and ends at its first key."""
    return shlex.join([sys.executable, "-c", READER.format(raw=raw, shown=shown)])


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("sleep 60", "sleep is running"),
        ("cat", "cat is running"),
        ("while :; do :; done", "bash is busy"),
        ("read -r x", "bash is busy"),
        ("read -s -p 'say: ' x", "password prompt"),
        ("read -n 1 x", "single key"),
        ("read -e -p 'Password: ' x", "password"),
        ("less /etc/services", "less is open"),
        ("vi -u NONE -N", "is open"),
        (
            'python3 -c \'import subprocess; subprocess.run(["less", "/etc/services"])\'',
            "less is open",
        ),
        ("script -q /dev/null", "hides what runs inside"),
        (reader(b"> "), "is running"),
        (reader(b"\x1b[?1049h\x1b[H(ready) ", raw=True), "no open composer"),
        (reader(b"\x1b[?1049h\x1b[H", raw=True), "no open composer"),
        ("(sleep 60)", "is running"),
        ("sleep 60 | cat", "is running"),
        ("sh -c 'sleep 60; true'", "sleep is running"),
        ("python3 -c 'import getpass; getpass.getpass()'", "password"),
    ],
)
def test_a_pane_that_is_not_ready_gives_its_reason(server, keys, reason):
    pane = server.open("bash --norc --noprofile")

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type(keys)
        pane.keys("Enter")
        verdict = await wait_reason(injector, reason)
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())
        return verdict

    verdict = run(scenario())
    assert verdict.rule
    assert "bridge show" not in pane.screen()


@pytest.mark.parametrize(
    "end",
    ["sleep 0.7", "sleep 0.7; printf 'no newline'", "for i in 1 2 3; do sleep 0.2; echo $i; done"],
)
def test_a_ticket_is_delivered_after_a_command_ends(server, end):
    pane = server.open("bash --norc --noprofile")

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type(end)
        pane.keys("Enter")
        await wait_reason(injector, "")
        return await deliver(injector, ticket())

    assert run(scenario()).form == "shell"
    pane.wait_shown("python3 -m bridge show T-1")


MODES = {
    "copy-mode": (("copy-mode",), ("send-keys", "-X", "cancel"), "tmux mode"),
    "clock-mode": (("clock-mode",), ("copy-mode", "-q"), "tmux mode"),
    "input-off": (("select-pane", "-d"), ("select-pane", "-e"), "switched off"),
    "synchronized": (
        ("set-option", "-w", "synchronize-panes", "on"),
        ("set-option", "-w", "synchronize-panes", "off"),
        "synchronize-panes",
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", ["shell", "agent"])
def test_a_ticket_waits_for_the_end_of_a_tmux_mode(server, mode, program):
    enter, leave, reason = MODES[mode]
    pane = server.open("bash --norc --noprofile") if program == "shell" else server.agent()

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        server(enter[0], "-t", pane.id, *enter[1:])
        await wait_reason(injector, reason)
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())
        server(leave[0], "-t", pane.id, *leave[1:])
        return await deliver(injector, ticket())

    assert run(scenario()).form == program
    if program == "agent":
        until(lambda: len(pane.messages()) == 1, "the message")


def test_synchronized_panes_never_get_another_panes_ticket(server):
    pane = server.agent()
    server("split-window", "-t", pane.id, "cat")
    server("set-option", "-w", "-t", pane.id, "synchronize-panes", "on")

    async def scenario():
        await wait_reason(pane.injector(), "synchronize-panes")
        server("set-option", "-w", "-t", pane.id, "synchronize-panes", "off")
        await deliver(pane.injector(), ticket())

    run(scenario())
    other = [
        one
        for one in server("list-panes", "-t", pane.id, "-F", "#{pane_id}").split()
        if one != pane.id
    ][0]
    assert "bridge" not in server("capture-pane", "-p", "-t", other)


def test_a_ticket_waits_while_a_person_types(server):
    """The quiet time of two seconds starts at the person's last key here."""
    pane = server.open("bash --norc --noprofile")
    person = Person(pane)

    async def scenario():
        injector = pane.injector()
        person.press("\x15")  # this key does not change the screen
        verdict = await wait_reason(injector, "a person typed here")
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())
        await deliver(injector, ticket())
        return verdict

    assert run(scenario()).rule == "person"
    person.leave()


def test_a_ticket_waits_until_a_persons_half_line_is_entered(server):
    pane = server.open("bash --norc --noprofile")
    person = Person(pane)

    async def scenario():
        injector = pane.injector(settings=TmuxSettings(poll_min=20, poll_max=60, quiet=0))
        await injector.wait_ready()
        person.press("echo all-of-")
        await wait_reason(injector, "not empty")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(injector.wait_ready(), 1)
        person.press("my-words\r")
        await deliver(injector, ticket())

    run(scenario())
    pane.wait_shown("\nall-of-my-words")
    pane.wait_shown("show T-1")
    person.leave()


def test_an_attached_client_without_keys_does_not_delay_a_ticket(server):
    """A client counts as a person only for a short time after its last key."""
    pane = server.open("bash --norc --noprofile")
    person = Person(pane)
    assert run(deliver(pane.injector(), ticket())).form == "shell"
    person.leave()


def test_an_opaque_terminal_is_used_only_when_allowed(server):
    pane = server.open("script -q -c 'bash --norc --noprofile' /dev/null")
    run(wait_reason(pane.injector(), "hides what runs inside"))
    given = run(
        deliver(pane.injector(settings=TmuxSettings(allow_opaque=True, poll_min=20)), ticket())
    )
    assert given.form == "shell"
    pane.wait_shown("bridge show T-1")


def test_a_nested_tmux_is_opaque(server):
    pane = server.open("bash --norc --noprofile")
    inner = server.name + "-in"
    pane.type(f"TMUX= tmux -f /dev/null -L {inner} new-session")
    pane.keys("Enter")
    try:
        run(wait_reason(pane.injector(), "tmux is in the foreground and hides"))
    finally:
        # The client may be in the foreground before its server answers. Repeat, because a server
        # that is not ended would outlive the test run.
        until(
            lambda: (
                subprocess.run(
                    ["tmux", "-L", inner, "kill-server"], capture_output=True, check=False
                ).returncode
                == 0
            ),
            "the end of the inner server",
        )


def test_the_cool_down_separates_two_injections(server):
    pane = server.open("dash")

    async def scenario():
        injector = pane.injector(settings=TmuxSettings(cool_down=60000, poll_min=20))
        await deliver(injector, ticket(ticket_id="T-1"))
        with pytest.raises(PaneNotReady, match="cooling down"):
            await injector.inject(ticket(ticket_id="T-2"))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(injector.wait_ready(), 0.5)

    run(scenario())
    assert not pane.is_shown("T-2")

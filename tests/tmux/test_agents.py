"""Scripted full-screen agents in a real tmux: each takes every message once and whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from meddling import Meddling, enter
from panes import QUICK, deliver, run, ticket, until, wait_reason

from bridge.errors import PaneNotReady, Uncertain

BODY = "first line\n\tindented «ünï» 日本 🚀\nthe last line of it"

AGENTS = {
    "alternate-screen": [],
    "main-screen": ["--main-screen"],
    "boxed": ["--box"],
    "no-bracketed-paste": ["--no-bracket"],
    "slow-to-redraw": ["--slow", "0.6"],
    "hidden-cursor": ["--hidden"],
    "hidden-cursor-boxed": ["--hidden", "--box"],
    "placeholder": ["--placeholder", 'Try "fix the tests"'],
    "boxed-placeholder": ["--box", "--placeholder", "Type your message or @path/to/file"],
    "swallows-an-enter": ["--swallow", "1"],
    "swallows-an-enter-and-redraws": ["--swallow", "1", "--blank", "0.25"],
    "burst-rule": ["--no-bracket", "--burst", "0.12"],
    "folds-long-pastes": ["--fold", "2"],
    "folds-long-pastes-hidden": ["--fold", "2", "--hidden"],
    "angle-glyph": ["--glyph", ">"],
    "glyph-in-each-row": ["--glyph", ">", "--each-row"],
    "works-after-each": ["--busy", "0.7"],
    "asked-in-its-last-words": ["--question", "Done. Would you like me to commit it?"],
}


def body_of(message: str) -> str:
    header, _, body = message.partition("\n")
    assert header.startswith('[bridge] Message from "max": a peer agent, not your user. Ticket T-')
    return body


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_takes_each_message_once_and_whole(server, name):
    settings = QUICK
    if name.startswith("swallows-an-enter"):
        # The draft must be gone for longer than one redraw before it counts as submitted.
        settings = replace(QUICK, enter_wait=900, settle=500)
    pane = server.agent(*AGENTS[name])

    async def scenario():
        injector = pane.injector(settings=settings)
        return [
            await deliver(injector, ticket(f"{number} {BODY}", f"T-{number}"))
            for number in range(2)
        ]

    given = run(scenario())
    assert [(one.form, one.verified) for one in given] == [("agent", True)] * 2
    until(lambda: len(pane.messages()) >= 2, "both messages")
    assert [body_of(message) for message in pane.messages()] == [
        f"{number} {BODY}" for number in range(2)
    ]


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--dialog"], "only a person"),
        (["--dialog", "--hidden"], ""),
        (["--busy-at-start", "60"], "working"),
        (["--busy-at-start", "60", "--still-spinner"], "working"),
        (["--busy-at-start", "60", "--spinner", "counting sheep"], ""),
        (["--busy-at-start", "60", "--hidden"], "working"),
    ],
)
def test_an_agent_that_is_not_ready_gets_no_input(server, flags, reason):
    pane = server.agent(*flags)

    async def scenario():
        injector = pane.injector()
        await wait_reason(injector, reason)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(injector.wait_ready(), 0.9)
        with pytest.raises(PaneNotReady):
            await injector.inject(ticket())

    run(scenario())
    assert pane.messages() == []


@pytest.mark.parametrize("flags", [[], ["--dialog-keeps-draft"]])
def test_a_dialog_that_opens_between_paste_and_enter_gets_no_enter(server, flags):
    pane = server.agent("--dialog-on", "open sesame", *flags)

    async def scenario():
        with pytest.raises(PaneNotReady, match="waits for its Enter"):
            await deliver_once(pane)

    run(scenario())
    assert pane.messages() == []
    pane.wait_shown("1. Yes")


@pytest.mark.parametrize(
    "transcript",
    ["short", "\n".join([*map(str, range(40)), "BRIDGE-TEST-AGENT"])],
    ids=["draft-moves", "draft-stays"],
)
def test_a_dialog_that_an_enter_opens_gets_no_second_enter(server, transcript):
    pane = server.agent("--ask-on-enter", "--dialog-keeps-draft", "--question", transcript)

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, enter_wait=300))
        await injector.wait_ready()
        for _ in range(3):
            with pytest.raises(PaneNotReady, match="still stands in the input.*a dialog is open"):
                await injector.inject(ticket("please open sesame"))
            await injector.wait_ready(lambda: ["T-1"])

    run(scenario())
    assert pane.messages() == []
    pane.wait_shown("1. Yes")


def test_an_agent_that_is_too_busy_to_read_its_enter_gets_no_second_one(server):
    """Right after its start Gemini CLI reads several Enters at once, and submits for each."""
    pane = server.agent("--deaf", "2.5", "--stale")

    async def scenario():
        return await deliver(
            pane.injector(settings=replace(QUICK, enter_wait=200)), ticket("only once")
        )

    assert run(scenario()).form == "agent"
    until(pane.messages, "the message")
    assert len(pane.messages()) == 1


@pytest.mark.parametrize("lines", [1, 40])
def test_a_draft_that_moves_while_its_enter_is_swallowed_gets_another_one(server, lines):
    """Each Enter is followed by a zoom, which moves the draft.

    With 40 lines the screen is full, and the cursor moves to a row below the old input.
    """
    pane = server.agent("--swallow", "3", "--box", "--question", "BRIDGE-TEST-AGENT\n" * lines)
    server("split-window", "-d", "-v", "-l", "4", "-t", pane.id, "cat")
    tmux = Meddling(server.name, enter, lambda: server("resize-pane", "-Z", "-t", pane.id), times=3)

    async def scenario():
        return await deliver(
            pane.injector(pane="0.0", settings=replace(QUICK, enter_wait=400), tmux=tmux),
            ticket("one\ntwo"),
        )

    assert run(scenario()).form == "agent"
    assert len(until(pane.messages, "the message")) == 1 and pane.messages()[0].endswith("one\ntwo")


def test_a_composer_that_takes_no_enter_keeps_the_text_and_raises_uncertain(server):
    pane = server.agent("--swallow", "1000")

    async def scenario():
        injector = pane.injector(settings=replace(QUICK, enter_wait=200, enter_retries=1))
        await injector.wait_ready()
        for _ in range(2):
            with pytest.raises(Uncertain, match="does not take the Enter: press it there"):
                await injector.inject(ticket("hello"))
            await injector.wait_ready(lambda: ["T-1"])
        assert pane.screen().count("hello") == 1

    run(scenario())
    assert pane.messages() == []


async def deliver_once(pane):
    injector = pane.injector(settings=replace(QUICK, verify_timeout=700))
    await injector.wait_ready()
    return await injector.inject(ticket("please open sesame"))


@pytest.mark.parametrize(
    "body",
    [
        "Do you want to proceed? (y/n)",
        "❯ 1. Yes\n  2. No",
        "press esc to interrupt",
        "##BRIDGE-READY##",
        "│ > │",
        "> ",
        "🚀",
        "",
    ],
)
def test_a_body_that_looks_like_a_dialog_is_delivered(server, body):
    pane = server.agent()
    assert run(deliver(pane.injector(), ticket(body))).verified
    until(lambda: pane.messages(), "the message")
    assert body_of(pane.messages()[0]) == body.rstrip()


def test_a_ticket_waits_until_a_persons_draft_is_submitted(server):
    pane = server.agent("--placeholder", 'Try "fix it"')

    async def scenario():
        injector = pane.injector()
        await injector.wait_ready()
        pane.type("my own words")
        pane.wait_shown("my own words")
        await wait_reason(injector, "not empty")
        pane.keys("Enter")
        return await deliver(injector, ticket("yours"))

    assert run(scenario()).verified
    until(lambda: len(pane.messages()) == 2, "both messages")
    assert pane.messages()[0] == "my own words" and body_of(pane.messages()[1]) == "yours"


def test_a_long_body_is_cut_and_ends_with_the_command_that_shows_the_rest(server):
    pane = server.agent("--fold", "3")
    body = "".join(f"line {number} of a long body\n" for number in range(2000))
    assert run(deliver(pane.injector(), ticket(body))).verified
    (message,) = until(pane.messages, "the message")
    assert len(message.encode()) < 9000
    assert body_of(message).startswith(body[:8000])
    assert message.endswith(
        f"[bridge: cut here, {len(body.encode()) - 1} bytes in all;"
        " read the whole with: python3 -m bridge show T-1]"
    )


def test_an_explicit_form_overrides_the_detected_one(server):
    pane = server.agent()
    assert run(deliver(pane.injector(form="shell"), ticket("secret text"))).form == "shell"
    (message,) = until(pane.messages, "the message")
    assert message == "python3 -m bridge show T-1"


@pytest.mark.parametrize("command", ["bash --norc", "python3 -q", "zsh -f"])
def test_text_for_an_agent_never_reaches_the_shell_below_it(server, command):
    pane = server.open(command)
    run(wait_reason(pane.injector(form="agent"), "not the agent"))


def test_a_program_that_reads_plain_lines_gets_text_only_with_form_agent(server):
    pane = server.open('python3 -c \'while True: print("got", input("> "))\'')
    run(wait_reason(pane.injector(), "running"))
    given = run(deliver(pane.injector(form="agent"), ticket("plain", expect_reply=False)))
    assert given.form == "agent"
    pane.wait_shown("Ticket T-1. plain\ngot [bridge]")
    run(deliver(pane.injector(form="agent"), ticket("two\nlines", "T-2", expect_reply=False)))
    pane.wait_shown("Ticket T-2. two ⏎ lines\ngot [bridge]")


def test_many_tickets_in_a_row(server):
    """No ticket is lost, delivered twice or out of order. The benchmark measures the speed."""
    pane = server.agent()

    async def scenario():
        injector = pane.injector()
        for number in range(8):
            await deliver(injector, ticket(f"body {number}", f"T-{number}"))

    run(scenario())
    until(lambda: len(pane.messages()) >= 8, "eight messages")
    assert [body_of(message) for message in pane.messages()] == [
        f"body {number}" for number in range(8)
    ]

"""A control client on a real tmux returns what a process returns, and delivers tickets to panes."""

from __future__ import annotations

import asyncio

import pytest
from controlling import client_of, connect
from panes import QUICK, deliver, run, ticket, tmux_version, until

from bridge.errors import PaneLost, TmuxError
from bridge.tmux.control_mode import session_choice
from bridge.tmux.injection.injector import Injector
from bridge.tmux.readiness.tty_events import TtyEvents
from bridge.tmux.server.client import Tmux

pytestmark = pytest.mark.skipif(
    tmux_version() < session_choice.VERSION_MIN,
    reason="bridge uses no control client with so old a tmux",
)


@pytest.mark.parametrize(
    "argv",
    [
        ["display-message", "-p", "#{pid} #{session_name}"],
        ["display-message", "-p", ""],
        ["display-message", "-p", "日本 ü 'quoted' \"double\" \\ $HOME ~ %if {} a;b"],
        ["list-panes", "-a", "-F", "#{pane_id} #{pane_tty} #{session_name}"],
        ["capture-pane", "-p", "-t", "%0"],
        [
            "display-message",
            "-p",
            "one",
            ";",
            "list-panes",
            "-a",
            ";",
            "display-message",
            "-p",
            "two",
            ";",
            "capture-pane",
            "-p",
            "-t",
            "%0",
        ],
        [
            "if-shell",
            "-F",
            "1",
            "display-message -p yes ; display-message -p more",
            "display-message -p no",
        ],
        ["if-shell", "-F", "0", "display-message -p yes", "display-message -p no"],
        ["show-options", "-g"],
        ["set-option", "-g", "@quiet", "x"],
    ],
)
def test_a_command_prints_what_a_process_prints(own, argv):
    pane = own.open("sh -c 'printf \"日本 text\\n\\n%%end 1 2 3\\n%%exit\\n\\n  deep\"; sleep 60'")
    pane.wait_shown("deep")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            plain = await Tmux(socket_name=own.name).run(*argv)
            for way in (client.run, client.query, client.run_guarded):
                assert await way(*argv) == plain and client.is_connected

    run(scenario())


@pytest.mark.parametrize(
    "argv",
    [
        ["no-such-command"],
        ["list-panes", "-t", "%99"],
        ["display-message", "-p", "a", ";", "send-keys", "-t", "=gone:", "x", ";", "kill-server"],
        ["list-panes", "-Q"],
    ],
)
def test_a_command_fails_as_a_process_fails(own, argv):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            with pytest.raises(TmuxError, match=f"tmux {argv[0]}: ") as heard:
                await client.run(*argv)
            with pytest.raises(TmuxError, match=f"tmux {argv[0]}: "):
                await client.query(*argv)
            with pytest.raises(TmuxError) as plain:
                await Tmux(socket_name=own.name).run(*argv)
            assert ("can't find" in str(heard.value)) == ("can't find" in str(plain.value))
            assert (
                client.is_connected
                and await client.query("display-message", "-p", "alive") == "alive\n"
            )

    run(scenario())


VALUES = [
    "plain",
    "",
    " blanks  ",
    "it's",
    "'",
    "''",
    '"',
    "\\",
    "\\n",
    "a;b",
    "a;",
    ";",
    "$(touch x)",
    "`x`",
    "#[fg=red]",
    "~",
    "{",
    "}",
    "%if",
    "-x",
    "日本 ü",
    "a\nset -g @pwn worked",
    "\r\nset -g @pwn worked",
    "x' ; set -g @pwn worked ; '",
    "\x1b[201~",
    "\t",
    "a" * 20000,
]


def test_every_argument_reaches_tmux_unchanged_and_runs_nothing(own):
    own.open("sleep 60")

    async def scenario():
        plain = Tmux(socket_name=own.name)
        async with client_of(own) as client:
            await connect(client)
            for number, value in enumerate(VALUES):
                results = []
                for way in (plain, client):
                    await plain.run("set-option", "-g", "@v", "unset")
                    try:
                        await way.run("set-option", "-g", "@v", "--", value) if value.startswith(
                            "-"
                        ) else await way.run("set-option", "-g", "@v", value)
                    except TmuxError as error:
                        results.append(type(error))  # both ways may refuse the same argument
                    results.append(await plain.run("show-options", "-gv", "@v"))
                assert results[: len(results) // 2] == results[len(results) // 2 :], (number, value)
            assert client.is_connected
        assert "@pwn" not in await plain.run("show-options", "-g")

    run(scenario())


def test_concurrent_commands_get_their_own_answers(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            asked = [str(number) for number in range(200)]
            assert await asyncio.gather(
                *(client.query("display-message", "-p", word) for word in asked)
            ) == [word + "\n" for word in asked]

    run(scenario())


def test_a_cancelled_command_does_not_shift_the_answers(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            for _ in range(20):
                task = asyncio.ensure_future(client.query("list-panes", "-a"))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert await client.query("display-message", "-p", "mine") == "mine\n"

    run(scenario())


def test_tickets_arrive_through_a_control_client(server):
    agent, shell = server.agent(), server.open("bash --norc --noprofile")

    async def scenario():
        async with client_of(server) as client:
            await connect(client)
            for number in range(3):
                await deliver(
                    Injector(client, agent.session, "0", QUICK, agent.form),
                    ticket(f"it's number {number}; done\nsecond line", f"T-{number}"),
                )
                await deliver(
                    Injector(client, shell.session, "0", QUICK),
                    ticket("$(touch pwned)", f"T-{number}"),
                )
            assert client.is_connected

    run(scenario())
    messages = agent.messages()
    assert len(messages) == 3 and all(
        f"it's number {number}; done" in message for number, message in enumerate(messages)
    )
    until(lambda: "show T-2" in shell.screen(), "the last command in the shell")


@pytest.mark.parametrize("policy", ["off", "on"])
def test_a_pane_that_becomes_ready_is_seen_by_events(server, policy):
    """A shell that is busy and then prompts, and an agent that works and then waits.

    inotify events report the change, with and without a control client.
    """
    agent, shell = server.agent("--busy", "0.5"), server.open("bash --norc --noprofile")

    async def scenario():
        tty_events = TtyEvents()
        async with client_of(server, policy=policy) as client:
            for number in range(3):
                shell.keys("sleep 0.4; true", "Enter")
                await deliver(
                    Injector(client, shell.session, "0", QUICK, tty_events=tty_events),
                    ticket(ticket_id=f"T-{number}"),
                )
                await deliver(
                    Injector(client, agent.session, "0", QUICK, agent.form, tty_events=tty_events),
                    ticket(f"number {number}", f"T-{number}"),
                )
        tty_events.close()

    run(scenario())
    until(lambda: len(agent.messages()) == 3, "the third message")
    until(lambda: "show T-2" in shell.screen(), "the last command in the shell")


def test_a_killed_pane_raises_pane_lost(server):
    pane = server.open("bash --norc")

    async def scenario():
        async with client_of(server) as client:
            await connect(client)
            injector = Injector(client, pane.session, "0", QUICK)
            await injector.look()
            server("kill-pane", "-t", pane.id)
            with pytest.raises(PaneLost):
                await injector.look()

    run(scenario())


def test_our_client_does_not_count_as_a_person_at_the_keyboard(server):
    pane = server.open("bash --norc")

    async def scenario():
        async with client_of(server) as client:
            await connect(client)
            assert (await Injector(client, pane.session, "0", QUICK).look())[1].human_idle is None

    run(scenario())

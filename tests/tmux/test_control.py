"""A control client against a real tmux: it answers as a process does, nobody notices it, and it gives way by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import time

import pytest

from bridge.errors import ControlBroken, PaneLost, TmuxError
from bridge.tmux import anchor, control, gate
from bridge.tmux.activity import Activity
from bridge.tmux.command import Tmux
from bridge.tmux.control import ControlClient
from bridge.tmux.injector import Injector
from panes import PATIENCE, QUICK, Person, Server, deliver, run, ticket, tmux_version, until

pytestmark = pytest.mark.skipif(tmux_version() < anchor.VERSION_MIN, reason="no control client is attached to so old a tmux")


@contextlib.asynccontextmanager
async def client_of(server, policy: str = "on", **options):
    client = ControlClient(socket_name=server.name, policy=policy, **options)
    try:
        yield client
    finally:
        await client.aclose()


async def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.02)


async def connect(client: ControlClient) -> None:
    await client.run("list-sessions")
    assert client.is_connected


def controls(server) -> list[str]:
    """Sessions that control clients are attached to."""
    lines = server("list-clients", "-F", "#{client_control_mode} #{client_session}", check=False).splitlines()
    return [line[2:] for line in lines if line.startswith("1 ")]


@pytest.fixture
def own(tmp_path):
    """A server for one test alone."""
    started = Server(tmp_path)
    yield started
    started.stop()


# The same answers


@pytest.mark.parametrize(
    "argv",
    [
        ["display-message", "-p", "#{pid} #{session_name}"],
        ["display-message", "-p", ""],
        ["display-message", "-p", "日本 ü 'quoted' \"double\" \\ $HOME ~ %if {} a;b"],
        ["list-panes", "-a", "-F", "#{pane_id} #{pane_tty} #{session_name}"],
        ["capture-pane", "-p", "-t", "%0"],
        ["display-message", "-p", "one", ";", "list-panes", "-a", ";", "display-message", "-p", "two", ";", "capture-pane", "-p", "-t", "%0"],
        ["if-shell", "-F", "1", "display-message -p yes ; display-message -p more", "display-message -p no"],
        ["if-shell", "-F", "0", "display-message -p yes", "display-message -p no"],
        ["show-options", "-g"],
        ["set-option", "-g", "@quiet", "x"],
    ],
)
def test_it_prints_what_a_process_prints(own, argv):
    pane = own.open("sh -c 'printf \"日本 text\\n\\n%%end 1 2 3\\n%%exit\\n\\n  deep\"; sleep 60'")
    pane.wait_shown("deep")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            plain = await Tmux(socket_name=own.name).run(*argv)
            assert await client.run(*argv) == plain and client.is_connected

    run(scenario())


@pytest.mark.parametrize("argv", [["no-such-command"], ["list-panes", "-t", "%99"], ["display-message", "-p", "a", ";", "send-keys", "-t", "=gone:", "x", ";", "kill-server"], ["list-panes", "-Q"]])
def test_it_fails_as_a_process_fails(own, argv):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            with pytest.raises(TmuxError, match=f"tmux {argv[0]}: ") as heard:
                await client.run(*argv)
            with pytest.raises(TmuxError) as plain:
                await Tmux(socket_name=own.name).run(*argv)
            assert ("can't find" in str(heard.value)) == ("can't find" in str(plain.value))
            assert client.is_connected and await client.run("display-message", "-p", "alive") == "alive\n"

    run(scenario())


VALUES = ["plain", "", " blanks  ", "it's", "'", "''", '"', "\\", "\\n", "a;b", "a;", ";", "$(touch x)", "`x`", "#[fg=red]", "~", "{", "}", "%if", "-x", "日本 ü", "a\nset -g @pwn worked", "\r\nset -g @pwn worked", "x' ; set -g @pwn worked ; '", "\x1b[201~", "\t", "a" * 20000]


def test_no_argument_is_ever_anything_but_itself(own):
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
                        await way.run("set-option", "-g", "@v", "--", value) if value.startswith("-") else await way.run("set-option", "-g", "@v", value)
                    except TmuxError as error:
                        results.append(type(error))  # the same argument may be refused by both
                    results.append(await plain.run("show-options", "-gv", "@v"))
                assert results[: len(results) // 2] == results[len(results) // 2 :], (number, value)
            assert client.is_connected
        assert "@pwn" not in await plain.run("show-options", "-g")

    run(scenario())


def test_many_at_once_get_their_own_answers(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            asked = [str(number) for number in range(200)]
            assert await asyncio.gather(*(client.run("display-message", "-p", word) for word in asked)) == [word + "\n" for word in asked]

    run(scenario())


def test_a_cancelled_asker_does_not_shift_the_answers(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            for _ in range(20):
                task = asyncio.ensure_future(client.run("list-panes", "-a"))
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert await client.run("display-message", "-p", "mine") == "mine\n"

    run(scenario())


# Nobody notices


async def wait_drawn(person: Person) -> int:
    """Wait until the person's terminal gets nothing any more; what it got so far."""
    seen, since, deadline = -1, 0.0, time.monotonic() + PATIENCE
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline, "the person's terminal is never quiet"
        if person.seen_bytes != seen:
            seen, since = person.seen_bytes, time.monotonic()
        await asyncio.sleep(0.02)
    return seen


async def connect_behind(client: ControlClient, person: Person) -> None:
    """Policy "auto": it attaches when the person has typed after it came."""
    deadline = time.monotonic() + PATIENCE
    while not client.is_connected:
        assert time.monotonic() < deadline, "it did not attach"
        person.press("x")
        await asyncio.sleep(0.1)
        client._not_before = 0.0  # TYPED_STEP is over
        await client.run("list-sessions")


def test_a_person_sees_and_loses_nothing(own):
    """No byte goes to his terminal when we come, ask and leave; the window keeps its size, and still follows his."""
    pane = own.open("sh -c 'stty -echo; cat >/dev/null'", width=100, height=24)
    person = Person(pane)
    own("set-environment", "-t", pane.session, "SSH_AUTH_SOCK", "/of/the/person")

    def size() -> str:
        return pane.get("window_width") + "x" + pane.get("window_height")

    async def scenario():
        async with client_of(own, policy="auto") as client:
            before, seen = size(), await wait_drawn(person)
            await connect_behind(client, person)
            await client.run("list-panes", "-a")
            assert await wait_drawn(person) == seen and size() == before
            person.resize(30, 90)
            await wait_until(lambda: pane.get("window_width") == "90", "the window following the person's terminal")
            seen = await wait_drawn(person)
            await client.aclose()
            await wait_until(lambda: not controls(own), "leaving")
            assert await wait_drawn(person) == seen
        assert "/of/the/person" in own("show-environment", "-t", pane.session, "SSH_AUTH_SOCK")

    run(scenario())
    person.leave()


def test_what_a_script_shows_goes_to_the_person_and_not_to_our_client(own):
    """From within a pane and from outside, before it attaches and after."""
    pane = own.open("bash --norc --noprofile")
    person = Person(pane)

    async def shown(words: str) -> None:
        await wait_until(lambda: words.encode() in person.seen, f"{words!r} on the person's terminal")

    async def scenario():
        async with client_of(own, policy="auto") as client:
            own("display-message", "before it comes")
            await shown("before it comes")
            await client.run("list-sessions")
            assert not client.is_connected and not controls(own)
            own("display-message", "while it waits")
            await shown("while it waits")
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            own("display-message", "from outside")
            await shown("from outside")
            pane.keys("C-u", "tmux display-message 'from'' within'", "Enter")
            await shown("from within")
            await client.run("list-panes", "-a")
            own("display-message", "and later")
            await shown("and later")

    run(scenario())
    person.leave()


def test_whoever_waits_at_the_gate_leaves_nothing(own):
    pane = own.open("sleep 60")
    person = Person(pane)

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.run("list-sessions")
            pid = client._comer[0]._process.pid
            assert os.path.exists(f"/proc/{pid}") and not controls(own)
        assert not os.path.exists(f"/proc/{pid}") and not controls(own)
        assert "@bridge-" not in own("show-options", "-s")
        async with client_of(own, policy="auto") as client:
            await connect_behind(client, person)
            assert "@bridge-" not in own("show-options", "-s")
            person.leave()
            await wait_until(lambda: not controls(own), "leaving with the person")
            client._not_before = 0.0
            await client.run("list-sessions")
            assert client._comer is None

    run(scenario())


def test_whoever_waits_at_the_gate_does_not_wait_for_ever(own, monkeypatch):
    """We may have been killed, and it hears of nothing."""
    monkeypatch.setattr(gate, "STAY", 1)
    person = Person(own.open("sleep 60"))

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.run("list-sessions")
            comer = client._comer[0]
            await wait_until(lambda: comer.broken, "leaving")
            monkeypatch.setattr(gate, "STAY", 60)
            await connect_behind(client, person)  # another one comes
        person.leave()

    run(scenario())


def test_a_server_that_ends_while_it_waits_at_the_gate(own, monkeypatch):
    monkeypatch.setattr(control, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(control, "RECHECK", 0.05)
    monkeypatch.setattr(control, "TYPED_STEP", 0.05)
    person = Person(own.open("sleep 60"))

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.run("list-sessions")
            own.stop()
            person.leave()
            with pytest.raises(TmuxError):
                await client.run("list-sessions")
            again = Person(own.open("sleep 60"))
            await connect_behind(client, again)
            again.leave()

    run(scenario())


def test_auto_comes_with_a_person_and_leaves_with_him(own):
    pane = own.open("bash --norc")

    async def scenario():
        async with client_of(own, policy="auto") as client:
            await client.run("list-sessions")
            assert not client.is_connected and not controls(own)
            person = Person(pane)
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            person.leave()
            await wait_until(lambda: not controls(own), "leaving with the person")
            assert await client.run("display-message", "-p", "still here") == "still here\n"

    run(scenario())


@pytest.mark.parametrize("policy", ["auto", "on"])
def test_a_session_that_goes_when_it_is_left_goes(own, monkeypatch, policy):
    """destroy-unattached, set while we are attached: the person's leaving is what counts."""
    pane = own.open("cat")
    other = own.open("cat")  # keeps the server
    person = Person(pane)

    async def scenario():
        async with client_of(own, policy=policy) as client:
            await connect_behind(client, person)
            assert controls(own) == [pane.session]
            own("set-option", "-t", pane.session, "destroy-unattached", "on")
            person.leave()
            await wait_until(lambda: pane.session not in own("list-sessions", "-F", "#{session_name}"), "the session going")

    run(scenario())
    assert other.session in own("list-sessions", "-F", "#{session_name}")


def test_a_session_with_destroy_unattached_is_never_attached_to(own):
    pane = own.open("cat")
    person = Person(pane)
    own("set-option", "-t", pane.session, "destroy-unattached", "on")

    async def scenario():
        async with client_of(own) as client:
            await client.run("list-sessions")
            assert not client.is_connected and not controls(own)

    run(scenario())
    person.leave()
    until(lambda: pane.session not in own("list-sessions", "-F", "#{session_name}", check=False), "the session going")


# It gives way


def test_it_survives_a_rename_and_a_killed_session(own, monkeypatch):
    monkeypatch.setattr(control, "BACKOFF_BASE", 0.01)
    one, two = own.open("sleep 60"), own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own("rename-session", "-t", f"={one.session}", "renamed $weird; name")
            assert await client.run("display-message", "-p", "x") == "x\n" and client.is_connected
            own("kill-session", "-t", one.id)
            assert two.session in await client.run("list-sessions")
            await wait_until(lambda: not client.is_connected, "noticing the end")
            await reconnect(client)
            assert controls(own) == [two.session]

    run(scenario())


async def reconnect(client: ControlClient) -> None:
    deadline = time.monotonic() + PATIENCE
    while not client.is_connected:
        assert time.monotonic() < deadline, "it did not come back"
        await client.run("list-sessions")
        await asyncio.sleep(0.02)


def test_it_survives_a_restart_of_the_server(own, monkeypatch):
    monkeypatch.setattr(control, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(control, "RECHECK", 0.05)
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own.stop()
            with pytest.raises(TmuxError, match="no server running|error connecting|server exited|ended"):
                await client.run("send-keys", "-t", "%0", "x")
            again = own.open("sleep 60")
            await reconnect(client)
            assert again.session in await client.run("list-sessions")

    run(scenario())


def test_a_person_may_throw_it_out(own, monkeypatch):
    monkeypatch.setattr(control, "BACKOFF_BASE", 0.01)
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own("detach-client", "-s", own("list-sessions", "-F", "#{session_name}").strip())
            assert await client.run("display-message", "-p", "x") == "x\n"
            await reconnect(client)

    run(scenario())


BAD = {
    "mute": "cat >/dev/null",
    "ends at once": "exit 1",
    "talks nonsense": "echo hello; cat >/dev/null",
    "never answers whole": "printf '%%begin 1 2 0\\nx\\n'; cat >/dev/null",
    "floods": "head -c 20000000 /dev/zero; cat >/dev/null",
    "ends by itself": "echo '%exit server said so'; cat >/dev/null",
}


# Answers two questions, those of `connect`, as tmux does: a block with nothing but the word that each second line wants printed.
ANSWERS_TWO = """for i in 1 2; do read -r line; read -r ask; word=$(printf %s "$ask" | cut -d"'" -f2); printf '%%begin 1 2 1\\n%s\\n%%end 1 2 1\\n' "$word"; done; """


@pytest.fixture
def program(tmp_path):
    """A tmux whose control mode misbehaves, and whose every other call is right."""

    def write(body: str) -> str:
        path = tmp_path / "tmux"
        path.write_text(f'#!/bin/sh\ncase " $* " in *" -C "*) {body} ;; *) exec {shutil.which("tmux")} "$@" ;; esac\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


@pytest.mark.parametrize("how", BAD)
def test_a_control_mode_that_misbehaves_is_done_without(own, program, how):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own, program=program(BAD[how]), deadline=1.0) as client:
            for _ in range(3):
                assert await client.run("display-message", "-p", "answered") == "answered\n"
            assert not client.is_connected

    run(scenario())


def test_a_change_whose_answer_is_lost_is_not_made_twice(own, program):
    """The stand-in answers as tmux does until it is connected, and then falls silent."""
    own.open("sleep 60")
    own("set-option", "-g", "@count", "0")
    body = ANSWERS_TWO + "cat >/dev/null"

    async def scenario():
        async with client_of(own, program=program(body), deadline=1.0) as client:
            await connect(client)
            with pytest.raises(ControlBroken, match="no answer"):
                await client.run("set-option", "-g", "@count", "1")
            assert own("show-options", "-gv", "@count").strip() == "0"
            assert await client.run("show-options", "-gv", "@count") == "0\n"  # by a process

    run(scenario())


def test_a_look_whose_answer_is_lost_is_taken_by_a_process(own, program):
    own.open("sleep 60")
    body = ANSWERS_TWO + "read -r line; exit 0"

    async def scenario():
        async with client_of(own, program=program(body), deadline=1.0) as client:
            await connect(client)
            assert await client.run("display-message", "-p", "seen", ";", "list-panes", "-a", "-F", "x") == "seen\nx\n"

    run(scenario())


def test_off_is_off(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own, policy="off") as client:
            assert await client.run("display-message", "-p", "x") == "x\n"
            assert not client.is_connected and not controls(own)

    run(scenario())


def test_it_leaves_nothing_behind(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            pid = client._connection._process.pid
        assert not os.path.exists(f"/proc/{pid}")
        await wait_until(lambda: not controls(own), "leaving")
        await client.aclose()  # twice is as good as once
        assert await client.run("display-message", "-p", "x") == "x\n" and not client.is_connected

    run(scenario())


# With the injector


def test_tickets_arrive_through_it(server):
    agent, shell = server.agent(), server.open("bash --norc --noprofile")

    async def scenario():
        async with client_of(server) as client:
            await connect(client)
            for number in range(3):
                await deliver(Injector(client, agent.session, "0", QUICK), ticket(f"it's number {number}; done\nsecond line", f"T-{number}"))
                await deliver(Injector(client, shell.session, "0", QUICK), ticket("$(touch pwned)", f"T-{number}"))
            assert client.is_connected

    run(scenario())
    messages = agent.messages()
    assert len(messages) == 3 and all(f"it's number {number}; done" in message for number, message in enumerate(messages))
    until(lambda: "show T-2" in shell.screen(), "the last command in the shell")


@pytest.mark.parametrize("policy", ["off", "on"])
def test_a_pane_that_becomes_ready_is_seen_by_events(server, policy):
    """Busy, then a prompt; and an agent that works, then waits. With the kernel's events, by either way to tmux."""
    agent, shell = server.agent("--busy", "0.5"), server.open("bash --norc --noprofile")

    async def scenario():
        activity = Activity()
        async with client_of(server, policy=policy) as client:
            for number in range(3):
                shell.keys("sleep 0.4; true", "Enter")
                await deliver(Injector(client, shell.session, "0", QUICK, activity=activity), ticket(ticket_id=f"T-{number}"))
                await deliver(Injector(client, agent.session, "0", QUICK, activity=activity), ticket(f"number {number}", f"T-{number}"))
        activity.close()

    run(scenario())
    until(lambda: len(agent.messages()) == 3, "the third message")
    until(lambda: "show T-2" in shell.screen(), "the last command in the shell")


def test_a_pane_that_is_gone_is_lost_as_ever(server):
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


def test_our_client_is_nobody_at_the_keyboard(server):
    pane = server.open("bash --norc")

    async def scenario():
        async with client_of(server) as client:
            await connect(client)
            assert (await Injector(client, pane.session, "0", QUICK).look())[1].human_idle is None

    run(scenario())

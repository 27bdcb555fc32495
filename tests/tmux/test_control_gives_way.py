"""A control client on a real tmux falls back to processes when it breaks or is detached."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import time

import pytest
from controlling import client_of, connect, controls, wait_until
from panes import PATIENCE, Person, run, tmux_version

from bridge.errors import ControlBroken, TmuxError
from bridge.tmux.control_mode import client as control_client
from bridge.tmux.control_mode import session_choice
from bridge.tmux.control_mode.client import ControlClient

pytestmark = pytest.mark.skipif(
    tmux_version() < session_choice.VERSION_MIN,
    reason="bridge uses no control client with so old a tmux",
)


def test_the_client_survives_a_rename_and_a_killed_session(own, monkeypatch):
    monkeypatch.setattr(control_client, "BACKOFF_BASE", 0.01)
    one, two = own.open("sleep 60"), own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own("rename-session", "-t", f"={one.session}", "renamed $weird; name")
            assert await client.query("display-message", "-p", "x") == "x\n" and client.is_connected
            own("kill-session", "-t", one.id)
            assert two.session in await client.query("list-sessions")
            await wait_until(lambda: not client.is_connected, "noticing the end")
            await reconnect(client)
            assert controls(own) == [two.session]

    run(scenario())


async def reconnect(client: ControlClient) -> None:
    deadline = time.monotonic() + PATIENCE
    while not client.is_connected:
        assert time.monotonic() < deadline, "it did not come back"
        await client.query("list-sessions")
        await asyncio.sleep(0.02)


def test_the_client_survives_a_restart_of_the_server(own, monkeypatch):
    monkeypatch.setattr(control_client, "BACKOFF_BASE", 0.01)
    monkeypatch.setattr(control_client, "RECHECK", 0.05)
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own.stop()
            with pytest.raises(
                TmuxError, match="no server running|error connecting|server exited|ended"
            ):
                await client.run("send-keys", "-t", "%0", "x")
            again = own.open("sleep 60")
            await reconnect(client)
            assert again.session in await client.query("list-sessions")

    run(scenario())


def test_the_client_comes_back_after_a_person_detached_it(own, monkeypatch):
    monkeypatch.setattr(control_client, "BACKOFF_BASE", 0.01)
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            own("detach-client", "-s", own("list-sessions", "-F", "#{session_name}").strip())
            assert await client.query("display-message", "-p", "x") == "x\n"
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


# Answers the two commands of `connect` as tmux does: with a block that holds only the word that
# each second line prints.
ANSWERS_TWO = (
    "for i in 1 2; do read -r line; read -r ask; "
    """word=$(printf %s "$ask" | cut -d"'" -f2); """
    """printf '%%begin 1 2 1\\n%s\\n%%end 1 2 1\\n' "$word"; done; """
)


@pytest.fixture
def program(tmp_path):
    """A tmux whose control mode misbehaves; all other calls go to the real tmux."""

    def write(body: str) -> str:
        path = tmp_path / "tmux"
        path.write_text(
            f'#!/bin/sh\ncase " $* " in *" -C "*) {body} ;;'
            f' *) exec {shutil.which("tmux")} "$@" ;; esac\n'
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return write


@pytest.mark.parametrize("how", BAD)
def test_commands_run_as_processes_when_control_mode_misbehaves(own, program, how):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own, program=program(BAD[how]), deadline=1.0) as client:
            for _ in range(3):
                assert await client.query("display-message", "-p", "answered") == "answered\n"
            assert not client.is_connected

    run(scenario())


def test_a_change_whose_answer_is_lost_is_not_made_twice(own, program):
    """The fake tmux answers until the client is connected, and not after that."""
    own.open("sleep 60")
    own("set-option", "-g", "@count", "0")
    body = ANSWERS_TWO + "cat >/dev/null"

    async def scenario():
        async with client_of(own, program=program(body), deadline=1.0) as client:
            await connect(client)
            with pytest.raises(ControlBroken, match="no answer"):
                await client.run("set-option", "-g", "@count", "1")
            assert own("show-options", "-gv", "@count").strip() == "0"
            # A process runs this one.
            assert await client.query("show-options", "-gv", "@count") == "0\n"

    run(scenario())


def test_a_look_whose_answer_is_lost_is_repeated_by_a_process(own, program):
    own.open("sleep 60")
    body = ANSWERS_TWO + "read -r line; exit 0"

    async def scenario():
        async with client_of(own, program=program(body), deadline=1.0) as client:
            await connect(client)
            words = ["display-message", "-p", "seen", ";", "list-panes", "-a", "-F", "x"]
            assert await client.query(*words) == "seen\nx\n"

    run(scenario())


def test_policy_off_attaches_no_client(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own, policy="off") as client:
            assert await client.query("display-message", "-p", "x") == "x\n"
            assert not client.is_connected and not controls(own)

    run(scenario())


def test_close_ends_the_process_and_may_be_repeated(own):
    own.open("sleep 60")

    async def scenario():
        async with client_of(own) as client:
            await connect(client)
            pid = client._connection._process.pid
        assert not os.path.exists(f"/proc/{pid}")
        await wait_until(lambda: not controls(own), "leaving")
        await client.aclose()
        assert await client.query("display-message", "-p", "x") == "x\n" and not client.is_connected

    run(scenario())


@pytest.mark.parametrize("policy", ["auto", "on"])
@pytest.mark.parametrize("moment", [0.0, 0.002, 0.02])
def test_close_while_the_client_opens_leaves_no_process(own, policy, moment):
    person = Person(own.open("sleep 60"))

    async def scenario():
        client = ControlClient(socket_name=own.name, policy=policy)
        asking = asyncio.ensure_future(client.query("list-sessions"))
        await asyncio.sleep(moment)
        await client.aclose()
        await asking
        assert client._comer is None and client._connection is None and not controls(own)

    run(scenario())
    person.leave()
